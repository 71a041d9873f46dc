"""What is packaged agrees with itself."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from napari_xnet import __version__

ROOT = Path(__file__).parents[2]
OF_CONDA = {"dask": "dask-core"}


def test_the_conda_recipe_asks_for_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    recipe = (ROOT / "packaging" / "conda-forge" / "recipe.yaml").read_text("utf-8")
    run = re.search(r"\n  run:\n(.*?)\n\n", recipe, re.DOTALL)[1]
    found = [line.strip("- ") for line in run.splitlines()]
    asked = [Requirement(one) for one in project["dependencies"]]
    wanted = [f"{OF_CONDA.get(one.name, one.name)} {one.specifier}" for one in asked]
    assert found == ["python >=${{ python_min }}", *wanted]
    assert f'python_min: "{project["requires-python"].removeprefix(">=")}"' in recipe
    assert f'version: "{__version__}"' in recipe


def test_the_changelog_knows_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## Unreleased" in changelog or f"## {__version__}" in changelog


def test_each_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in navigation, page
