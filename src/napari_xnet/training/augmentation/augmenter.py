"""From a working image and its labels to an example that the network has not seen before."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xnet.training.augmentation import geometry, intensity, overlays
from napari_xnet.training.config import Augmentation

Example = tuple[NDArray[np.float32], NDArray[np.uint8]]


@dataclass(frozen=True)
class Augmenter:
    """Cuts a patch out of a working image and changes it at random.

    The same image, labels, place and state of the generator give the same
    bits. It has no state of its own: threads can share it.

    Attributes
    ----------
    config : Augmentation
        What is changed, how often and how much. If it is not enabled, patches
        are plain windows.
    patch_px : int
        Side P of the patch.
    scaling : {"standard", "unit"}
        That of the working images, see `imaging.working_image`.
    scales : tuple of float
        Sizes at which the network is asked, relative to that of the working
        image. Each patch shows it at one of them.

    Notes
    -----
    In this order: one geometric resampling; a marker, then the collimator, whose
    shadow can hide it; display processing, gamma, contrast, blur, inversion
    and noise; cut-outs.
    """

    config: Augmentation
    patch_px: int
    scaling: Literal["standard", "unit"] = "standard"
    scales: tuple[float, ...] = (1.0,)

    def __call__(
        self,
        image: NDArray[np.float32],
        labels: NDArray[np.uint8],
        rng: np.random.Generator,
        near: tuple[float, float] | None = None,
    ) -> Example:
        """Make an example.

        Parameters
        ----------
        image : ndarray of float32, shape (H, W)
            A working image.
        labels : ndarray of uint8, shape (H, W)
            Any values; 0 is unlabelled and 1 open beam.
        rng : numpy.random.Generator
        near : (float, float), optional
            y and x in px of the image, of what the patch is to show. Where
            the window lies is random, but inside of the image as far as
            possible, also if nothing else is random.

        Returns
        -------
        ndarray of float32, shape (P, P)
            Beyond the borders the image is reflected.
        ndarray of uint8, shape (P, P)
            0 beyond the borders and in cut-outs, 1 under a collimator.
        """
        config = self.config
        scale = 1 / self.scales[int(rng.integers(len(self.scales)))]
        if config.enabled:
            scale *= geometry.draw_scale(config, rng)
        shape = (image.shape[0], image.shape[1])
        centre = geometry.draw_centre(shape, self.patch_px, scale, rng, near)
        if not config.enabled:
            coordinates = geometry.window_coordinates(self.patch_px, centre, scale)
            return (
                geometry.sample_image(image, coordinates, scale),
                geometry.sample_labels(labels, coordinates),
            )
        deform = rng.random() < config.elastic_probability
        coordinates = geometry.draw_coordinates(config, self.patch_px, scale, centre, deform, rng)
        patch = geometry.sample_image(image, coordinates, scale)
        patch_labels = geometry.sample_labels(labels, coordinates)
        grey = intensity.Grey.of(image, self.scaling)
        if rng.random() < config.marker_probability:
            patch, patch_labels = overlays.add_marker(patch, patch_labels, grey, rng)
        if rng.random() < config.collimator_probability:
            patch, patch_labels = overlays.add_collimator(patch, patch_labels, grey, rng)
        blur = config.blur_deformed or not deform
        patch = intensity.change_intensity(patch, grey, config, rng, blur)
        if rng.random() < config.cutout_probability:
            patch, patch_labels = overlays.cut_out(patch, patch_labels, grey, rng)
        return patch, patch_labels
