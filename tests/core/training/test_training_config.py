"""Configs of training runs: what presets hold, what is merged, and what is said of the rest."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xnet.errors import ConfigError, XNetError
from napari_xnet.training.config import PRESETS, TrainingConfig, preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_survive_their_json(name):
    config = preset(name)
    text = config.model_dump_json()
    assert TrainingConfig.model_validate_json(text) == config
    assert TrainingConfig.parse(json.loads(text)) == config
    assert TrainingConfig.parse({}, config) == config


def test_presets_go_from_short_to_long():
    assert preset("quick").epochs < preset("full").epochs < preset("paper").epochs
    # Those that fine-tune take network and preprocessing from the base.
    for name in ("quick", "full"):
        assert preset(name).architecture is None
        assert preset(name).preprocessing is None


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        ConfigError, match=r'no preset "slow"\. The presets are: quick, full, paper\.'
    ):
        preset("slow")


def test_the_paper_preset_holds_the_values_of_the_paper():
    config = preset("paper")
    assert config.architecture.name == "xnet"
    assert config.architecture.filters == (64, 128, 256, 512)
    assert config.architecture.kernel_size == 3
    assert config.architecture.l2 > 0
    five = TrainingConfig.parse({"architecture": {"kernel_size": 5}}, config)
    assert five.architecture == config.architecture.model_copy(update={"kernel_size": 5})

    assert config.preprocessing.size_px == 200
    assert config.patch_px in (None, 200)
    assert config.preprocessing.scaling == "unit"
    assert config.preprocessing.percentiles == (0, 100)
    assert config.preprocessing.polarity == "as is"

    optimiser = config.optimiser
    assert (optimiser.name, optimiser.learning_rate) == ("rmsprop", 1e-4)
    assert (optimiser.schedule, optimiser.decay) == ("inverse time", 1e-6)

    assert config.sampling.batch == 5
    assert config.sampling.balance_groups
    assert config.epochs == 5000
    assert config.patience == 20
    assert config.split.by == "image"
    assert config.split.validation == pytest.approx(0.3)

    loss = config.loss
    assert (loss.cross_entropy, loss.dice, loss.jaccard, loss.lovasz) == (1, 0, 0, 0)
    assert loss.class_weights == "equal"
    for term in ("jaccard", "lovasz"):
        other = TrainingConfig.parse({"loss": {"cross_entropy": 0, term: 1}}, config).loss
        assert (other.cross_entropy, getattr(other, term)) == (0, 1)

    augmentation = config.augmentation
    assert augmentation.enabled
    assert augmentation.crop == (0.6, 1.0)
    assert augmentation.rotation_deg == 15
    assert augmentation.shear_deg == 2
    assert augmentation.translation == pytest.approx(0.01)
    assert augmentation.flip_horizontal == augmentation.flip_vertical == 0.5
    assert augmentation.blur_probability > 0
    assert augmentation.elastic_probability > 0
    beyond = "gamma contrast inversion noise display collimator marker cutout"
    for name in beyond.split():
        assert getattr(augmentation, f"{name}_probability") == 0, name
    fixed = TrainingConfig.parse({"augmentation": {"fixed_per_group": 500}}, config)
    assert fixed.augmentation == augmentation.model_copy(update={"fixed_per_group": 500})


def test_given_keys_replace_those_of_the_preset_at_every_level():
    base = preset("paper")
    config = TrainingConfig.parse(
        {"epochs": 7, "loss": {"dice": 2}, "architecture": {"filters": [8, 8, 8, 8]}}, base
    )
    expected = base.model_copy(
        update={
            "epochs": 7,
            "loss": base.loss.model_copy(update={"dice": 2.0}),
            "architecture": base.architecture.model_copy(update={"filters": (8, 8, 8, 8)}),
        }
    )
    assert config == expected
    assert base == preset("paper")


def test_null_stands_for_none():
    config = TrainingConfig.parse({"architecture": None, "patience": None}, preset("paper"))
    assert config.architecture is None
    assert config.patience is None


def test_without_a_preset_the_defaults_count():
    assert TrainingConfig.parse({"epochs": 3}) == TrainingConfig(epochs=3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"epoch": 3},
            r'no setting "epoch"\. Did you mean "epochs"\? Known here are: seed, .*epochs, ',
        ),
        (
            {"loss": {"dise": 1}},
            r'no setting "loss\.dise"\. Did you mean "dice"\? Known here are: cross_entropy, dice',
        ),
        ({"split": {"k": 3}}, r'no setting "split\.k"\. Known here are: by, validation, folds'),
        ({"sampling": {"size": 3}}, r'"sampling\.size"\. Known here are: batch, steps'),
        ({"augmentation": {"zoom": 1}}, r'"augmentation\.zoom"\. Known here are: enabled, '),
        ({"optimiser": {"lr": 1}}, r'"optimiser\.lr"\. Known here are: name, learning_rate'),
        ({"fine_tuning": {"x": 1}}, r'"fine_tuning\.x"\. Known here are: '),
        ({"architecture": {"depth": 1}}, r'"architecture\.depth"\. Known here are: name, filters'),
        (
            {"preprocessing": {"size": 1}},
            r'"preprocessing\.size"\. Did you mean "size_px"\? Known here are: size_px',
        ),
    ],
)
@pytest.mark.parametrize("base", [None, "paper"])
def test_an_unknown_key_names_itself_and_the_known_ones(values, message, base):
    if base is None and "architecture" in values:
        values = {"architecture": {"name": "xnet", **values["architecture"]}}
    with pytest.raises(ConfigError, match=message) as raised:
        TrainingConfig.parse(values, preset(base) if base else None)
    assert isinstance(raised.value, XNetError)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": "many"}, "epochs"),
        ({"epochs": 2.5}, "epochs"),
        ({"patience": 0}, "patience"),
        ({"seed": -1}, "seed"),
        ({"patch_px": 100}, "patch_px"),
        ({"patch_px": 24}, "patch_px"),
        ({"precision": "float16"}, "precision"),
        ({"split": {"validation": 0}}, "split.validation"),
        ({"split": {"validation": 1}}, "split.validation"),
        ({"split": {"folds": 1}}, "split.folds"),
        ({"split": {"folds": 3, "fold": 3}}, "split"),
        ({"split": {"fold": 1}}, "split"),
        ({"split": {"by": "patient"}}, "split.by"),
        ({"split": 3}, "split"),
        ({"sampling": {"batch": 0}}, "sampling.batch"),
        ({"augmentation": {"rotation_deg": -1}}, "augmentation.rotation_deg"),
        ({"augmentation": {"crop": [1, 0.6]}}, "augmentation"),
        ({"augmentation": {"crop": [0, 1]}}, "augmentation"),
        ({"augmentation": {"crop": [1]}}, "augmentation.crop"),
        ({"augmentation": {"gamma": [0, 1]}}, "augmentation"),
        ({"augmentation": {"noise_probability": 1.5}}, "augmentation.noise_probability"),
        ({"loss": {"cross_entropy": 0, "dice": 0}}, "loss"),
        ({"loss": {"dice": -1}}, "loss.dice"),
        ({"loss": {"class_weights": [0, 0, 0]}}, "loss"),
        ({"loss": {"class_weights": [1, 1]}}, "loss.class_weights"),
        ({"optimiser": {"learning_rate": 0}}, "optimiser.learning_rate"),
        ({"optimiser": {"learning_rate": float("nan")}}, "optimiser.learning_rate"),
        ({"loss": {"dice": float("inf")}}, "loss.dice"),
        ({"augmentation": {"elastic_smoothness_px": float("inf")}}, "augmentation.elastic"),
        ({"optimiser": {"name": "sgd"}}, "optimiser.name"),
        ({"architecture": {"name": "vgg"}}, "architecture.name"),
        ({"architecture": {"name": "xnet", "kernel_size": 0}}, "architecture.kernel_size"),
        ({"preprocessing": {"scaling": "unit"}}, "preprocessing"),
    ],
)
def test_a_value_out_of_range_is_named(values, where):
    with pytest.raises(ConfigError) as raised:
        TrainingConfig.parse(values)
    text = str(raised.value)
    assert text.startswith(f'"{where}')
    assert "\n" not in text
    assert "Value error" not in text


@pytest.mark.parametrize("values", [[], None, 3, "quick"])
def test_what_is_no_object_is_no_config(values):
    with pytest.raises(ConfigError, match="is a JSON object"):
        TrainingConfig.parse(values)


def test_what_is_no_json_is_no_config():
    with pytest.raises(ConfigError, match="is no JSON"):
        TrainingConfig.parse({"epochs": {1, 2}})


def test_a_config_is_read_from_a_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"epochs": 3, "loss": {"dice": 0.5}}', "utf-8")
    config = TrainingConfig.read(path, preset("quick"))
    assert (config.epochs, config.loss.dice) == (3, 0.5)
    assert config.sampling == preset("quick").sampling


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "is no JSON"),
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is a JSON object"),
        (b'{"epoch": 3}', 'no setting "epoch"'),
        (b'{"epochs": -3}', '"epochs": '),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, data, message):
    path = tmp_path / "mine.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=message) as raised:
        TrainingConfig.read(path)
    assert str(path) in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read: ") as raised:
            TrainingConfig.read(path)
        assert str(path) in str(raised.value)


def test_configs_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        preset("quick").epochs = 3


@given(
    epochs=st.integers(1, 9999),
    rate=st.floats(1e-9, 1),
    crop=st.tuples(st.floats(0.05, 1), st.floats(1, 4)),
    weights=st.sampled_from(["equal", "balanced", (1.0, 0.0, 2.5)]),
)
def test_any_config_survives_its_json(epochs, rate, crop, weights):
    values = {
        "epochs": epochs,
        "optimiser": {"learning_rate": rate},
        "augmentation": {"crop": crop},
        "loss": {"class_weights": weights},
    }
    config = TrainingConfig.parse(values)
    assert config.optimiser.learning_rate == rate
    assert TrainingConfig.parse(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ("polarity", "inverted", "wrong"),
    [("bone bright", 0.0, 0.3), ("both", 0.2, 0.0), ("as is", 0.2, 0.0)],
)
def test_what_contradicts_the_polarity_is_left_out(polarity, inverted, wrong):
    values = {
        "augmentation": {"inversion_probability": 0.2},
        "sampling": {"wrong_polarity": 0.3},
    }
    config = TrainingConfig.parse(values).for_polarity(polarity)
    assert config.augmentation.inversion_probability == inverted
    assert config.sampling.wrong_polarity == wrong


def test_every_fault_is_named_in_one_line():
    with pytest.raises(ConfigError) as raised:
        TrainingConfig.parse({"epochs": "many", "optimiser": {"learning_rate": -1}, "sede": 1})
    message = str(raised.value)
    assert "\n" not in message
    assert message.index('"sede"') < message.index('"epochs"')
    assert '"optimiser.learning_rate"' in message
