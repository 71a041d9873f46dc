"""The model card: what a model is, what it was made of, and how good it is."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_xnet import tissue
from napari_xnet.errors import ModelError
from napari_xnet.imaging import WorkingImage, working_image
from napari_xnet.models.forest import ForestShape

LARGEST_CARD_BYTES = 2**20

_Width = Annotated[int, Field(ge=1, le=2048)]
_Percentile = Annotated[float, Field(ge=0, le=100)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Scale = Annotated[float, Field(ge=0.125, le=4)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Architecture(_Part):
    """A network by name, and the arguments of its builder in `networks`."""

    name: Literal["xnet", "segnet", "unet"] = Field(description="xnet, segnet or unet.")
    filters: tuple[_Width, _Width, _Width, _Width] = Field(
        default=(64, 128, 256, 512), description="Widths of the levels, from the finest."
    )
    kernel_size: int = Field(default=3, ge=1, le=15, description="Of the convolutions, in px.")
    l2: float = Field(default=0.0, ge=0, description="L2 penalty on each convolution.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        # The networks have less than 2 k² (sum of the filters)² parameters:
        # a card alone cannot make us allocate more than a gigabyte.
        if self.kernel_size * sum(self.filters) > 11_000:
            raise ValueError("the network is larger than this program builds (1 GB of weights)")
        return self

    @property
    def largest_weights_bytes(self) -> int:
        """More than the weights of this network take as a file in float32."""
        return 8 * (self.kernel_size * sum(self.filters)) ** 2 + 2**20


class Preprocessing(_Part):
    """How a radiograph becomes the working image; the fields are those of `imaging.working_image`.

    With ``polarity="both"`` the network sees the working image and its
    negative, and their probabilities are averaged. With ``"bone bright"`` it
    has never seen a dark bone: it sees the image or its negative, whichever
    it is surer of, see `prediction.turned`.
    """

    size_px: int = Field(default=448, ge=8, le=8192, description="Long side of the working image.")
    percentiles: tuple[_Percentile, _Percentile] = Field(
        default=(0.5, 99.5), description="Intensities are clipped to these."
    )
    scaling: Literal["standard", "unit"] = Field(
        default="standard", description="standard: zero mean, unit variance; unit: from 0 to 1."
    )
    find_collimator: bool = Field(
        default=False,
        description="Whether the shadow of the collimator is found and left out of contrast and "
        "polarity.",
    )
    polarity: Literal["as is", "both", "bone bright"] = Field(
        default="both",
        description="both: the mean of what it says of the image and its negative; bone bright: "
        "images are turned so that bone is bright.",
    )
    scales: tuple[_Scale, ...] = Field(
        default=(1.0,),
        min_length=1,
        max_length=4,
        description="Sizes of which the mean is taken, relative to that of the working image.",
    )
    mirrored: bool = Field(
        default=False,
        description="Whether the mean is also taken over the image and its three mirror images.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.percentiles[0] >= self.percentiles[1]:
            raise ValueError("the percentiles must rise")
        if self.scaling == "unit" and self.polarity != "as is":
            raise ValueError('the negative of an image scaled to [0, 1] is none: polarity "as is"')
        return self

    def working_image(self, image: ArrayLike, size_px: int | None = None) -> WorkingImage:
        """Make the working image of a radiograph, with another long side if one is given."""
        return working_image(
            image,
            size_px or self.size_px,
            percentiles=self.percentiles,
            scaling=self.scaling,
            find_collimator=self.find_collimator,
        )


Impurity = Literal["false_share", "false_positive_rate"]
"""Which field of `Purity` is to be small."""


class Purity(_Part):
    """What a soft-tissue threshold leads to, on images that it was measured on.

    Attributes
    ----------
    threshold : float
        See `inference.postprocess.label`.
    false_share : float
        Share of what is taken for soft tissue that is open beam or bone, one
        less the precision: the false positives of the XNet paper.
    false_positive_rate : float
        Share of open beam and bone that is taken for soft tissue.
    true_positive_rate : float
        Share of soft tissue that is found.
    """

    threshold: _Share
    false_share: _Share
    false_positive_rate: _Share
    true_positive_rate: _Share


class PurityCurve(_Part):
    """Purity by rising threshold; each image counts the same."""

    images: int = Field(ge=1)
    points: tuple[Purity, ...] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        thresholds = [one.threshold for one in self.points]
        if thresholds != sorted(set(thresholds)):
            raise ValueError("the thresholds must rise")
        return self

    def purest(self, most: float, by: Impurity = "false_share") -> Purity | None:
        """Return the lowest threshold from which on an impurity is no more than this, if any.

        What finds no soft tissue at all is not pure.
        """
        finds = [one for one in self.points if one.true_positive_rate > 0]
        impure = [n for n, one in enumerate(finds) if getattr(one, by) > most]
        first = impure[-1] + 1 if impure else 0
        return finds[first] if first < len(finds) else None

    def nearest(self, most: float, by: Impurity = "false_share") -> Purity:
        """Return that threshold, or else the purest of those that find some."""
        finds = [one for one in self.points if one.true_positive_rate > 0] or self.points
        return self.purest(most, by) or min(finds, key=lambda one: float(getattr(one, by)))

    def at(self, threshold: float) -> Purity:
        """Interpolate between the thresholds that were measured."""
        known = [one.threshold for one in self.points]
        values = {
            name: float(np.interp(threshold, known, [getattr(one, name) for one in self.points]))
            for name in ("false_share", "false_positive_rate", "true_positive_rate")
        }
        return Purity(threshold=threshold, **values)


class SoftTissue(_Part):
    """How the soft-tissue threshold of a model was calibrated.

    Attributes
    ----------
    data : str
        What was measured on.
    false_share : float
        How much of what is taken for soft tissue may be none, see `Purity`.
    smallest_region : float
        See `inference.PostProcessing`, in px of the working image.
    curve : PurityCurve
        Of all images.
    groups : dict from str to PurityCurve
        Of body parts or the like.
    """

    data: str = ""
    false_share: _Share
    smallest_region: float = Field(default=0.0, ge=0)
    curve: PurityCurve
    groups: dict[str, PurityCurve] = {}

    def threshold(self, group: str = "") -> float:
        """Return the threshold of a group, or that of all images.

        Raises
        ------
        ModelError
            If there is no such group.
        """
        if group and group not in self.groups:
            known = ", ".join(self.groups) or "none"
            raise ModelError(f'The model was not calibrated for "{group}", but for: {known}.')
        curve = self.groups[group] if group else self.curve
        return curve.nearest(self.false_share).threshold


class ModelCard(_Part):
    """The JSON beside a model's weights; counts and numbers, never pixel data."""

    format: Literal[1] = 1
    name: str = Field(max_length=100)
    summary: str = ""
    status: Literal["interim", "final"] = "final"
    architecture: Architecture
    preprocessing: Preprocessing = Preprocessing()
    classes: tuple[str, ...] = tissue.NAMES
    training: dict[str, Any] = {}
    augmentation: dict[str, Any] = {}
    optimiser: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    soft_tissue: SoftTissue | None = None
    classifier: ForestShape | None = None
    versions: dict[str, str] = {}
    date: str = ""
    seed: int | None = None
    weights_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    licence: str = ""

    @model_validator(mode="after")
    def _known_classes(self) -> Self:
        if self.classes != tissue.NAMES:
            raise ValueError(f"the classes must be {', '.join(tissue.NAMES)}")
        return self

    @property
    def fingerprint(self) -> str:
        """The same for models that say the same of every radiograph."""
        forest = self.classifier.sha256 if self.classifier else ""
        about = (self.weights_sha256, forest, self.preprocessing.model_dump_json())
        return hashlib.sha256(repr(about).encode()).hexdigest()[:16]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card from a JSON file.

        Raises
        ------
        ModelError
            If the file is missing, too large, no JSON or no card.
        """
        try:
            if path.stat().st_size > LARGEST_CARD_BYTES:
                raise ModelError(f"{path} is too large for a model card.")
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"The model card {path} cannot be read: {error.strerror}.") from error
        return cls.parse(data, path)

    @classmethod
    def parse(cls, data: bytes, path: Path) -> Self:
        """Read a card from JSON.

        Parameters
        ----------
        data : bytes
        path : Path
            Where they come from, for messages.

        Raises
        ------
        ModelError
            If they are no JSON, or no card.
        """
        try:
            return cls.model_validate(json.loads(data))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "card"
            raise ModelError(
                f"The model card {path} is not valid: {where}: {first['msg']}. Was it made by a "
                "newer version of napari-xnet?"
            ) from error
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path} is not a model card: {error}.") from error

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return self.model_dump_json(indent=2) + "\n"
