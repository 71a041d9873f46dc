"""Make sure that what the tests need of the system is there.

PyPI's Qt wheels bring Qt itself, but on Linux not the X11 and OpenGL
libraries under it, nor a display to draw on; and one test reads files that
libtiff's tools wrote. Where something is missing, this
installs Debian's packages if it may (as root, with apt), else it prints the
one line to run and fails.
"""

import ctypes.util
import os
import shutil
import subprocess
import sys

LIBRARIES = {
    "libgl1": "GL",
    "libegl1": "EGL",
    "libglib2.0-0": "glib-2.0",
    "libdbus-1-3": "dbus-1",
    "libfontconfig1": "fontconfig",
    "libxkbcommon-x11-0": "xkbcommon-x11",
    "libxcb-cursor0": "xcb-cursor",
    "libxcb-icccm4": "xcb-icccm",
    "libxcb-keysyms1": "xcb-keysyms",
    "libxcb-shape0": "xcb-shape",
}
"""Debian package of each shared library that Qt 6 loads."""

PROGRAMS = {"xvfb": "Xvfb", "xauth": "xauth", "libtiff-tools": "tiffcp"}
"""Debian package of each program that the tests start."""


def missing_packages() -> list[str]:
    """Debian packages of what cannot be found on this machine."""
    found_by_ldconfig = {
        package for package, name in LIBRARIES.items() if ctypes.util.find_library(name)
    }
    return [
        *(package for package in LIBRARIES if package not in found_by_ldconfig),
        *(package for package, program in PROGRAMS.items() if not shutil.which(program)),
    ]


def main() -> int:
    """Install what is missing, or say how."""
    if not sys.platform.startswith("linux"):
        return 0
    packages = missing_packages()
    if not packages:
        return 0
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing from Debian:", *packages, flush=True)
        subprocess.run(["apt-get", "update"], check=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(install, check=True, env=environment)
        packages = missing_packages()
        if not packages:
            return 0
    if shutil.which("apt-get"):
        advice = f"sudo apt-get update && sudo {' '.join(install)}"
    else:
        advice = f"install what your system calls the Debian packages {' '.join(packages)}"
    print(f"The tests need some packages of the system. Run:\n\n    {advice}\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
