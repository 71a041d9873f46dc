"""Everything that can be chosen about a training run, as data: pydantic models and presets."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_xnet.errors import ConfigError
from napari_xnet.models.card import Architecture, Preprocessing

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_Share = Annotated[float, Field(ge=0, le=1)]
_Weight = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Split(_Part):
    """Which labels train and which validate, see `splitting.split`."""

    by: Literal["auto", "image", "region", "nothing"] = Field(
        default="auto",
        description="image: whole radiographs; region: connected painted regions; auto: by image "
        "from 4 radiographs on, else by region; nothing: no validation.",
    )
    validation: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the images, or of the pixels painted, that validate.",
    )
    folds: int | None = Field(
        default=None, ge=2, description="k of a k-fold split; it replaces `validation`."
    )
    fold: int = Field(default=0, ge=0, description="Which of the folds validates.")

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.fold >= (self.folds or 1):
            raise ValueError("fold counts from 0 and must be below folds")
        return self


class Sampling(_Part):
    """How examples are drawn, see `sampling.Sampler`."""

    batch: int = Field(default=4, ge=1, le=1024, description="Examples in a batch.")
    steps: int | None = Field(
        default=None,
        ge=1,
        description="Batches in an epoch; null: as many as show each radiograph once.",
    )
    balance_groups: bool = Field(
        default=True, description="Draw each group (body part) equally often."
    )
    balance_classes: bool = Field(
        default=True,
        description="Draw each painted class equally often, as what a patch is to show.",
    )
    wrong_polarity: _Share = Field(
        default=0.0,
        description="How often a patch is shown the wrong way round, for the network to learn "
        "that it cannot be sure then; for the polarity bone bright.",
    )


class Augmentation(_Part):
    """Ranges of the random changes, see `augmentation.Augmenter`.

    ``*_probability`` is how often a change is made; ranges are symmetric
    unless they are pairs.
    """

    enabled: bool = Field(default=True, description="false: plain windows.")
    fixed_per_group: int | None = Field(
        default=None,
        ge=1,
        description="This many augmented examples of each group, the same in each epoch; null: "
        "new ones in each epoch.",
    )
    flip_horizontal: _Share = Field(default=0.5, description="How often.")
    flip_vertical: _Share = Field(default=0.5, description="How often.")
    rotation_deg: float = Field(default=15.0, ge=0, le=180, description="Largest angle.")
    shear_deg: float = Field(default=2.0, ge=0, le=45, description="Largest angle.")
    translation: _Share = Field(default=0.01, description="Largest shift, of the patch's side.")
    crop: tuple[float, float] = Field(
        default=(0.6, 1.0),
        description="Side of the window that becomes the patch, of its side, at one of the "
        "`scales`.",
    )
    elastic_probability: _Share = Field(default=0.5, description="Elastic deformation.")
    elastic_amplitude_px: tuple[float, float] = Field(
        default=(0.5, 1.5), description="Standard deviation of the displacement."
    )
    elastic_smoothness_px: float = Field(
        default=16.0, gt=0, description="Standard deviation of the filter that smooths it."
    )
    blur_probability: _Share = Field(default=0.5, description="Gaussian blur.")
    blur_sigma_px: tuple[float, float] = Field(default=(0.0, 0.4), description="Its width.")
    blur_deformed: bool = Field(
        default=True, description="Whether examples that are deformed may be blurred as well."
    )
    gamma_probability: _Share = Field(default=0.3, description="Gamma curve.")
    gamma: tuple[float, float] = Field(default=(0.6, 1.7), description="Exponent.")
    contrast_probability: _Share = Field(default=0.3, description="Contrast and brightness.")
    contrast: tuple[float, float] = Field(default=(0.7, 1.4), description="Factor.")
    brightness: float = Field(
        default=0.2, ge=0, description="Largest shift that goes with it, in standard deviations."
    )
    inversion_probability: _Share = Field(
        default=0.5, description="Polarity inverted; never if the network knows bright bones alone."
    )
    noise_probability: _Share = Field(default=0.3, description="Gaussian noise.")
    noise_sigma: tuple[float, float] = Field(
        default=(0.0, 0.15), description="In standard deviations of the image."
    )
    display_probability: _Share = Field(
        default=0.3, description="Logarithm, unsharp mask or local contrast."
    )
    collimator_probability: _Share = Field(
        default=0.1,
        description="Straight edges, beyond them all dark or all bright; what they cover is open "
        "beam where most of the patch is painted.",
    )
    marker_probability: _Share = Field(
        default=0.1, description="A small bright mark in the open beam."
    )
    cutout_probability: _Share = Field(
        default=0.1, description="A rectangle of one grey value, unlabelled."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in (
            "crop",
            "elastic_amplitude_px",
            "blur_sigma_px",
            "gamma",
            "contrast",
            "noise_sigma",
        ):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be two rising numbers from 0 on")
        if self.crop[0] < 0.05 or self.crop[1] > 4:
            raise ValueError("crop must lie between 0.05 and 4")
        if self.gamma[0] == 0:
            raise ValueError("gamma must be above 0")
        return self


class Loss(_Part):
    """Weights of the terms of the loss, see `losses`."""

    cross_entropy: _Weight = Field(default=1.0, description="Weight of the cross-entropy.")
    dice: _Weight = Field(default=1.0, description="Weight of the Dice loss.")
    jaccard: _Weight = Field(default=0.0, description="Weight of the Jaccard loss.")
    lovasz: _Weight = Field(default=0.0, description="Weight of the Lovász-softmax loss.")
    class_weights: Literal["equal", "balanced"] | tuple[_Weight, _Weight, _Weight] = Field(
        default="balanced",
        description="In the cross-entropy: equal; balanced, by the inverse square root of how much "
        "of each class is painted; or three numbers, for open beam, soft tissue and bone.",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.cross_entropy + self.dice + self.jaccard + self.lovasz == 0:
            raise ValueError("at least one term must have a weight above 0")
        if isinstance(self.class_weights, tuple) and not any(self.class_weights):
            raise ValueError("at least one class must have a weight above 0")
        return self


class Optimiser(_Part):
    """How the weights are changed."""

    name: Literal["adamw", "rmsprop"] = Field(default="adamw", description="adamw or rmsprop.")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="At the start.")
    schedule: Literal["cosine", "inverse time", "constant"] = Field(
        default="cosine",
        description="cosine: to 0 at the last epoch; inverse time: rate / (1 + decay · step).",
    )
    decay: float = Field(default=0.0, ge=0, description="Of the inverse-time schedule.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Of AdamW.")


class FineTuning(_Part):
    """What holds a base model together while it learns; without a base it has no effect."""

    freeze: Literal["nothing", "encoder", "all but the head"] = Field(
        default="nothing", description="Convolutions that keep their weights."
    )
    batch_norm: Literal["frozen", "batch"] = Field(
        default="frozen",
        description="frozen: the base's statistics, scales and shifts; batch: the statistics of "
        "each batch, and scales and shifts are trained even in frozen layers.",
    )
    share: _Share = Field(
        default=0.5,
        description="Largest share of the trained weights in the model, the rest are those of the "
        "base (WiSE-FT, arXiv:2109.01903): less of them forgets less.",
    )
    forgetting: _Share = Field(
        default=0.01,
        description="The share is lowered until no more than this is lost of the accuracy on the "
        "sample radiographs; 1: it is not lowered.",
    )
    rehearsal: _Weight = Field(
        default=0.0,
        description="Weight of the sample radiographs in the loss, one in each batch.",
    )
    pseudo_labels: _Weight = Field(
        default=0.0,
        description="Weight of what the base says of unlabelled pixels, where it is confident.",
    )
    confidence: _Share = Field(
        default=0.9, description="Smallest probability that counts as confident."
    )


class TrainingConfig(_Part):
    """All parameters of a training run.

    The JSON of it is what ``napari-xnet train --config`` reads: any of these
    keys, the others are those of the preset.
    """

    seed: int = Field(
        default=0, ge=0, le=2**32 - 1, description="Of all random choices: same seed, same model."
    )
    architecture: Architecture | None = Field(
        default=None, description="None: that of the base, or a full-width XNet."
    )
    preprocessing: Preprocessing | None = Field(
        default=None, description="None: that of the base, or the usual one."
    )
    patch_px: int | None = Field(
        default=None,
        ge=32,
        le=4096,
        multiple_of=8,
        description="Side of the squares that the network trains on; null: of the working image.",
    )
    split: Split = Split()
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    fine_tuning: FineTuning = FineTuning()
    epochs: int = Field(default=100, ge=1, le=100_000, description="At most.")
    patience: int | None = Field(
        default=20,
        ge=1,
        description="Stop after so many epochs in which the validation loss did not fall; null: "
        "never.",
    )
    batch_norm_momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="How slowly the statistics of batch normalisation follow the batches, where "
        "they are not frozen. Keras's 0.99 needs hundreds of steps.",
    )
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        default="auto", description="auto: mixed_bfloat16 where the hardware is fast at it."
    )

    def for_polarity(self, polarity: str) -> Self:
        """Return the same without what contradicts the polarity of the network.

        Parameters
        ----------
        polarity : str
            See `Preprocessing`.
        """
        if polarity == "bone bright":
            augmentation = self.augmentation.model_copy(update={"inversion_probability": 0.0})
            return self.model_copy(update={"augmentation": augmentation})
        sampling = self.sampling.model_copy(update={"wrong_polarity": 0.0})
        return self.model_copy(update={"sampling": sampling})

    @classmethod
    def parse(cls, values: Any, base: "TrainingConfig | None" = None) -> Self:
        """Make a config of the keys that are given and, for the others, of a preset.

        Parameters
        ----------
        values : dict
            Keys may be missing at every level.
        base : TrainingConfig, optional
            Where the others come from, the defaults if None.

        Raises
        ------
        ConfigError
            If a key is unknown or a value out of range.
        """
        if not isinstance(values, dict):
            raise ConfigError('A training config is a JSON object: {"epochs": 50}, for example.')
        whole = _merge(base.model_dump(mode="json") if base else {}, values)
        try:
            return cls.model_validate_json(json.dumps(whole))
        except ValidationError as error:
            raise ConfigError(_sentence(error, cls)) from error
        except (TypeError, ValueError) as error:
            raise ConfigError(f"The training config is no JSON: {error}.") from error

    @classmethod
    def read(cls, path: Path, base: "TrainingConfig | None" = None) -> Self:
        """Read a config from a JSON file, see `parse`.

        Raises
        ------
        ConfigError
            If the file cannot be read or is not valid; the message names it.
        """
        try:
            values = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"The config {path} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"The config {path} is no JSON: {error}.") from error
        try:
            return cls.parse(values, base)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error


def _merge(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in values.items():
        old = merged.get(key)
        merged[key] = (
            _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged


def _sentence(error: ValidationError, config: type[BaseModel]) -> str:
    # An unknown name says more than what is missing because of it.
    faults = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    return " ".join(dict.fromkeys(_sentence_on(one, config) for one in faults))


def _sentence_on(fault: "ErrorDetails", config: type[BaseModel]) -> str:
    # As far as it names settings; what follows are places in a value.
    names: list[str] = []
    part: Any = config
    field: Any = None
    for name in fault["loc"]:
        known = getattr(part, "model_fields", {})
        if known and name not in known:
            where = ".".join([*names, str(name)])
            near = get_close_matches(str(name), known, n=1)
            meant = f' Did you mean "{near[0]}"?' if near else ""
            return f'There is no setting "{where}".{meant} Known here are: {", ".join(known)}.'
        if not known:
            break
        names.append(str(name))
        field = known[name]
        part = field.annotation
        part = next((one for one in getattr(part, "__args__", ()) if isinstance(one, type)), part)
    where = ".".join(names)
    reason = fault["msg"].removeprefix("Value error, ").rstrip(".")
    text = f'"{where}": {reason}.' if where else f"{reason}."
    about = field.description if field is not None and field.description else ""
    return f"{text} ({about.rstrip('.')}.)" if about and len(fault["loc"]) > len(names) else text


PRESETS = ("quick", "full", "paper")


def deeper() -> TrainingConfig:
    """Parameters by which a model that was painted live is trained: quick, and holding on to it."""
    quick = preset("quick")
    held = quick.fine_tuning.model_copy(update={"pseudo_labels": 0.3, "confidence": 0.8})
    # Of a few strokes nothing can be spared to validate.
    return quick.model_copy(update={"fine_tuning": held, "split": Split(by="nothing")})


def preset(name: str) -> TrainingConfig:
    """Parameters of a preset.

    Parameters
    ----------
    name : {"quick", "full", "paper"}
        quick: fine-tune a model in a minute or two; full: to convergence;
        paper: with the settings of the XNet paper and its published scripts,
        which start from scratch.

    Raises
    ------
    ConfigError
        If there is no such preset.
    """
    match name:
        case "quick":
            return TrainingConfig(
                patch_px=192,
                sampling=Sampling(batch=6, steps=10),
                augmentation=Augmentation(crop=(0.8, 1.25)),
                optimiser=Optimiser(learning_rate=5e-5),
                epochs=8,
                patience=None,
            )
        case "full":
            return TrainingConfig(
                patch_px=192,
                sampling=Sampling(batch=8, steps=50),
                augmentation=Augmentation(crop=(0.8, 1.25)),
                fine_tuning=FineTuning(share=1.0, forgetting=0.02, rehearsal=1.0),
                epochs=200,
                patience=20,
            )
        case "paper":
            return TrainingConfig(
                architecture=Architecture(name="xnet", l2=1e-4),
                preprocessing=Preprocessing(
                    size_px=200, percentiles=(0, 100), scaling="unit", polarity="as is"
                ),
                split=Split(by="image", validation=0.3),
                sampling=Sampling(batch=5, balance_classes=False),
                augmentation=Augmentation(
                    elastic_amplitude_px=(0.29, 0.87),
                    elastic_smoothness_px=0.25,
                    blur_probability=1,
                    blur_deformed=False,
                    gamma_probability=0,
                    contrast_probability=0,
                    inversion_probability=0,
                    noise_probability=0,
                    display_probability=0,
                    collimator_probability=0,
                    marker_probability=0,
                    cutout_probability=0,
                ),
                loss=Loss(dice=0, class_weights="equal"),
                optimiser=Optimiser(
                    name="rmsprop",
                    learning_rate=1e-4,
                    schedule="inverse time",
                    decay=1e-6,
                    weight_decay=0,
                ),
                epochs=5000,
                patience=20,
                batch_norm_momentum=0.99,
            )
    raise ConfigError(f'There is no preset "{name}". The presets are: {", ".join(PRESETS)}.')
