"""The class table."""

import re

from napari_xnet import tissue


def test_values_and_names_are_those_of_the_contract():
    assert tissue.UNLABELLED == 0
    assert [(one.value, one.name) for one in tissue.CLASSES] == [
        (1, "open beam"),
        (2, "soft tissue"),
        (3, "bone"),
    ]
    assert tissue.NAMES == ("open beam", "soft tissue", "bone")


def test_each_class_has_a_colour_of_its_own_and_the_rest_none():
    colours = tissue.colormap()
    assert set(colours) == {None, 0, 1, 2, 3}
    assert colours[None] == colours[0] == "#00000000"
    own = [colours[one.value] for one in tissue.CLASSES]
    assert len(set(own)) == 3
    assert all(re.fullmatch("#[0-9a-f]{6}", one) for one in own)
