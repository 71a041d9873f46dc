"""Damaged files of strangers are refused, quickly, and nothing else happens.

`tools/fuzz.py` does the same for hours, guided by the code that is reached.
"""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xnet.errors import ImageError
from napari_xnet.io import read_tiff

_spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).parents[2] / "tools/fuzz.py")
fuzz = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz)

SEEDS = {
    kind: [data for _, data in sorted(seeds().items())]
    for kind, (seeds, _, _) in fuzz.TARGETS.items()
    if kind != "model"
}

changes = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=6)


def damage(data, where, cut):
    """Overwrite bytes at some places, most of them in the head, and cut the end off."""
    data = bytearray(data)
    for share, value in where:
        start = int(share**3 * (len(data) - len(value)))
        data[start : start + len(value)] = value
    return bytes(data[: max(1, int(cut * len(data)))])


@pytest.mark.parametrize("kind", ["tiff", "dicom"])
def test_damaged_images_are_refused_or_read(kind, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with warnings.catch_warnings():
        test = fuzz.TARGETS[kind][1](scratch)

        @settings(max_examples=300)
        @given(st.sampled_from(SEEDS[kind]), changes, st.sampled_from([1.0, 1.0, 1.0, 0.7, 0.1]))
        def run(data, where, cut):
            test(damage(data, where, cut))

        run()


@pytest.mark.slow
def test_damaged_models_are_refused_or_imported(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_XNET_MODELS", "set by the test")  # and put back afterwards
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    test = fuzz.importing(scratch)
    seeds = [data for _, data in sorted(fuzz.model_seeds().items())]

    @settings(max_examples=100)
    @given(st.sampled_from(seeds), changes, st.sampled_from([1.0, 1.0, 0.7]))
    def run(data, where, cut):
        test(data[:1] + damage(data[1:], where, cut))

    run()


@pytest.mark.parametrize("pages", [3, 150])
def test_pages_that_lead_back_to_earlier_ones_are_refused(tmp_path, pages):
    path = tmp_path / "loop.tif"
    with tifffile.TiffWriter(path) as tif:
        for _ in range(pages):
            tif.write(np.zeros((8, 8), np.uint8), contiguous=False, metadata=None)
    with tifffile.TiffFile(path) as tif:
        second = tif.pages[1].offset
        last = tif.pages.next_page_offset
    data = bytearray(path.read_bytes())
    data[last : last + 4] = second.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged"):
        read_tiff(path)
