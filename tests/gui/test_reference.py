"""The reference of the docks says what they say."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("docks", ROOT / "tools" / "docks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date_and_everything_is_explained(tool, viewer):
    page = tool.page(viewer)
    assert tool.PAGE.read_text("utf-8") == page, "run python tools/docks.py"
    assert "|  |" not in page  # a control without a tooltip, or without a name
