"""Convert the interim weights (an .npz of the quarter-width XNet) to `models/default`.

Usage: python recipes/interim_weights.py FILE.npz
"""

import sys
from pathlib import Path

import numpy as np

import napari_xnet
from napari_xnet.models import Architecture, Model, ModelCard, Preprocessing
from napari_xnet.models.model import build

card = ModelCard(
    name="default",
    summary="Interim model: good enough to try the program, not good enough to rely on.",
    status="interim",
    architecture=Architecture(name="xnet", filters=(16, 32, 64, 128)),
    preprocessing=Preprocessing(size_px=448, percentiles=(0.5, 99.5), polarity="both"),
    training={
        "simulated_radiographs": 1000,
        "real_radiographs": 8,
        "minutes": 38,
        "crop_px": 192,
        "sources": ["myo-sim (Apache-2.0)", "radiographs in the public domain or CC0"],
    },
    metrics={
        "data": "14 real radiographs of body parts that were not in the training set",
        "accuracy": 0.85,
        "f1": {"open beam": 0.93, "soft tissue": 0.77, "bone": 0.82},
        "auc": 0.95,
    },
    date="2026-11-22",
    licence="BSD-3-Clause",
)
model = Model(card, build(card))
with np.load(sys.argv[1], allow_pickle=False) as arrays:
    # Both hold convolution and normalisation of each block in the order of the graph.
    model.network.set_weights([arrays[name] for name in arrays.files])
model.save(Path(napari_xnet.__file__).parent / "models" / "default")
