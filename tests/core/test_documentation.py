"""Pages that are made from the code are up to date."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_of_the_training_settings():
    tool = load(ROOT / "tools" / "training_settings.py")
    assert tool.PAGE.read_text("utf-8") == tool.page(), "run python tools/training_settings.py"
