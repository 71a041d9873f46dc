"""Who may import what; read from the source, and from what a process really loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import napari_xnet

PACKAGE = Path(napari_xnet.__file__).parent
WINDOW = {"napari", "qtpy", "magicgui", "superqt", "vispy", "PyQt5", "PyQt6", "PySide6"}
FRAMEWORKS = {"tensorflow", "jax", "torch", "keras"}
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] != "widgets"
]


def imports(node):
    """Full names of the modules that code imports, inside functions too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            yield from (alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom):
            yield part.module if part.module and not part.level else ""


def top_level(tree):
    """Only what runs when the module is imported."""
    inside = [ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda]
    body = [one for one in tree.body if type(one) not in inside]
    return ast.Module(body, [])


def packages(node):
    return {name.split(".")[0] for name in imports(node)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_knows_neither_napari_nor_qt(path):
    tree = ast.parse(path.read_text("utf-8"))
    if path == PACKAGE / "demo.py":
        tree = top_level(tree)
    assert packages(tree).isdisjoint(WINDOW)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_frameworks_are_imported_by_the_backend_only(path):
    if path not in (PACKAGE / "backend.py", PACKAGE / "devices.py"):
        assert packages(ast.parse(path.read_text("utf-8"))).isdisjoint(FRAMEWORKS)


LAYERS = [
    {"__main__"},
    {"cli"},
    {"demo", "widgets"},
    {"engine"},
    {"training"},
    {"evaluation", "live"},
    {"inference"},
    {"models"},
    {"networks", "simulation"},
    {"io", "imaging"},
    {"collimation"},
    {"devices"},
    {"backend"},
    {"errors", "tissue", "wording", "_version", "__init__"},
]
"""The layers of the house: each may import from those below it, and from itself."""


def level(part):
    (found,) = (number for number, layer in enumerate(LAYERS) if part in layer)
    return found


def imported_parts(tree):
    """Parts of our package that a module imports, however it names them."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "napari_xnet" and rest:
                yield rest.split(".")[0]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_downward(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for part in imported_parts(ast.parse(path.read_text("utf-8"))):
        assert part == own or level(part) > level(own), f"{own} imports {part}"


def loaded_by(code):
    """Top-level packages in a fresh process after some code."""
    code += "; import sys, json; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_imports_next_to_nothing():
    heavy = WINDOW | FRAMEWORKS | {"numpy", "scipy", "skimage", "tifffile", "pydantic", "dask"}
    assert loaded_by("import napari_xnet; napari_xnet.__version__").isdisjoint(heavy)


def test_the_window_side_of_the_engine_and_the_core_load_no_framework():
    code = (
        "import napari_xnet.engine.tasks, napari_xnet.cli, napari_xnet.inference.files;"
        "napari_xnet.segment; napari_xnet.list_models()"
    )
    assert loaded_by(code).isdisjoint(WINDOW | FRAMEWORKS)


def test_public_names_are_there():
    assert set(napari_xnet.__all__) <= set(dir(napari_xnet))
    for name in napari_xnet.__all__:
        assert getattr(napari_xnet, name) is not None
