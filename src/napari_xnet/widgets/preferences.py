"""Preferences > XNet, as the manifest declares them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari.settings import get_plugin_settings

SMALLEST_PX = 64
"""Networks see nothing in smaller images."""


@dataclass(frozen=True)
class Preferences:
    """What the user set in Preferences > XNet.

    Attributes
    ----------
    models_folder : Path or None
        Folder of the user's models, None for the usual one.
    size_px : int or None
        Long side of the working image, None for that of the model.
    device : {"auto", "cpu"}
        Where the network runs.
    memory_mb : int
        Memory that the network may use at once.
    live_cache_mb : int
        Room on disk for what live segmentation knows of radiographs.
    """

    models_folder: Path | None
    size_px: int | None
    device: str
    memory_mb: int
    live_cache_mb: int

    @classmethod
    def current(cls) -> "Preferences":
        """Read the preferences as they are now."""
        settings = get_plugin_settings("napari-xnet").segmentation
        folder = settings.models_folder.strip()
        return cls(
            models_folder=Path(folder).expanduser() if folder else None,
            size_px=max(settings.working_size_px, SMALLEST_PX)
            if settings.working_size_px
            else None,
            device=settings.device,
            memory_mb=settings.memory_mb,
            live_cache_mb=settings.live_cache_mb,
        )

    @staticmethod
    def on_models_folder_changed(callback: Callable[[], None]) -> None:
        """Call a method, held weakly, when the user chooses another model folder."""
        settings = get_plugin_settings("napari-xnet").segmentation
        settings.events.models_folder.connect(callback)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the engine."""
        return {"CUDA_VISIBLE_DEVICES": "-1"} if self.device == "cpu" else {}
