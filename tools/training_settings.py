"""Write docs/training-settings.md, the reference of all settings of a training run, from the code.

Usage: python tools/training_settings.py
"""

import json
from pathlib import Path

from pydantic import BaseModel

from napari_xnet.models import Architecture, Preprocessing
from napari_xnet.training.config import (
    PRESETS,
    Augmentation,
    FineTuning,
    Loss,
    Optimiser,
    Sampling,
    Split,
    TrainingConfig,
    preset,
)

PAGE = Path(__file__).parent.parent / "docs" / "training-settings.md"

_HEAD = """# Settings of a training run

All keys of a config file (`napari-xnet train --config FILE.json`, *Advanced settings >
Config file*, `napari_xnet.train(config=)`) and their values in the presets. Keys that you
leave out keep the value of the preset.
"""

_PARTS: dict[str, tuple[type[BaseModel], str]] = {
    "": (TrainingConfig, "The run"),
    "architecture": (Architecture, "Network"),
    "preprocessing": (Preprocessing, "From a radiograph to the working image"),
    "split": (Split, "Training and validation"),
    "sampling": (Sampling, "Batches"),
    "augmentation": (Augmentation, "Augmentation"),
    "loss": (Loss, "Loss"),
    "optimiser": (Optimiser, "Optimiser"),
    "fine_tuning": (FineTuning, "Fine-tuning a base model"),
}


def page() -> str:
    """Return the page as Markdown."""
    presets = {name: preset(name).model_dump(mode="json") for name in PRESETS}
    lines = [_HEAD]
    for key, (part, title) in _PARTS.items():
        lines.append(f"## {title}\n")
        if key:
            lines.append(f'`{{"{key}": {{…}}}}`\n')
        lines.append(f"| key | meaning | {' | '.join(PRESETS)} |")
        lines.append(f"|---|---|{'---|' * len(PRESETS)}")
        for name, field in part.model_fields.items():
            if not key and name in _PARTS:
                continue
            values = []
            for whole in presets.values():
                chosen = whole[key] if key else whole
                values.append("of the base" if chosen is None else f"`{json.dumps(chosen[name])}`")
            meaning = field.description
            lines.append(f"| `{name}` | {meaning} | {' | '.join(values)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
