"""Write docs/reference/docks.md, the reference of all settings and buttons, from the docks.

Usage: python tools/docks.py (needs a display)
"""

from pathlib import Path
from typing import Any

import napari
import npe2
from qtpy.QtWidgets import QWidget

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "docks.md"

_HEAD = """# Docks

Each setting and button, in the order in which the docks show them, and what its tooltip says.
"""
_NO_CONTROL = {"Container", "Label", "ProgressBar", "_LabeledWidget"}


def page(viewer: napari.Viewer) -> str:
    """Return the page as Markdown; opens all docks."""
    manifest = npe2.PluginManifest.from_file(ROOT / "src" / "napari_xnet" / "napari.yaml")
    lines = [_HEAD]
    for dock in manifest.contributions.widgets or []:
        _, widget = viewer.window.add_plugin_dock_widget("napari-xnet", dock.display_name)
        lines += [f"## {dock.display_name}", "", "| | |", "|---|---|"]
        lines += [f"| {_name(one)} | {' '.join(one.tooltip.split())} |" for one in controls(widget)]
        lines.append("")
    return "\n".join(lines)


def controls(dock: QWidget) -> list[Any]:
    """Return what can be set or pressed in a dock."""
    native = getattr(dock, "native", dock)
    widgets = [getattr(one, "_magic_widget", None) for one in native.findChildren(QWidget)]
    return [one for one in widgets if one is not None and one.name and _is_control(one)]


def _is_control(widget: Any) -> bool:
    return type(widget).__name__ not in _NO_CONTROL


def _name(widget: Any) -> str:
    """Name a control as its text or label does, or else that of the row it is in."""
    native = widget.native
    name = getattr(widget, "text", "") or widget.label
    while not name.strip():
        native = native.parentWidget()
        name = getattr(getattr(native, "_magic_widget", None), "label", "")
    name = name.strip(" ▸▾")
    return f"**{name}**" if type(widget).__name__ in ("PushButton", "Fold") else name


if __name__ == "__main__":
    viewer = napari.Viewer(show=False)
    PAGE.write_text(page(viewer), "utf-8")
    viewer.close()
