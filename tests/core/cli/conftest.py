"""The command line, in an empty folder."""

import pytest

from napari_xnet.cli import main


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd):
    """A function that runs the command line: exit code, lines of stdout, text of stderr."""

    def run(*arguments):
        try:
            code = main([str(one) for one in arguments])
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out.splitlines(), err

    return run


@pytest.fixture
def small(small_model):
    """Path of a small model."""
    small_model.save("small model")
    return "small model"
