"""All that live segmentation has to know of a radiograph, computed once."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_xnet.imaging import EdgeAwareUpsampling, Standardisation, WorkingImage
from napari_xnet.inference import Options
from napari_xnet.models import Model

_FORMAT = 1
"""To be raised whenever features change."""


@dataclass(frozen=True, eq=False)
class Description:
    """A radiograph as a classifier sees it.

    Attributes
    ----------
    working : WorkingImage
    probabilities : ndarray of float32, shape (H, W, 3)
        What the model says, of the working image without padding.
    features : ndarray of float16, shape (H, W, F)
        See `models.features`.
    """

    working: WorkingImage
    probabilities: NDArray[np.float32]
    features: NDArray[np.float16]

    @classmethod
    def of(
        cls,
        image: NDArray[Any],
        model: Model,
        options: Options,
        check: Callable[[], None] | None = None,
    ) -> Self:
        """Describe a radiograph.

        Parameters
        ----------
        image : ndarray of any real dtype, shape (Y, X), or (Y, X, 3 or 4) in colour
        model : Model
        options : Options
            Of which `size_px` and `polarity` count.
        check : callable, optional
            Called before each call of the network, which gets one image at a
            time; what it raises stops the work.

        Raises
        ------
        ImageError
            See `imaging.working_image`.
        """
        working = model.card.preprocessing.working_image(image, options.size_px)
        shadows = working.shadow[np.newaxis]
        ((probabilities, features),) = model.describe(
            working.data[np.newaxis],
            options.polarity,
            shadows=shadows if shadows.any() else None,
            call_px=working.data.size,
            check=check,
        )
        height, width = working.content
        return cls(
            working,
            probabilities[:height, :width].copy(),
            features[:height, :width].astype(np.float16),
        )

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The features as a classifier takes them, shape (H * W, F)."""
        return self.features.reshape(-1, self.features.shape[-1]).astype(np.float32)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.features.nbytes + self.probabilities.nbytes + self.working.data.nbytes

    def upsampling(self, probabilities: NDArray[np.float32]) -> EdgeAwareUpsampling:
        """Bring probabilities of the working image to the size of the radiograph."""
        return EdgeAwareUpsampling(probabilities, self.working)

    def write(self, path: Path) -> None:
        """Write it to a file, as arrays."""
        working = self.working
        about = {
            "format": _FORMAT,
            "content": working.content,
            "shape": working.shape,
            "scale": working.scale,
            "standardise": vars(working.standardise),
            "notes": working.notes,
        }
        with path.open("wb") as file:
            np.savez(
                file,
                about=np.frombuffer(json.dumps(about).encode(), np.uint8),
                data=working.data,
                shadow=working.shadow,
                probabilities=self.probabilities,
                features=self.features,
            )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises
        ------
        OSError, ValueError, KeyError
            If there is no such file, or it is damaged.
        """
        # NumPy leaves a damaged file open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            if about["format"] != _FORMAT:
                raise ValueError("another format")
            working = WorkingImage(
                data=file["data"],
                shadow=file["shadow"],
                content=tuple(about["content"]),
                shape=tuple(about["shape"]),
                scale=about["scale"],
                standardise=Standardisation(**about["standardise"]),
                notes=tuple(about["notes"]),
            )
            return cls(working, file["probabilities"], file["features"])


def fingerprint(image: NDArray[Any], model: Model, options: Options) -> str:
    """Name the description of a radiograph: the same for the same pixels, model and options."""
    digest = hashlib.sha256(np.ascontiguousarray(image).data)
    size_px = options.size_px or model.card.preprocessing.size_px
    about = (
        _FORMAT,
        image.shape,
        str(image.dtype),
        model.card.fingerprint,
        size_px,
        options.polarity,
    )
    digest.update(repr(about).encode())
    return digest.hexdigest()[:32]
