"""The part of *Segment radiograph* that says what is done to the probabilities."""

from typing import Any

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, Label, Slider, SpinBox
from psygnal import Signal

from napari_xnet.inference.postprocess import SIZE_UNITS
from napari_xnet.models import PurityCurve, SoftTissue
from napari_xnet.widgets.parts import Fold, row, text_line

_LOGITS = (-2.0, 9.0)
"""Of the lowest and the highest threshold: where probabilities are near 1, steps are finer."""
_STEPS = 110
_ANY = "any"


class PostProcessingForm:
    """A slider from more to purer soft tissue, and, folded, steps that look at regions.

    Attributes
    ----------
    widgets : list of widget
        In the order in which they go into a dock.
    remembered : dict from str to widget
    changed : Signal
        Emitted when a choice, the user's or a proposed one, has changed.
    """

    changed = Signal()
    standard_detail = True
    """Whether the network sees the radiograph at the size that it was calibrated for."""

    def __init__(self) -> None:
        self._known: SoftTissue | None = None
        self._on = CheckBox(
            name="use_threshold",
            label=" ",
            tooltip="On: soft tissue only where its probability is above a threshold; the rest "
            "becomes the likelier of open beam and bone. Off: the likeliest class everywhere.",
        )
        self._slider = Slider(
            name="purity",
            label=" ",
            min=0,
            max=_STEPS,
            value=_position(0.8),
            readout=False,
            tooltip="To the left more soft tissue is found, to the right it is purer: less open "
            "beam and bone is taken for it.",
        )
        self._group = ComboBox(
            name="group",
            label="Body part",
            choices=lambda _: [_ANY, *(self._known.groups if self._known else ())],
            tooltip="The expected rates, and the proposed threshold, are those of this part.",
            visible=False,
        )
        self._expected = text_line("expected")
        sizes = {
            "bone_cleanup": (
                "Bone clean-up",
                "Remove islands of bone that hold no square of this side. 0 keeps them.",
            ),
            "largest_hole": (
                "Fill holes",
                "Fill holes in bone, and in the body, smaller than a square of this side.",
            ),
            "bone_dilation": (
                "Dilate bone",
                "Paint bone over soft tissue as far as a square of this side reaches around it: "
                "the borders of soft tissue become purer.",
            ),
            "smallest_region": (
                "Smallest tissue",
                "Remove regions of soft tissue smaller than a square of this side. 0 keeps them.",
            ),
        }
        self._sizes = {
            name: SpinBox(name=name, label=label, value=0, min=0, max=1000, tooltip=tip)
            for name, (label, tip) in sizes.items()
        }
        self._unit = ComboBox(
            name="size_unit",
            label="Sizes in",
            choices=list(SIZE_UNITS),
            tooltip="px: pixels of the image as the network sees it. mm: needs a pixel size.",
        )
        self._proposed_region = 0
        folded = [*self._sizes.values(), self._unit]
        self._fold = Fold(
            "fold", "Clean-up", folded, tooltip="What is done to regions of the segmentation."
        )
        self.widgets: list[Any] = [
            row(
                self._on,
                Label(value="more"),
                self._slider,
                Label(value="purer"),
                label="Soft tissue",
            ),
            self._expected,
            self._group,
            self._fold,
            *folded,
        ]
        self.remembered = {widget.name: widget for widget in (self._on, self._slider, *folded)}
        self._on.changed.connect(self._propose_region)
        for widget in (self._on, self._slider, *folded):
            widget.changed.connect(self._on_changed)
        self._group.changed.connect(self._propose)

    def steps(self) -> dict[str, Any]:
        """Return what is chosen, as fields of `PostProcessing`."""
        chosen = {name: float(widget.value) for name, widget in self._sizes.items()}
        threshold = self._threshold if self._on.value else None
        return {**chosen, "soft_tissue_threshold": threshold, "size_unit": self._unit.value}

    def show_model(self, known: SoftTissue | None) -> None:
        """Take the calibration of a model, or none; propose its threshold."""
        if known == self._known:
            return
        self._known = known
        self._group.reset_choices()
        self._group.visible = len(self._group.choices) > 1
        self._propose_region()
        self._propose()

    def refresh(self) -> None:
        """Show what is chosen, after the fold was put into a dock or values were recalled."""
        self._fold.show_fold()
        self._group.visible = len(self._group.choices) > 1
        self._show()

    def _as_calibrated(self) -> bool:
        """Whether the steps, and the detail, are those that the calibration was made with."""
        smallest = self._sizes["smallest_region"].value
        return (
            _off(self._sizes)
            and smallest == self._proposed_region
            and (self._unit.value == "px" or not smallest)
            and self.standard_detail
        )

    @property
    def _threshold(self) -> float:
        return threshold_at(self._slider.value)

    def _propose_region(self) -> None:
        """Do what the calibration was made with, as long as its threshold is used."""
        spin = self._sizes["smallest_region"]
        wanted = round(self._known.smallest_region) if self._known and self._on.value else 0
        if spin.value == self._proposed_region:
            spin.value = wanted
        self._proposed_region = wanted

    def _propose(self) -> None:
        if self._known:
            group = "" if self._group.value in (_ANY, None) else self._group.value
            threshold = self._known.threshold(group)
            # Farther to the right soft tissue would be lost, but be no purer.
            purest = self._curve(self._known).nearest(0.0).threshold
            self._limit(max(_position(purest), _position(threshold)))
            self._slider.value = _position(threshold)
        else:
            self._limit(_STEPS)
        self._on_changed()

    def _limit(self, highest: int) -> None:
        self._slider.value = min(self._slider.value, highest)
        self._slider.max = max(highest, 1)

    def _curve(self, known: SoftTissue) -> PurityCurve:
        """Return the curve of the chosen body part."""
        return known.groups.get(self._group.value, known.curve)

    def _on_changed(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        self._slider.enabled = self._on.value
        count = sum(bool(widget.value) for widget in self._sizes.values())
        self._fold.note(f" ({count} on)" if count else "")
        if not self._on.value:
            self._expected.value = "The likeliest class everywhere."
            return
        text = f"Threshold {self._threshold:.4g}."
        if self._known:
            rates = self._curve(self._known).at(self._threshold)
            text = (
                f"Expected: {_percent(rates.true_positive_rate, 0)} of the soft tissue is found; "
                f"of what is labelled so, {_percent(rates.false_share, 1)} is none. {text}"
            )
            if not self._as_calibrated():
                text += " (Measured with other settings of Detail or Clean-up.)"
            self._expected.tooltip = f"Measured on {self._known.data}." if self._known.data else ""
        else:
            text += " This model was not calibrated: napari-xnet evaluate --calibrate."
        self._expected.value = text


def _off(sizes: dict[str, Any]) -> bool:
    return not any(widget.value for name, widget in sizes.items() if name != "smallest_region")


def threshold_at(position: int) -> float:
    """Soft-tissue threshold at a position of the slider."""
    low, high = _LOGITS
    return float(1 / (1 + np.exp(-(low + (high - low) * position / _STEPS))))


def _position(threshold: float) -> int:
    """First position of the slider that is at least as pure."""
    low, high = _LOGITS
    logit = np.log(threshold / (1 - threshold)) if 0 < threshold < 1 else high
    return int(np.clip(np.ceil((logit - low) / (high - low) * _STEPS - 1e-6), 0, _STEPS))


def _percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"
