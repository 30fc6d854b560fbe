"""Client models put through their checks: the sound ones pass, the others are refused with the line that says why."""

import pytest

from pfl_bench.registry import MODELS, load_plugin, read_plugin
from pfl_bench.testing import MODEL_CHECKS, ModelContext, examine
from tests.conftest import PLUGINS

SOUND = [
    "conv_dropout", "mlp_dropout", "mlp_functional_dropout", "resnet8_bn", "resnet8_bn_stateless",
    "resnet8_frozen_stem", "resnet8_gn", "sensor_conv1d", "text_lstm", "text_transformer",
]  # fmt: skip
UNSOUND = {
    "bad_headless": ("builds", "it must say what its head is: a child called head"),
    "bad_output": ("builds", "its output has shape (3, 4) for 3 samples of 3 classes; it must be (3, 3)"),
    "bad_features": ("builds", "its features have shape (3, 4, 32) for 3 samples; they must be (3, d)"),
    "bad_halves": ("builds", "its head applied to its features is not its output"),
    "bad_noise": ("builds", "in training it draws random numbers of its own"),
    "bad_noise_in_use": ("builds", "in use it gives other outputs the second time"),
    "bad_momentum": ("builds", "a BatchNorm with momentum=None counts batches; give it a momentum"),
    "text_transformer_dropout": ("builds", "dropout inside nn.MultiheadAttention"),
    "bad_unused": ("trains", "the output does not depend on spare.weight, spare.bias"),
    "bad_batch_mean": ("evaluates_alike", "on loop, with padding, outputs differ by up to"),
}


def complaints(name):
    load_plugin(read_plugin(PLUGINS / "client_models.py"))
    data = {"text": "tokens", "sensor": "sensor_bytes"}.get(name.split("_")[0])
    context = ModelContext(data) if data else ModelContext()
    verdicts = examine(MODEL_CHECKS, name, context)
    return {check.examine.__name__: said for check, said in verdicts if said is not None}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SOUND)
def test_sound_models_pass(name):
    assert complaints(name) == {}


@pytest.mark.parametrize("name", UNSOUND)
def test_unsound_models_are_refused(name):
    check, phrase = UNSOUND[name]
    assert phrase in complaints(name)[check]


def test_every_model_of_the_plugin_is_in_a_list():
    before = set(MODELS.names())
    load_plugin(read_plugin(PLUGINS / "client_models.py"))
    assert set(MODELS.names()) - before == {*SOUND, *UNSOUND}


def test_what_cannot_be_stacked_asks_for_loop():
    load_plugin(read_plugin(PLUGINS / "client_models.py"))
    assert ModelContext("tokens").model("text_lstm").backend == "loop"
    assert ModelContext("tokens").model("text_transformer").backend == ""


def test_the_command_line_checks_models(cli):
    status, out, _ = cli("check", "--model", "mlp", "--plugin", str(PLUGINS / "client_models.py"))
    assert status == 0 and out.startswith("mlp (on synthetic:") and out.endswith("all checks passed\n")
    status, out, _ = cli("check", "--model", "bad_output", "--plugin", str(PLUGINS / "client_models.py"))
    assert status == 1 and out.count("FAILED") == 1 and "it must be (3, 3)" in out


def test_the_command_line_wants_a_method_or_a_model(cli):
    for arguments in (["check"], ["check", "fedavg", "--model", "mlp"]):
        status, _, error = cli(*arguments)
        assert status == 2 and error == "error: check: name a method, or a client model with --model\n"
    assert "did you mean 'mlp'?" in cli("check", "--model", "mpl")[2]


def test_unheard_of_data_are_refused(cli):
    status, _, error = cli("check", "--model", "mlp", "--data", "nowhere")
    assert status == 2 and "unknown data set 'nowhere'" in error
