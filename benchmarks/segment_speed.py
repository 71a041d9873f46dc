"""Time `segment` of a 1500 × 1500 uint16 radiograph against the bare network.

Usage: python benchmarks/segment_speed.py [--repeat N]

Full width and the default model, in one run, alternating, so that what else
the machine does weighs on both sides alike. The bare network gets the same
working image, at the sizes, polarities and mirror images that the model's card asks for.
Reported are medians and the ratio of the medians.
"""

import argparse
import statistics
import time

import numpy as np

import napari_xnet
from napari_xnet.imaging import working_image
from napari_xnet.models import Architecture, Model, ModelCard, Preprocessing, load_model
from napari_xnet.models.model import build


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat

    # Smooth structures with noise: what is computed does not depend on content.
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((30, 30)), np.ones((50, 50)))
    image = ((coarse + 0.05 * rng.random(coarse.shape)) * 60_000).astype(np.uint16)

    print("| model | bare network | `segment` | ratio |")
    print("|---|---|---|---|")
    for title, model in (
        ("full width, one polarity", _full_width("as is")),
        ("full width, both polarities", _full_width("both")),
        ("default (quarter width, three sizes, mirrored)", load_model()),
    ):
        batch = working_image(image, model.card.preprocessing.size_px).data[np.newaxis]
        bare, whole = [], []
        for _ in range(repeat + 1):
            bare.append(_seconds(lambda m=model, b=batch: m.predict(b)))
            whole.append(_seconds(lambda m=model: napari_xnet.segment(image, m)))
        network, call = statistics.median(bare[1:]), statistics.median(whole[1:])
        print(f"| {title} | {network:.2f} s | {call:.2f} s | {call / network:.2f} |", flush=True)


def _full_width(polarity: str) -> Model:
    card = ModelCard(
        name="full width",
        architecture=Architecture(name="xnet"),
        preprocessing=Preprocessing(polarity=polarity),
    )
    return Model(card, build(card))


def _seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
