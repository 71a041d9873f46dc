"""Write the lowest versions that pyproject.toml allows as pip constraints.

Usage: python tools/lower_bounds.py FILE
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
requirements = map(
    Requirement, sum(project["optional-dependencies"].values(), project["dependencies"])
)
lowest = {
    f"{requirement.name}=={bound.version}"
    for requirement in requirements
    for bound in requirement.specifier
    if bound.operator == ">="
}
Path(sys.argv[1]).write_text("\n".join(sorted(lowest)) + "\n")
