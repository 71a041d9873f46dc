"""Curves of loss and Dice."""

import math
from dataclasses import fields

import pytest
from napari.components import ViewerModel
from napari.utils.theme import get_theme

from napari_xnet.training.events import EpochEnd
from napari_xnet.widgets.curves import Curves


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def curves(viewer, qtbot):
    curves = Curves(viewer)
    qtbot.addWidget(curves)
    return curves


def epoch(number, loss=1.0, val_loss=2.0):
    known = {"epoch": number, "loss": loss, "val_loss": val_loss, "best": False}
    return EpochEnd(**{field.name: 0.5 for field in fields(EpochEnd)} | known)


def test_what_is_no_number_is_left_out(curves):
    curves.add(epoch(0, loss=math.nan, val_loss=3.0))
    curves.add(epoch(1))
    curves.add(epoch(2, val_loss=math.nan))
    assert curves.values("loss") == ([1, 2], [1.0, 1.0])
    assert curves.values("val_loss") == ([0, 1], [3.0, 2.0])


def test_a_repeated_epoch_replaces_what_came_from_it_on(curves):
    curves.set_history([epoch(0), epoch(1), epoch(2), epoch(3)])
    curves.add(epoch(2, loss=0.5))
    assert [one.epoch for one in curves.history] == [0, 1, 2]
    assert curves.values("loss")[1] == [1.0, 1.0, 0.5]


def test_colours_follow_the_theme(viewer, curves):
    for name in ("light", "dark"):
        viewer.theme = name
        for plot in curves._plots.values():
            shown = plot.backgroundBrush().color().name()
            assert shown == get_theme(name).background.as_hex("long")


def test_it_stays_low(curves):
    assert curves.height() < 190
