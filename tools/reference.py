"""Write the pages of docs/reference that say what the code says.

Usage: python tools/reference.py
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import npe2
from pydantic import BaseModel

from napari_xnet.cli import parser
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

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"

_SETTINGS = """# Settings of a training run

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


_COMMANDS = """# Command line

Results go to stdout, progress and errors to stderr. Exit codes:

| code | |
|---|---|
| 0 | done |
| 1 | some inputs failed; each is named on stderr, the others are done |
| 2 | the call is wrong, or nothing could be done; one line on stderr says why |
| 130 | interrupted by *Ctrl+C*; what was finished is kept |
"""

_DEFAULT = re.compile(r" \(default: (.*)\)$")

_WINDOW = """# Menus, files and preferences

What napari offers of *XNet*. The settings of each dock are in [Docks](docks.md).
"""


def pages() -> dict[str, str]:
    """Return the pages as Markdown, by their file names."""
    return {
        "training-settings.md": training_settings(),
        "command-line.md": command_line(),
        "window.md": window(),
    }


def training_settings() -> str:
    """Return the page on the settings of a training run."""
    presets = {name: preset(name).model_dump(mode="json") for name in PRESETS}
    lines = [_SETTINGS]
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


def command_line() -> str:
    """Return the page on the command line."""
    whole = parser()
    lines = [_COMMANDS]
    for command in _commands(whole):
        lines += [f"## {command.prog}", "", _sentence(command.description), ""]
        actions = _commands(command)
        if actions:
            lines += ["| action | arguments | does |", "|---|---|---|"]
            for one in actions:
                name = one.prog.rpartition(" ")[2]
                given = " ".join(_call(argument) for argument in _arguments(one)) or "–"
                lines.append(f"| `{name}` | {given} | {_sentence(_help_of(command, name))} |")
            lines.append("")
        else:
            first, second, *others = command._action_groups  # arguments without a name come first
            lines += _table([*first._group_actions, *second._group_actions])
            for group in others:
                title = _sentence(group.title).rstrip(".")
                lines += [f"**{title}.** {_sentence(group.description)}", ""]
                lines += _table(group._group_actions)
    return "\n".join(lines)


def _commands(command: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = [one for one in command._actions if isinstance(one, argparse._SubParsersAction)]
    return list(found[0].choices.values()) if found else []


def _help_of(command: argparse.ArgumentParser, name: str) -> str:
    (found,) = (one for one in command._actions if isinstance(one, argparse._SubParsersAction))
    return next(one.help or "" for one in found._choices_actions if one.dest == name)


def _arguments(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (one for one in command._actions if not isinstance(one, argparse._HelpAction))


def _table(actions: list[argparse.Action]) -> list[str]:
    actions = [one for one in actions if not isinstance(one, argparse._HelpAction)]
    if not actions:
        return []
    lines = ["| argument | meaning | default |", "|---|---|---|"]
    for one in actions:
        default = "required" if one.required else _default(one)
        lines.append(f"| {_call(one)} | {_meaning(one)} | {default} |")
    return [*lines, ""]


def _call(action: argparse.Action) -> str:
    metavar = action.metavar or action.dest
    if action.choices is not None:
        metavar = "{" + ",".join(action.choices) + "}"
    values = " ".join(metavar) if isinstance(metavar, tuple) else str(metavar)
    if not action.option_strings:
        return _code(values + (" …" if action.nargs == "+" else ""))
    if action.nargs == 0:
        values = ""
    elif action.metavar is None and action.choices is None:
        values = action.dest.upper()
    many = " …" if action.nargs == "+" else ""
    return ", ".join(_code(f"{name} {values}{many}".strip()) for name in action.option_strings)


def _meaning(action: argparse.Action) -> str:
    # The default has a column of its own.
    return _sentence(_DEFAULT.sub("", action.help or ""))


def _default(action: argparse.Action) -> str:
    if explained := _DEFAULT.search(action.help or ""):
        return str(explained[1]).replace("%(default)s", str(action.default))
    if action.default in (None, False, ()):
        return "–"
    return _code(str(action.default))


def window() -> str:
    """Return the page on what the manifest declares."""
    manifest = npe2.PluginManifest.from_file(ROOT / "src" / "napari_xnet" / "napari.yaml")
    all_of_it = manifest.contributions
    titles = {one.id: one.title for one in all_of_it.commands or []}
    lines = [_WINDOW, "## Menus", "", "| where | what |", "|---|---|"]
    for menu, items in (all_of_it.menus or {}).items():
        path = " > ".join(part.capitalize() for part in menu.split("/")[1:])
        lines += [f"| *{path}* | {titles[item.command]} |" for item in items]
    lines += [f"| *Plugins > XNet* | {one.display_name} |" for one in all_of_it.widgets or []]
    lines += [
        f"| *File > Open Sample > XNet* | {one.display_name} |" for one in all_of_it.sample_data
    ]
    lines += ["", "## Files", "", "| files | |", "|---|---|"]
    for reader in all_of_it.readers or []:
        lines.append(f"| {_patterns(reader.filename_patterns)} | {titles[reader.command]} |")
    for writer in all_of_it.writers or []:
        patterns = [f"*{extension}" for extension in writer.filename_extensions]
        lines.append(f"| {_patterns(patterns)} | {titles[writer.command]} |")
    lines += ["", "## Preferences > XNet", "", "| | meaning | default |", "|---|---|---|"]
    for part in all_of_it.configurations.values():
        for one in part.properties.values():
            default = f"`{one.default}`" if one.default != "" else "empty"
            lines.append(f"| {one.title} | {one.description} | {default} |")
    return "\n".join([*lines, ""])


def _patterns(patterns: list[str]) -> str:
    return ", ".join(_code(one) for one in sorted({one.lower() for one in patterns}))


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _sentence(text: str | None) -> str:
    text = (text or "").strip()
    for special in "|*":
        text = text.replace(special, f"\\{special}")
    text = text.replace("<", "&lt;")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")
