"""Which labels go with which radiograph, and how much is painted in them."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_xnet import tissue
from napari_xnet.io.label_layers import METADATA_KEY, digest, tissue_appearance
from napari_xnet.widgets import painted
from napari_xnet.widgets.painted import Amount, Painted


def image(name, shape=(8, 8)):
    return Image(np.zeros(shape, np.uint16), name=name)


def labels(name, shape=(8, 8), value=0):
    return Labels(np.full(shape, value, np.uint8), name=name, **tissue_appearance())


def propose(images, layers, predicted=()):
    return painted.propose(images, layers, lambda layer: layer in predicted)


def test_labels_of_the_images_name_are_proposed():
    a, b = image("a"), image("b")
    of_b, of_a, other = labels("b_labels"), labels("a_labels"), labels("other")
    assert propose([a, b], [of_b, of_a, other]) == {a: of_a, b: of_b}


def test_labels_made_for_the_image_go_before_those_of_its_name():
    a = image("a")
    named, made = labels("a_labels"), labels("strokes")
    painted.mark_painting(made, a)
    assert propose([a], [made, named]) == {a: made}


def test_a_single_layer_of_the_shape_is_proposed_for_a_single_image():
    a, b, c = image("a"), image("b"), image("c", (4, 4))
    some, small = labels("some"), labels("small", (4, 4))
    assert propose([a, c], [some, small]) == {a: some, c: small}
    assert propose([a, b], [some]) == {}
    assert propose([a], [some, labels("more")]) == {}


def test_no_labels_of_another_shape_are_proposed():
    assert propose([image("a", (8, 9))], [labels("a_labels")]) == {}
    assert propose([image("a", (3, 8, 8))], [labels("a_labels")]) == {}


def test_labels_of_another_image_are_not_proposed():
    a, b = image("a"), image("b")
    first, second = labels("b_labels"), labels("again")
    painted.mark_painting(second, b)
    assert propose([a, b], [first, second]) == {b: second}


def test_predictions_are_not_proposed():
    a = image("a")
    made = labels("a_labels")
    assert propose([a], [made], predicted=[made]) == {}


def test_amount_counts_the_radiographs_on_which_something_is_painted():
    stack = labels("stack", (5, 10, 10))
    stack.data[1, 0] = tissue.OPEN_BEAM.value
    stack.data[3, :, 0] = tissue.BONE.value
    stack.data[3, 0, 5] = 7
    amount = Amount.count(Painted.of(stack), lambda: None)
    assert amount == Amount({1: 10, 2: 0, 3: 10}, other=1, of=200, predicted=False)
    assert [amount.percent(value) for value in (1, 2, 3)] == ["5.0", "–", "5.0"]


@pytest.mark.parametrize(
    ("pixels", "text"), [(0, "–"), (1, "<0.1"), (20, "0.2"), (1500, "15"), (10_000, "100")]
)
def test_percent(pixels, text):
    assert Amount({1: pixels, 2: 0, 3: 0}, 0, 10_000, False).percent(1) == text


def test_what_the_network_wrote_is_nobodys_paint_until_it_is_edited():
    stack = labels("stack", (2, 6, 6), value=tissue.BONE.value)
    written = {(0,): digest(stack.data[0]), (1,): digest(stack.data[1])}
    stack.metadata[METADATA_KEY] = {
        "layer": str(stack.unique_id),
        "image": "some",
        "written": written,
    }
    assert Amount.count(Painted.of(stack), lambda: None).predicted

    stack.paint((1, 2, 2), tissue.OPEN_BEAM.value)
    amount = Amount.count(Painted.of(stack), lambda: None)
    assert not amount.predicted
    assert amount.of == 36
    assert [index for index, _ in Painted.of(stack).read(lambda: None)] == [(1,)]


def test_a_copy_of_a_prediction_is_paint():
    made = labels("made", value=tissue.BONE.value)
    made.metadata[METADATA_KEY] = {"layer": "another's", "written": {(): digest(made.data)}}
    assert not Amount.count(Painted.of(made), lambda: None).predicted


def test_group_stays_with_the_layer():
    layer = labels("a_labels")
    assert painted.group(layer) == ""
    painted.set_group(layer, "hand")
    assert painted.group(layer) == "hand"
    assert painted.group(Labels(layer.data, metadata=layer.metadata)) == "hand"
