"""Install the wheel in many ways, try it, and write the table of docs/install-matrix.md.

Usage: python tools/install_matrix.py FOLDER [--only NAME ...]

Each way gets an environment of its own in FOLDER, which is removed afterwards: install, ``pip
check``, ``napari-xnet demo``, and, if it has a window, a segmentation in one (on Linux under
xvfb-run). FOLDER keeps what was found, and what pip and the programs said; the same call goes on
where it stopped.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "install-matrix.md"
NAMED = ("napari", "tensorflow", "keras", "numpy", "PyQt6", "PySide6", "torch")


@dataclass(frozen=True)
class Way:
    """A way to install.

    Attributes
    ----------
    name : str
    requirements : tuple of str
        ``{wheel}`` is our wheel.
    python : str
        Version of Python.
    beside : tuple of str
        Installed before, as by somebody who has them already.
    window : bool
    lowest : bool
        Whether each dependency is of the lowest version that we claim.
    """

    name: str
    requirements: tuple[str, ...] = ("{wheel}[all]",)
    python: str = "3.11"
    beside: tuple[str, ...] = ()
    window: bool = True
    lowest: bool = False


WAYS = (
    Way("as the README says"),
    Way("Python 3.12", python="3.12"),
    Way("Python 3.13", python="3.13"),
    Way("lowest versions", lowest=True),
    Way("PySide6", ("{wheel}", "PySide6")),
    Way("PyQt6", ("{wheel}", "PyQt6")),
    Way("no window, Dask, DICOM", ("{wheel}[cluster,dicom]",), window=False),
    Way("all extras", ("{wheel}[all,cluster,dicom,simulation]",)),
    Way("beside napari-convpaint", beside=("napari[all]", "torch==2.13.0", "napari-convpaint")),
    Way("beside cellpose-napari", beside=("napari[all]", "torch==2.13.0", "cellpose-napari")),
    Way("beside napari-skimage", beside=("napari[all]", "napari-skimage")),
)

WINDOW = """
import time
import napari
from qtpy import API_NAME
from qtpy.QtWidgets import QApplication

viewer = napari.Viewer()
viewer.open_sample("napari-xnet", "hand")
docks = {}
for name in ("Segment radiograph", "Train XNet", "Evaluate segmentation", "Simulate radiographs"):
    docks[name] = viewer.window.add_plugin_dock_widget("napari-xnet", name)[1]
viewer.layers.selection.active = viewer.layers["hand"]
docks["Segment radiograph"].run()
end = time.monotonic() + 300
while "hand_labels" not in viewer.layers:
    assert time.monotonic() < end, "no labels came"
    QApplication.processEvents()
    time.sleep(0.02)
print(API_NAME)
viewer.close()
"""


def main() -> None:
    """Try what was not tried yet, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    call = parser.parse_args()
    call.folder.mkdir(parents=True, exist_ok=True)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", call.folder, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = call.folder.glob("napari_xnet-*.whl")
    results = call.folder / "results.json"
    found = json.loads(results.read_text()) if results.exists() else {}
    for way in WAYS:
        if way.name in found or (call.only and way.name not in call.only):
            continue
        found[way.name] = attempt(way, wheel, call.folder)
        print(way.name, found[way.name], flush=True)
        results.write_text(json.dumps(found, indent=1))
    PAGE.write_text(page(found), "utf-8")


def attempt(way: Way, wheel: Path, folder: Path) -> dict[str, str]:
    """Install in one way, and try it."""
    environment = folder / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    log = (folder / f"{way.name}.log").open("w")
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")

    def run(*command: object, seconds: int = 1800) -> tuple[bool, str]:
        words = [str(word) for word in command]
        log.write(f"$ {' '.join(words)}\n")
        log.flush()
        try:
            done = subprocess.run(
                words, stdout=subprocess.PIPE, stderr=log, text=True, timeout=seconds, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return False, "took too long"
        log.write(done.stdout)
        log.flush()
        return done.returncode == 0, done.stdout.strip()

    python = programs / "python"
    ok, _ = run(f"python{way.python}", "-m", "venv", environment)
    if not ok:
        return {"install": f"no Python {way.python} here"}
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    limits: list[object] = []
    if way.lowest:
        run(*pip, "install", "-q", "packaging")
        run(python, ROOT / "tools" / "lower_bounds.py", folder / "lowest.txt")
        limits = ["--constraint", folder / "lowest.txt"]
    if way.beside and not run(*pip, "install", "-q", *way.beside)[0]:
        return {"install": "the others could not be installed"}
    requirements = [one.format(wheel=wheel.resolve()) for one in way.requirements]
    if not run(*pip, "install", "-q", *limits, *requirements)[0]:
        return {"install": "failed"}
    row = {"install": "yes"}
    ok, said = run(*pip, "check")
    row["check"] = "clean" if ok else "; ".join(said.splitlines())
    ok, said = run(*pip, "list", "--format", "json")
    versions = {one["name"].lower(): one["version"] for one in json.loads(said)}
    row["versions"] = ", ".join(
        f"{name} {versions[name.lower()]}" for name in NAMED if name.lower() in versions
    )
    if way.window:
        screen = ["xvfb-run", "-a"] if sys.platform == "linux" else []
        ok, said = run(*screen, python, "-c", WINDOW, seconds=600)
        row["window"] = said.splitlines()[-1] if ok and said else "failed"
    else:
        row["window"] = "–"
    picture = "import sys; sys.argv[1:] = ['demo']; from napari_xnet.cli import main; main()"
    hidden = "import os; os.environ.pop('DISPLAY', None); os.environ['QT_QPA_PLATFORM']='offscreen'"
    ok, _ = run(python, "-c", f"{hidden}; {picture}", seconds=600)
    row["demo"] = "yes" if ok else "failed"
    shutil.rmtree(environment)
    return row


def page(found: dict[str, dict[str, str]]) -> str:
    """Return the page as Markdown."""
    system = f"{platform.system()} {platform.machine()}"
    lines = [
        "# What was installed together",
        "",
        "Each row is a fresh environment into which the wheel was installed: `pip check`, the demo "
        "without a display, and a radiograph segmented in a window with all docks open. Written "
        f"by `python tools/install_matrix.py FOLDER` on {system}; other systems are tried by the "
        "project's workflow on GitHub.",
        "",
        "| | Python | installed | `pip check` | window | demo | versions |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in WAYS:
        if row := found.get(way.name):
            cells = [row.get(key, "–") for key in ("install", "check", "window", "demo")]
            cells = [way.name, way.python, *cells, row.get("versions", "–")]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
