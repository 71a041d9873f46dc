"""The form of *Train XNet*: name, base model, preset, and the settings that differ from it."""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FileEdit,
    FloatSpinBox,
    LineEdit,
    SpinBox,
)
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xnet.errors import ConfigError
from napari_xnet.models import Preprocessing, list_models, show_model
from napari_xnet.models.store import free_name
from napari_xnet.training.config import PRESETS, TrainingConfig, preset
from napari_xnet.training.run import NONE
from napari_xnet.widgets.parts import Fold, keep_wheel_for_scrolling
from napari_xnet.widgets.preferences import Preferences

_FIRST_NAME = "my model"
_PATCHES_PX = sorted(
    {128, 192, 256, 320, 384, 448}.union(px for name in PRESETS if (px := preset(name).patch_px))
)

_PRESET_TIPS = (
    "quick: fine-tune the base model, a minute or two on a laptop.\n"
    "full: train until the validation stops improving, an evening on a laptop.\n"
    "paper: from scratch with the settings of the XNet paper, many hours without a graphics card."
)

_KEYS: dict[str, tuple[str, ...]] = {
    "epochs": ("epochs",),
    "batch": ("sampling", "batch"),
    "learning_rate": ("optimiser", "learning_rate"),
    "patch_px": ("patch_px",),
    "freeze": ("fine_tuning", "freeze"),
    "augmentation": ("augmentation", "enabled"),
    "validation": ("split", "validation"),
    "seed": ("seed",),
}
"""Where the value of each advanced setting stands in a config."""


class TrainSettings(QWidget):
    """What to train, and how; the advanced settings are folded."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self.name = LineEdit(
            name="model_name",
            label="Model name",
            value=_FIRST_NAME,
            tooltip="Name of the new model: letters, digits, spaces, dots, hyphens.",
        )
        self.base = ComboBox(
            name="base",
            label="Base model",
            choices=lambda _: _bases(),
            tooltip="The model to start from. From scratch takes far more pairs and time.",
        )
        self.preset = ComboBox(
            name="preset", label="Preset", choices=list(PRESETS), tooltip=_PRESET_TIPS
        )
        self._base_before_paper: str | None = None
        self._advanced = _advanced()
        self._config_file = FileEdit(
            name="config_file",
            label="Config file",
            mode="r",
            filter="JSON (*.json)",
            nullable=True,
            tooltip="A JSON file with settings that go before those here, as "
            "napari-xnet train --config takes.",
        )
        folded = [*self._advanced.values(), self._config_file]
        self._fold = Fold(
            "fold", "Advanced settings", folded, tooltip="Show or hide what the preset has set."
        )
        self._choices = [self.name, self.base, self.preset, *folded]
        self._form = Container(name="train_form")
        # Adding them together aligns their labels.
        self._form.extend([self.name, self.base, self.preset, self._fold, *folded])
        self._form.margins = (0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._form.native)
        for widget in self._choices:
            keep_wheel_for_scrolling(widget.native)

        self.preset.changed.connect(self._on_preset_changed)
        self.base.changed.connect(self._mark_changed)
        for widget in self._advanced.values():
            widget.changed.connect(self._mark_changed)
        self._fold.show_fold()
        self.show_preset()
        self.propose_name()

    def config(self) -> TrainingConfig:
        """Return the preset with what differs from it, and the config file over that.

        Raises
        ------
        ConfigError
            If a value is out of range, or the file cannot be read or has
            unknown keys.
        """
        rate = self._advanced["learning_rate"].value
        if not 0 < _number(rate) <= 1:
            raise ConfigError(
                "Learning rate must be a number above 0, at most 1 (5e-5, for example), not "
                f'"{rate}".'
            )
        config = TrainingConfig.parse(self.differences(), preset(self.preset.value))
        path = self._config_file.value
        if path and str(path) not in ("", "."):
            config = TrainingConfig.read(Path(path), config)
        return config

    def differences(self) -> dict[str, Any]:
        """Return the advanced settings that differ from the preset, as keys of a config."""
        whole = preset(self.preset.value).model_dump()
        result: dict[str, Any] = {}
        for name, keys in _KEYS.items():
            value = _value(self._advanced[name])
            if value != _get(whole, keys):
                part = result
                for key in keys[:-1]:
                    part = part.setdefault(key, {})
                part[keys[-1]] = value
        return result

    def preprocessing(self, config: TrainingConfig) -> Preprocessing:
        """Return how radiographs become working images in a run with these settings.

        Raises
        ------
        ModelError
            If the base model is gone.
        """
        if config.preprocessing:
            return config.preprocessing
        if self.base.value == NONE:
            return Preprocessing()
        return show_model(self.base.value, Preferences.current().models_folder).preprocessing

    def show_preset(self) -> None:
        """Set the advanced settings to those of the preset."""
        whole = preset(self.preset.value).model_dump()
        for name, keys in _KEYS.items():
            value = _get(whole, keys)
            widget = self._advanced[name]
            if isinstance(widget, LineEdit):
                value = f"{value:g}"
            widget.value = value
        self._mark_changed()

    def propose_name(self) -> None:
        """Propose a name that no model has."""
        self.name.value = free_name(_FIRST_NAME, Preferences.current().models_folder)

    def refresh_models(self) -> None:
        """Offer the models that there are now."""
        self.base.reset_choices()

    def fold(self) -> None:
        """Hide the advanced settings, to make room for what is below."""
        self._fold.value = False
        self._fold.show_fold()

    def set_enabled(self, enabled: bool) -> None:
        """Let the user change the settings, or not."""
        self._enabled = enabled
        for widget in self._choices:
            widget.enabled = enabled
        self._mark_changed()

    def _on_preset_changed(self) -> None:
        if self.preset.value == "paper":
            self._base_before_paper = self.base.value
            self.base.value = NONE
        elif self._base_before_paper and self.base.value == NONE:
            self.base.value = self._base_before_paper
            self._base_before_paper = None
        self.show_preset()

    def _mark_changed(self) -> None:
        self._advanced["freeze"].enabled = self._enabled and self.base.value != NONE
        self._fold.note(" (changed)" if self.differences() else "")


def _advanced() -> dict[str, Any]:
    widgets: Sequence[Any] = (
        SpinBox(
            name="epochs",
            label="Epochs",
            min=1,
            max=100_000,
            tooltip="At most so many; an epoch is a round of steps.",
        ),
        SpinBox(name="batch", label="Batch", min=1, max=1024, tooltip="Examples in a step."),
        LineEdit(
            name="learning_rate",
            label="Learning rate",
            tooltip="How far a step goes. Fine-tuning wants less than training from scratch.",
        ),
        ComboBox(
            name="patch_px",
            label="Patch",
            choices=[("whole image", None), *((f"{px} px", px) for px in _PATCHES_PX)],
            tooltip="Side of the square of the working image that the network learns from at once.",
        ),
        ComboBox(
            name="freeze",
            label="Freeze",
            choices=["nothing", "encoder", "all but the head"],
            tooltip="Parts of the base model that stay as they are.",
        ),
        CheckBox(
            name="augmentation",
            label="Augmentation",
            tooltip="Rotate, flip, stretch, blur and so on, anew in each epoch.",
        ),
        FloatSpinBox(
            name="validation",
            label="Validation share",
            min=0.01,
            max=0.99,
            step=0.05,
            tooltip="Part of the radiographs (with fewer than 4, of the painted regions) that is "
            "not trained on but tells how good the model is.",
        ),
        SpinBox(
            name="seed",
            label="Seed",
            min=0,
            max=2**31 - 1,
            tooltip="The same seed gives the same model.",
        ),
    )
    return {widget.name: widget for widget in widgets}


def _bases() -> list[tuple[str, str]]:
    models = list_models(Preferences.current().models_folder)
    return [*((name, name) for name in models), ("none (from scratch)", NONE)]


def _value(widget: Any) -> Any:
    if isinstance(widget, LineEdit):
        with contextlib.suppress(ValueError):
            return float(widget.value)
    if isinstance(widget, FloatSpinBox):
        return round(widget.value, 6)
    return widget.value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _get(values: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        values = values[key]
    return values
