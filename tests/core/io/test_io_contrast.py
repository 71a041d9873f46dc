"""Contrast limits are sensible for any values, and cost little on large images."""

import dask.array
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_xnet.io.contrast import contrast_limits


def test_percentiles_ignore_rare_pixels():
    image = np.tile(np.linspace(100, 200, 1000), (400, 1))
    image[0, :5] = 1e6
    low, high = contrast_limits(image)
    assert low == pytest.approx(100.5, abs=0.2)
    assert high == pytest.approx(199.5, abs=0.2)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.bool_, np.uint8, np.int64, np.uint64, np.float16, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=7),
    )
)
def test_limits_are_finite_and_ordered(image):
    low, high = contrast_limits(image)
    assert np.isfinite([low, high]).all()
    assert low < high


def test_constant_images_and_missing_values():
    assert contrast_limits(np.full((5, 5), 7, np.uint8)) == (7, 8)
    assert contrast_limits(np.full((5, 5), np.nan)) == (0, 1)
    assert contrast_limits(np.full((5, 5), 1e30))[1] > 1e30
    marked = np.zeros((20, 20), np.uint8)
    marked[10, 10] = 9
    assert contrast_limits(marked) == (0, 9)


def test_all_planes_of_a_stack_count():
    stack = np.zeros((5, 64, 64), np.uint16)
    stack[4] = 1000
    assert contrast_limits(stack)[1] == 1000


def test_few_blocks_of_a_lazy_image_are_read():
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.full((100, 100), len(read), np.uint16)

    lazy = dask.array.map_blocks(block, chunks=((100,) * 50, (100,) * 50), dtype=np.uint16)
    low, high = contrast_limits(lazy)
    assert 1 <= low < high <= 9
    assert len(set(read)) == 9
