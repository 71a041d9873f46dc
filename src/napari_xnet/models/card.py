"""The model card: what a model is, what it was made of, and how good it is."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_xnet import tissue
from napari_xnet.errors import ModelError
from napari_xnet.imaging import WorkingImage, working_image

LARGEST_CARD_BYTES = 2**20

_Width = Annotated[int, Field(ge=1, le=2048)]
_Percentile = Annotated[float, Field(ge=0, le=100)]
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
