"""Folders of killed windows go, others stay."""

import os
import subprocess
import sys
import tempfile
import time

from napari_xnet.engine.folder import make_folder, remove_abandoned


def test_only_what_nobody_uses_any_more_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = make_folder()
    names = [f"napari-xnet-{ended.pid}-old", f"napari-xnet-{ended.pid}-young", "napari-xnet-notes"]
    old, young, other = (tmp_path / name for name in names)
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "pixels").write_bytes(b"123")
    hours_ago = time.time() - 7300
    for folder in (old, other, mine):
        os.utime(folder, (hours_ago, hours_ago))
    remove_abandoned()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [os.path.basename(mine), young.name, other.name]
    )
