"""Read PNG and JPEG pictures of radiographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_xnet.errors import ImageError
from napari_xnet.io.calibration import PIXEL
from napari_xnet.io.contrast import contrast_limits
from napari_xnet.io.layerdata import LayerData

EXTENSIONS: Final = (".png", ".jpg", ".jpeg")
_GRAY_MODES: Final = {"1", "L", "I", "F", "I;16", "I;16B"}


def read_picture(path: Path) -> list[LayerData]:
    """Layer of a PNG or JPEG picture; such files know no pixel size of a detector.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of LayerData
        One gray image, or one with ``rgb=True``.

    Raises
    ------
    ImageError
        If the file cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            gray = image.mode in _GRAY_MODES
            if image.mode in ("LA", "La"):  # alpha is not signal
                gray, pixels = True, np.asarray(image.getchannel(0))
            elif gray:
                pixels = np.asarray(image)
            else:
                pixels = np.asarray(image.convert("RGB"))
    except OSError as error:
        reason = error.strerror or "the file is no picture, or it is damaged"
        raise ImageError(f"{path} cannot be opened: {reason}.") from error
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path.name}: the picture is damaged or too large.") from error
    meta: dict[str, Any] = {
        "name": path.stem,
        "scale": (1.0, 1.0),
        "units": (PIXEL, PIXEL),
        "metadata": {},
    }
    if gray:
        meta |= {"colormap": "gray", "contrast_limits": contrast_limits(pixels)}
    else:
        meta["rgb"] = True
    return [(pixels, meta, "image")]
