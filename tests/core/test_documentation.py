"""What the documentation says is so: generated pages are up to date, commands and code run."""

import importlib.util
import json
import re
import shlex
import textwrap
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile

import napari_xnet
from napari_xnet.cli import main, parser
from napari_xnet.io import write_labels

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

ELSEWHERE = (
    "python3 -m venv",  # the tests of the installation do that
    ".venv/bin/napari",
    ".venv/bin/pip",
    ".venv\\Scripts\\pip",
    "py -m venv",
    "python -m pip",
    "pip install",
    "source .venv/bin/activate",
    ".venv/bin/tox",
    "sudo apt-get install ",  # a test of its own looks at it
    "dask ",  # the tests of the cluster do that
    "conda ",
    "echo ",
    "export ",
    "set ",
    "mkdocs ",
)
"""Beginnings of commands that are no matter of these tests."""


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page, *languages):
    """Code of a page, without its indentation."""
    for indent, language, text in re.findall(
        r"^( *)```(\w+)\n(.*?)^\1```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        del indent
        if language in languages:
            yield textwrap.dedent(text)


def shell_lines():
    for page in PAGES:
        for block in blocks(page, "sh", "bat"):
            for line in block.replace("\\\n", " ").splitlines():
                for command in re.split(r" && | \|\| ", line.partition("  #")[0]):
                    if command.strip():
                        yield page, command.strip()


def own_command(command):
    """Arguments of a call of napari-xnet, None for other commands."""
    command = re.sub(r" 2?> \S+", "", command)  # into files
    program, _, rest = command.replace("\\", "/").partition(" ")
    return shlex.split(rest) if program.rpartition("/")[2] == "napari-xnet" else None


OWN = [
    pytest.param(arguments, id=f"{page.stem}: {command}")
    for page, command in shell_lines()
    if (arguments := own_command(command)) is not None
]


def test_generated_pages_are_up_to_date():
    reference = tool("reference")
    for name, text in reference.pages().items():
        assert (reference.FOLDER / name).read_text("utf-8") == text, "run python tools/reference.py"


def test_other_commands_name_files_that_are_there():
    for page, command in shell_lines():
        if own_command(command) is not None:
            continue
        script = re.match(r"(?:\.venv/bin/)?python3? ((?:\w+/)+\w+\.py)", command)
        if script:
            assert (ROOT / script[1]).is_file(), (page, command)
        else:
            assert command.startswith(ELSEWHERE), (page, command)


def test_the_libraries_to_install_are_those_that_qt_loads():
    (command,) = {line for _, line in shell_lines() if line.startswith("sudo apt-get install")}
    assert command.split()[3:] == list(tool("system_libraries").LIBRARIES)


def parse(arguments):
    """Check a call, without doing what it says; one that asks for help is one, too."""
    if "--help" not in arguments and "--version" not in arguments:
        parser().parse_args(arguments)


def test_commands_in_the_text_name_files_and_options_that_are_there():
    for page in PAGES:
        text = page.read_text("utf-8")
        for script in re.findall(r"`python ((?:\w+/)+\w+\.py)", text):
            assert (ROOT / script).is_file(), (page, script)
        for inline in re.findall(r"`(napari-xnet \w[^`]*)`", text):
            # Capitals stand for something; without options it is only named.
            if " -" in inline and not re.search(r"\b[A-Z]{3,}", inline):
                parse(own_command(inline.replace("\n", " ")))
        known = set(re.findall(r"--[a-z][a-z-]+", tool("reference").command_line()))
        for inline in re.findall(r"`(--[a-z][a-z-]+)[^`]*`", text):
            assert inline in known, (page, inline)


@pytest.fixture
def workspace(tmp_path, monkeypatch, radiograph, small_model):
    """A folder with all that the commands name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_XNET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NAPARI_XNET_RUNS", str(tmp_path / "runs"))
    masks = 1 + np.digitize(radiograph, np.quantile(radiograph, (0.4, 0.8))).astype(np.uint8)
    for folder in ("radiographs", "labels", "masks", "aside", "new", "ten", "found"):
        Path(folder).mkdir()
    for name in "ab":
        for folder in ("radiographs", "aside", "new", "ten"):
            tifffile.imwrite(Path(folder, f"{name}.tif"), radiograph)
        for folder in ("radiographs", "labels", "aside", "found"):
            write_labels(Path(folder, f"{name}_labels.tif"), masks)
        tifffile.imwrite(Path("masks", f"{name}.tif"), masks - 1)
    tifffile.imwrite("radiograph.tif", radiograph)
    small_model.save(tmp_path / "models" / "mine")
    Path("parts.csv").write_text("name,group\na,hand\nb,knee\n")
    Path("tiny.json").write_text(json.dumps(TINY))
    Path("my.json").write_text(json.dumps(TINY))
    body = np.full((40, 40, 40), -1000, np.int16)
    body[10:30, 10:30] = 40
    body[15:25, 15:25] = 900
    nibabel.save(nibabel.Nifti1Image(body, np.diag([4, 4, 4, 1])), "chest.nii.gz")
    return tmp_path


TINY = {"epochs": 1, "sampling": {"steps": 1, "batch": 1}, "patch_px": 64}


def light(arguments):
    """Do less of the same, so that it takes seconds."""
    match arguments[0]:
        case "train" if "--config" not in arguments:
            return [*arguments, "--config", "tiny.json"]
        case "simulate":
            arguments = list(arguments)
            arguments[arguments.index("--count") + 1] = "1"
            if "--size-px" in arguments:
                del arguments[arguments.index("--size-px") :][:2]
            return [*arguments, "--size-px", "64", "--workers", "1"]
        case "segment" if "--workers" not in arguments and "--scheduler" not in arguments:
            return [*arguments, "--workers", "1"]
    return arguments


@pytest.mark.slow
@pytest.mark.parametrize("arguments", OWN)
def test_each_command_works(arguments, workspace, small_model, capsys):
    parser().parse_args(arguments)  # as it is written
    if {"--scheduler", "--visible-human", "demo"} & set(arguments):
        return  # needs what has tests of its own
    prepare(arguments, workspace, small_model)
    assert main(light(arguments)) == 0, capsys.readouterr().err


def prepare(arguments, workspace, model):
    """Make what earlier commands of the page have made."""
    text = " ".join(arguments)
    if "models import" in text:
        main(["models", "export", "mine", arguments[-1]])
        (workspace / "models" / "mine").rename(workspace / "elsewhere")
    elif "models remove" in text:
        model.save(workspace / "models" / arguments[-1])
    elif "-o labels" in text:  # into an empty folder
        (workspace / "labels").rename(workspace / "elsewhere")
    elif "segment" in text and "-o found" in text:
        (workspace / "found").rename(workspace / "elsewhere")
    if "--name mine" in text:
        (workspace / "models" / "mine").rename(workspace / "models" / "other")
    if "--run runs/mine" in text:
        images, labels = ("--images", "radiographs"), ("--labels", "labels")
        call = ["train", *images, *labels, "--name", "mine 2", "--config", "tiny.json"]
        main([*call, "--runs", str(workspace / "runs")])
        (workspace / "runs" / "mine 2").rename(workspace / "runs" / "mine")
    if "calibrated" in arguments:
        call = ["evaluate", "--images", "radiographs", "--labels", "labels"]
        main([*call, "--model", "mine", "--calibrate", "0.2"])


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_python_of_the_pages_runs(page, workspace, radiograph, monkeypatch):
    train = napari_xnet.train

    def short(images, labels, base="default", preset="quick", config=None, **options):
        config = TINY | {"epochs": 1}
        return train(images, labels, base=base, preset=preset, config=config, **options)

    monkeypatch.setattr(napari_xnet, "train", short)
    labels = tifffile.imread("labels/a_labels.tif")
    white_yellow_blue = np.array([(0, 0, 0), (255, 255, 255), (255, 255, 0), (0, 0, 255)], np.uint8)
    names = {
        "nx": napari_xnet,
        "image": radiograph,
        "images": [radiograph] * 2,
        "labels": [labels] * 2,
        "drawings": [white_yellow_blue[labels]] * 2,
        "reference": labels,
        "labels_true": labels,
        "labels_pred": labels,
        "probabilities": np.moveaxis(np.eye(3, dtype=np.float32)[labels - 1], -1, 0),
    }
    for block in blocks(page, "python"):
        (workspace / "labels").mkdir(exist_ok=True)
        for path in (workspace / "labels").iterdir():
            path.unlink()
        exec(compile(block, str(page), "exec"), names)
