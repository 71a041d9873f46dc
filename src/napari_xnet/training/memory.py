"""How many examples fit into memory."""

import psutil

_MAPS = 35
"""Measured: while XNet learns it holds as much as this many maps of the first level (float32)."""
_SHARE = 0.7
"""Of the free memory that training may use."""


def fitting_batch(batch: int, patch_px: int, filters: int) -> int:
    """Halve a batch until it fits into the free memory of the computer.

    Parameters
    ----------
    batch : int
        The batch that is wanted.
    patch_px : int
        Side of the patches.
    filters : int
        Width of the first level of the network.

    Returns
    -------
    int
        At least 1. Graphics cards have memory of their own: running out of
        that is noticed when it happens.
    """
    needed = _MAPS * 4 * filters * patch_px**2
    free = _SHARE * psutil.virtual_memory().available
    while batch > 1 and batch * needed > free:
        batch //= 2
    return batch
