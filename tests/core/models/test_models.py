"""Models are saved, found, exchanged and checked; a bad one is refused before it costs anything."""

import hashlib
import json
import os
import shutil
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from napari_xnet.errors import ModelError, XNetError
from napari_xnet.io.reading import read_image
from napari_xnet.io.samples import sample_path
from napari_xnet.models import (
    ModelCard,
    check_new_name,
    export_model,
    find_model,
    import_model,
    list_models,
    load_model,
    models_folder,
    remove_model,
    show_model,
    weights,
)
from napari_xnet.models.model import CARD_FILE, WEIGHTS_FILE, Model
from napari_xnet.models.prediction import predict
from napari_xnet.models.store import free_name


@pytest.fixture
def saved(small_model, own_models):
    """Folder of a saved model, named "mine"."""
    small_model.save(own_models / "mine")
    return own_models / "mine"


def edit_card(folder, **changes):
    card = json.loads((folder / CARD_FILE).read_text())
    card.update(changes)
    (folder / CARD_FILE).write_text(json.dumps(card))


def replace_weights(folder, data):
    """Put other weights into a model, with the card that belongs to them."""
    (folder / WEIGHTS_FILE).write_bytes(data)
    edit_card(folder, weights_sha256=hashlib.sha256(data).hexdigest())


def values(model):
    return [np.asarray(variable) for variable in model.network.weights]


def snapshot(folder):
    """Every file below a folder and what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ------------------------------------------------------------------ save and load


@pytest.mark.parametrize("architecture", ["xnet", "segnet", "unet"])
def test_a_model_comes_back_bit_for_bit(make_model, tmp_path, architecture):
    model = make_model(architecture, seed=5)
    model.save(tmp_path / "there" / "it is")
    again = Model.load(tmp_path / "there" / "it is")
    assert again.card == model.card
    for before, after in zip(values(model), values(again), strict=True):
        np.testing.assert_array_equal(before, after)
    images = np.random.default_rng(0).normal(size=(2, 16, 24)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(images), again.predict(images))


def test_a_saved_model_is_a_card_and_its_weights(saved):
    assert sorted(os.listdir(saved)) == [CARD_FILE, WEIGHTS_FILE]
    assert os.listdir(saved.parent) == ["mine"]
    digest = hashlib.sha256((saved / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert json.loads((saved / CARD_FILE).read_text())["weights_sha256"] == digest


def test_saving_replaces_an_older_model(saved, make_model):
    other = make_model(seed=9)
    other.save(saved)
    for before, after in zip(values(other), values(Model.load(saved)), strict=True):
        np.testing.assert_array_equal(before, after)
    assert os.listdir(saved.parent) == ["mine"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
def test_a_failed_save_leaves_the_old_model(saved, make_model):
    import resource

    before = snapshot(saved.parent)
    other = make_model(seed=9)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # as a full disk: the card fits
    try:
        with pytest.raises(ModelError, match="cannot be written"):
            other.save(saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert snapshot(saved.parent) == before


def test_a_folder_that_cannot_be_made_is_named(small_model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be written to .*file"):
        small_model.save(tmp_path / "file" / "mine")


def test_weights_of_half_precision_load(saved, small_model):
    whole = (saved / WEIGHTS_FILE).stat().st_size
    small_model.save(saved, np.float16)
    assert (saved / WEIGHTS_FILE).stat().st_size < 0.8 * whole
    for before, after in zip(values(small_model), values(Model.load(saved)), strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(before.astype(np.float16), after)


def test_both_polarities_predict_the_same(small_model):
    images = np.random.default_rng(0).normal(size=(1, 16, 24)).astype(np.float32)
    np.testing.assert_array_equal(small_model.predict(images), small_model.predict(-images))


def test_as_is_means_one_polarity(make_model):
    model = make_model(polarity="as is")
    images = np.random.default_rng(0).normal(size=(1, 16, 24)).astype(np.float32)
    positive, negative = model.predict(images), model.predict(-images)
    assert np.abs(positive - negative).max() > 1e-3
    both = make_model(polarity="both").predict(images)
    mean = np.sqrt(positive * negative)
    np.testing.assert_allclose(both, mean / mean.sum(axis=-1, keepdims=True), atol=1e-5)


# ------------------------------------------------------------------ damaged and hostile models


def refused(folder, message):
    with pytest.raises(ModelError, match=message) as raised:
        Model.load(folder)
    assert "\n" not in str(raised.value)


def test_changed_weights_are_refused(saved):
    data = bytearray((saved / WEIGHTS_FILE).read_bytes())
    data[-1] ^= 1
    (saved / WEIGHTS_FILE).write_bytes(data)
    refused(saved, "SHA-256 differs")


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights_are_refused(saved, kept):
    data = (saved / WEIGHTS_FILE).read_bytes()[:kept]
    (saved / WEIGHTS_FILE).write_bytes(data)
    refused(saved, "SHA-256 differs")
    replace_weights(saved, data)
    refused(saved, "weights .* cannot be read")


def test_weights_of_another_architecture_are_refused(saved, make_model):
    replace_weights(saved, weights.to_bytes(make_model("segnet").network))
    refused(saved, "do not fit the network")


def test_weights_of_another_width_are_refused(saved, make_model):
    replace_weights(saved, weights.to_bytes(make_model(filters=(8, 8, 8, 8)).network))
    refused(saved, "do not fit the network")


@pytest.mark.parametrize("change", ["missing", "additional"])
def test_weights_with_a_variable_too_few_or_too_many_are_refused(saved, change):
    arrays = safetensors.numpy.load_file(saved / WEIGHTS_FILE)
    if change == "missing":
        arrays.popitem()
    else:
        arrays["other/kernel"] = np.zeros(3, np.float32)
    replace_weights(saved, safetensors.numpy.save(arrays))
    refused(saved, "do not fit the network")


def test_weights_of_an_unknown_number_type_are_refused(saved):
    """bfloat16, which NumPy does not have: written by hand after the format's specification."""
    arrays = safetensors.numpy.load_file(saved / WEIGHTS_FILE)
    header, blob = {}, b""
    for name, array in arrays.items():
        header[name] = {
            "dtype": "BF16",
            "shape": array.shape,
            "data_offsets": [len(blob), len(blob) + 2 * array.size],
        }
        blob += bytes(2 * array.size)
    text = json.dumps(header).encode()
    replace_weights(saved, len(text).to_bytes(8, "little") + text + blob)
    try:
        loaded = Model.load(saved)
    except ModelError as error:
        assert "weights" in str(error)  # noqa: PT017  # either way is right, a traceback is not
    else:
        assert not any(array.any() for array in values(loaded))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "surprise"),
        ({"format": 2}, "format.*newer version"),
        ({"architecture": {"name": "os.system"}}, "architecture.name"),
        ({"architecture": {"name": "xnet", "filters": [4, 8, 8]}}, "architecture.filters"),
        ({"architecture": {"name": "xnet", "filters": [4, 8, 8, 10**9]}}, "architecture.filters"),
        ({"architecture": {"name": "xnet", "filters": [2048] * 4, "kernel_size": 15}}, "larger"),
        ({"architecture": {"name": "xnet", "kernel_size": 0}}, "architecture.kernel_size"),
        ({"architecture": {"name": "xnet", "code": "lambda x: x"}}, "architecture.code"),
        ({"preprocessing": {"size_px": 10**6}}, "preprocessing.size_px"),
        ({"preprocessing": {"polarity": "any"}}, "preprocessing.polarity"),
        ({"preprocessing": {"percentiles": [-5, 200]}}, "preprocessing.percentiles"),
        ({"preprocessing": {"percentiles": [99, 1]}}, "preprocessing"),
        ({"classes": ["bone", "soft tissue", "open beam"]}, "classes must be"),
        ({"weights_sha256": "../../etc"}, "weights_sha256"),
        ({"weights_sha256": ""}, "SHA-256 differs"),
        ({"name": "x" * 1000}, "name"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_and_costs_nothing(saved, changes, message):
    edit_card(saved, **changes)
    tracemalloc.start()
    try:
        refused(saved, message)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"1", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"format": 1}']
)
def test_a_card_that_is_no_card_is_refused(saved, text):
    (saved / CARD_FILE).write_bytes(text)
    refused(saved, "card")


def test_a_card_of_gigabytes_is_not_read(saved):
    with (saved / CARD_FILE).open("r+b") as file:
        file.truncate(4 * 2**30)
    refused(saved, "too large for a model card")


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    refused(saved, name)


def test_a_card_survives_its_json(small_model, saved):
    card = ModelCard.read(saved / CARD_FILE)
    assert card == small_model.card
    assert ModelCard.model_validate_json(card.to_json()) == card


# ------------------------------------------------------------------ the store


def test_models_live_where_the_environment_says(own_models):
    assert models_folder() == own_models
    assert list_models() == ["default"]


def test_models_are_listed_found_and_loaded_by_name(saved, small_model, own_models):
    small_model.save(own_models / "another one")
    (own_models / "no model").mkdir()
    (own_models / "a file").write_text("")
    assert list_models() == ["default", "another one", "mine"]
    assert find_model("mine") == saved
    assert load_model("mine").card == small_model.card
    assert show_model("mine") == small_model.card


def test_a_model_is_found_by_path_too(saved, small_model, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(saved, elsewhere)
    assert load_model(elsewhere).card == load_model(str(elsewhere)).card == small_model.card
    assert "elsewhere" not in list_models()


def test_nobody_can_take_the_name_of_the_default_model(small_model, own_models):
    small_model.save(own_models / "default")
    assert list_models() == ["default"]
    assert show_model("default").name == "default" != small_model.card.name


@pytest.mark.parametrize("name", ["nothing", "", "..", "../mine", "a/b"])
def test_an_unknown_model_is_an_error_that_lists_the_known_ones(saved, name):
    with pytest.raises(ModelError, match=r"There is no model .*default, mine\."):
        load_model(name)


@pytest.mark.parametrize("name", ["new", "mine-2", "A b.c_d-e", "x" * 64, "7"])
def test_a_new_name_may_be_given(saved, name):
    check_new_name(name)
    assert free_name(name) == name


@pytest.mark.parametrize("name", ["", ".x", "-x", " x", "a/b", "..", "ümlaut", "x" * 65, "a\n"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ModelError, match="cannot be the name of a model: use up to 64 letters"):
        check_new_name(name)


def test_names_that_are_taken_are_refused_and_numbered(saved, small_model, own_models, tmp_path):
    (own_models / "a file").write_text("")
    for name in ("mine", "default", "a file"):
        with pytest.raises(ModelError, match=f'There is a model "{name}" already'):
            check_new_name(name)
        assert free_name(name) == f"{name}-2"
    small_model.save(own_models / "mine-2")
    assert free_name("mine") == "mine-3"
    check_new_name("mine", tmp_path / "elsewhere")
    assert free_name("mine", tmp_path / "elsewhere") == "mine"

    long = "n" * 64
    (models_folder() / long).mkdir()
    assert free_name(long) == "n" * 62 + "-2"
    check_new_name(free_name(long))


def test_none_is_no_name_since_it_means_from_scratch():
    with pytest.raises(ModelError, match='"none" means "from scratch"'):
        check_new_name("none")


def assert_same_model(imported, original):
    """The weights are the same, and the card but for the name that the copy got."""
    found, wanted = snapshot(imported), snapshot(original)
    cards = [ModelCard.parse(files.pop("card.json"), imported) for files in (found, wanted)]
    assert found == wanted
    assert cards[0] == cards[1].model_copy(update={"name": imported.name})


def test_export_and_import_bring_a_model_to_another_computer(saved, tmp_path, monkeypatch):
    file = export_model("mine", tmp_path / "to go")
    assert file == tmp_path / "to go.zip"
    monkeypatch.setenv("NAPARI_XNET_MODELS", str(tmp_path / "other computer"))
    assert import_model(file) == "to go"
    assert list_models() == ["default", "to go"]
    assert_same_model(models_folder() / "to go", saved)


def test_a_folder_can_be_imported(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "folder")
    assert import_model(tmp_path / "folder") == "folder"
    assert_same_model(models_folder() / "folder", saved)


def test_export_into_a_folder_takes_the_name_of_the_model(saved, tmp_path):
    (tmp_path / "out").mkdir()
    assert export_model("mine", tmp_path / "out") == tmp_path / "out" / "mine.zip"


def test_export_into_a_missing_folder_says_so(saved, tmp_path):
    with pytest.raises(XNetError, match="missing does not exist"):
        export_model("mine", tmp_path / "missing" / "x.zip")


def test_import_does_not_overwrite(saved, tmp_path):
    before = snapshot(saved)
    file = export_model("mine", tmp_path / "mine")
    with pytest.raises(ModelError, match='There is a model "mine" already'):
        import_model(file)
    assert snapshot(saved) == before


@pytest.mark.parametrize("name", ["default.zip", ".hidden.zip", "ümlaut.zip", "-rf.zip"])
def test_names_that_cannot_be_names_are_refused(saved, tmp_path, name):
    file = export_model("mine", tmp_path / "x").rename(tmp_path / name)
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        import_model(file)
    assert list_models() == ["default", "mine"]


def test_remove(saved):
    remove_model("mine")
    assert list_models() == ["default"]
    assert not saved.exists()
    for name, message in (("mine", "no model"), ("default", "cannot be removed"), ("..", "no")):
        with pytest.raises(ModelError, match=message):
            remove_model(name)
    assert saved.parent.exists()


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def refused_import(path, message, root):
    """Import fails, and changes nothing anywhere below a folder."""
    before = snapshot(root)
    with pytest.raises(ModelError, match=message) as raised:
        import_model(path)
    assert "\n" not in str(raised.value)
    assert snapshot(root) == before
    assert list_models() == ["default", "mine"]


def test_members_that_climb_out_are_written_nowhere(saved, tmp_path):
    files = snapshot(saved)
    climbing = {"../" + name: data for name, data in files.items()}
    refused_import(archive(tmp_path / "x.zip", climbing), "not an exported model", tmp_path)
    extra = {"../evil.txt": "evil", "/tmp/evil": "evil", "evil/../../evil": "evil"}
    before = snapshot(tmp_path)
    path = archive(tmp_path / "y.zip", files | extra)
    import_model(path)
    after = snapshot(tmp_path)
    new = {name for name in after if name not in before} - {"y.zip"}
    assert new == {f"models/y/{CARD_FILE}", f"models/y/{WEIGHTS_FILE}"}


def test_a_card_that_unpacks_to_gigabytes_is_refused(saved, tmp_path):
    files = snapshot(saved) | {CARD_FILE: bytes(64 * 2**20)}
    bomb = archive(tmp_path / "bomb.zip", files, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        refused_import(bomb, "card.json in .* is too large", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


def test_weights_that_unpack_to_more_than_their_network_has_are_not_unpacked(saved, tmp_path):
    files = snapshot(saved) | {WEIGHTS_FILE: bytes(256 * 2**20)}
    bomb = archive(tmp_path / "bomb.zip", files, zipfile.ZIP_DEFLATED)
    files.clear()
    tracemalloc.start()
    try:
        refused_import(bomb, "bomb", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 128 * 2**20
    finally:
        tracemalloc.stop()


def test_an_archive_without_a_model_is_refused(saved, tmp_path):
    files = snapshot(saved)
    for name in files:
        lacking = {key: data for key, data in files.items() if key != name}
        refused_import(archive(tmp_path / "x.zip", lacking), name, tmp_path)
    refused_import(archive(tmp_path / "x.zip", {}), "not an exported model", tmp_path)


def test_an_archive_with_wrong_weights_is_refused(saved, tmp_path):
    files = snapshot(saved)
    changed = files | {WEIGHTS_FILE: files[WEIGHTS_FILE] + b"x"}
    refused_import(archive(tmp_path / "x.zip", changed), "SHA-256 differs", tmp_path)
    refused_import(archive(tmp_path / "x.zip", files | {CARD_FILE: "{}"}), "not valid", tmp_path)


@pytest.mark.parametrize("kept", [0, 50, 0.5, 0.99])
def test_a_truncated_archive_is_refused(saved, tmp_path, kept):
    whole = export_model("mine", tmp_path / "x").read_bytes()
    kept = int(kept * len(whole)) if isinstance(kept, float) else kept
    (tmp_path / "x.zip").write_bytes(whole[:kept])
    refused_import(tmp_path / "x.zip", "not an exported model", tmp_path)


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_archive_is_refused(saved, tmp_path, compression):
    path = archive(tmp_path / "x.zip", snapshot(saved), compression)
    with zipfile.ZipFile(path) as file:
        start = file.getinfo(WEIGHTS_FILE).header_offset + 200
    data = bytearray(path.read_bytes())
    data[start : start + 100] = bytes(range(100, 200))
    path.write_bytes(data)
    refused_import(path, "not an exported model", tmp_path)


def test_what_is_not_there_cannot_be_imported(saved, tmp_path):
    refused_import(tmp_path / "nothing.zip", "nothing.zip", tmp_path)
    (tmp_path / "empty").mkdir()
    refused_import(tmp_path / "empty", "not a model folder", tmp_path)


# ------------------------------------------------------------------ the default model


def test_the_default_model_is_whole_and_its_card_complete(default_model):
    folder = find_model("default")
    card = show_model("default")
    assert card.status == "final"
    assert {"data", "accuracy", "dice", "auc"} <= set(card.metrics)
    assert "myo-sim (Apache-2.0)" in card.training["sources"]
    assert (folder / WEIGHTS_FILE).stat().st_size < 12e6
    assert card.weights_sha256 == hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert card.architecture.filters == (16, 32, 64, 128)
    assert default_model.network.count_params() == 737_555
    assert card.licence == "BSD-3-Clause"
    assert Path(folder).parent.name == "models"


def test_the_way_it_is_computed_does_not_change_the_labels(default_model):
    image = read_image(sample_path("hand")).data
    seen = default_model.card.preprocessing
    working = seen.working_image(image).data[np.newaxis]
    found = default_model.predict(working)
    plain = predict(default_model.network, working, seen)
    assert (found.argmax(axis=-1) == plain.argmax(axis=-1)).mean() > 0.999
    np.testing.assert_allclose(found, plain, atol=0.05)


@pytest.mark.parametrize("kind", ["folder of files", "file"])
def test_save_does_not_replace_what_is_no_model(small_model, tmp_path, kind):
    target = tmp_path / "results"
    if kind == "file":
        target.write_text("thesis")
    else:
        target.mkdir()
        (target / "thesis.txt").write_text("thesis")
    before = snapshot(tmp_path)
    with pytest.raises(ModelError, match="is not a model"):
        small_model.save(target)
    assert snapshot(tmp_path) == before
