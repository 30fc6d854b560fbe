"""Methods and shifts of one's own: what is told of them, and what goes wrong in them alone."""

import re
from pathlib import Path

import pytest

from pfl_bench.registry import METHODS
from pfl_bench.results.frame import read_runs
from pfl_bench.testing import CHECKS
from tests.pfl_bench.cli.tiny import FEDMEDIAN, run_tiny


def test_a_method_in_one_file_takes_part_everywhere(cli, tiny):
    assert len(Path(FEDMEDIAN).read_text().splitlines()) < 30
    assert "fedmedian" in cli("list", "methods", "--plugin", FEDMEDIAN)[1]
    status, out, _ = run_tiny(cli, tiny, "--methods", "fedavg,fedmedian", "--seeds", "0", "--plugin", FEDMEDIAN)
    assert status == 0 and "fedmedian" in out
    status, out, _ = cli("check", "fedmedian", "--plugin", FEDMEDIAN)
    assert status == 0 and "all checks passed" in out and "serial = Ray" in out


def test_check_fails_a_bad_method(cli, tmp_path, monkeypatch):
    wanted = [check for check in CHECKS if check.title.startswith(("runs", "deterministic", "resumed"))]
    monkeypatch.setattr("pfl_bench.testing.CHECKS", wanted)
    bad = tmp_path / "bad.py"
    text = Path(FEDMEDIAN).read_text().replace("models.median(dim=0).values", "models[0] * torch.rand(1)")
    bad.write_text("import torch\n" + text.replace('"""A', '"""Bad', 1).replace("fedmedian", "randommedian"))
    status, out, _ = cli("check", "randommedian", "--plugin", str(bad))
    assert status == 1
    assert "ok     runs to the end" in out and "FAILED deterministic" in out


def test_a_methods_own_exception_is_told_with_its_place_and_its_traceback(cli, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bad = tmp_path / "mine.py"
    text = Path(FEDMEDIAN).read_text().replace("fedmedian", "mine").replace("trained.params)", "trained.params).mean()")
    bad.write_text(text)
    line = next(number for number, code in enumerate(text.splitlines(), 1) if ".mean()" in code)
    reason = f"AttributeError: 'Params' object has no attribute 'mean' (mine.py, line {line}, in round)"
    status, out, _ = run_tiny(cli, tiny, "--methods", "mine", "--seeds", "0", "--plugin", str(bad))
    assert status == 1 and reason in out
    (path,) = re.findall(r"its traceback: (\S+error\.txt)", out)
    assert f'mine.py", line {line}, in round' in Path(path).read_text()
    status, out, _ = cli("check", "mine", "--plugin", str(bad))
    assert status == 1 and f"the run failed: {reason}" in " ".join(out.split())
    path = re.findall(r"its traceback: (\S+\.txt)", out)[0]
    assert f'mine.py", line {line}, in round' in Path(path).read_text()


def test_what_goes_wrong_in_an_inherited_hook_is_placed_in_the_file_of_that_hook(cli, tiny, tmp_path):
    heir = tmp_path / "heir.py"
    heir.write_text(
        "from pfl_bench.api import MethodConfig, register_method\n"
        "from pfl_bench.methods.fedavg import FedAvg\n"
        "@register_method('heir', paper='none')\n"
        "class Heir(FedAvg):\n"
        "    Config = MethodConfig\n"
    )
    status, out, _ = run_tiny(cli, tiny, "--methods", "heir", "--seeds", "0", "--plugin", str(heir))
    assert status == 1 and re.search(r"has no attribute 'server_memory' \(fedavg\.py, line \d+, in init\)", out)


def test_an_exception_without_words_stops_no_other_run(cli, tiny, tmp_path):
    mute = tmp_path / "mute.py"
    fail = "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})()"
    text = Path(FEDMEDIAN).read_text().replace("fedmedian", "mute")
    assert "State(server=fed.init_params())" in text
    mute.write_text(text.replace("return State(server=fed.init_params())", fail))
    status, out, _ = run_tiny(cli, tiny, "--methods", "mute,fedavg", "--seeds", "0", "--plugin", str(mute))
    assert status == 1 and "Mute: (its text cannot be had) (mute.py, line" in out
    assert re.search(r"fedavg .* 1 *\n", out)


@pytest.fixture
def absent(monkeypatch):
    """The shelves' files offer three methods, one of which cannot be loaded."""
    monkeypatch.setattr(METHODS, "known_names", lambda: ["absent", "fedavg", "fedper"])
    monkeypatch.setitem(METHODS.broken, "absent", "ModuleNotFoundError: no_such_module")


def test_a_method_that_cannot_be_loaded_is_left_out_of_all_and_refused_by_name(cli, tiny, absent):
    with pytest.warns(UserWarning, match="'absent' is left out, it could not be loaded: ModuleNotFoundError"):
        status, out, err = run_tiny(cli, tiny, "--methods", "all", "--seeds", "0", "--budget-scale", "0.1")
    assert status == 0, err
    assert "fedavg" in out and "absent" not in out
    with pytest.warns(UserWarning, match="'absent' is left out"):
        status, _, err = run_tiny(cli, tiny, "--methods", "fedavg,absent", "--seeds", "0")
    assert status == 2 and "method 'absent' could not be loaded: ModuleNotFoundError" in err


def test_check_all_tells_of_a_method_that_cannot_be_loaded(cli, absent, monkeypatch):
    monkeypatch.setattr("pfl_bench.testing.CHECKS", ())
    status, out, _ = cli("check", "all")
    assert status == 1 and "absent could not be loaded: ModuleNotFoundError" in out and "1 check failed" in out


PLUGIN_SHIFT = """
from pydantic import Field
from pfl_bench.api import ShiftConfig, register_shift

class Fog(ShiftConfig):
    thickness: float = Field(default=0.5, description="share of white")

@register_shift("fog", config=Fog, of="inputs", inputs=("image",), summary="white over everything")
def fog(config, context, groups, rng):
    return [None] * groups
"""


def test_a_plugins_parameters_are_listed_as_those_that_ship_are(cli, tmp_path):
    (tmp_path / "fog.py").write_text(PLUGIN_SHIFT)
    _, out, _ = cli("list", "shifts", "--plugin", "fog.py")
    assert re.search(r"fog +white over everything +inputs +image", out)
    assert re.search(r"fog +thickness +0.5 +share of white", out)


def test_edited_method_is_noticed(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--seeds", "0")
    paths = list(tmp_path.rglob("run.json"))
    for path in paths:
        path.write_text(path.read_text().replace('"method:methods/', '"method:edited_since/'))
    _, out, _ = run_tiny(cli, tiny, "--seeds", "0")
    assert out.count("because the method's source (") == len(paths) and "were finished before" not in out


def test_whatever_a_method_says_of_its_failure_costs_no_other_run(cli, tiny, tmp_path, clean_registries):
    (tmp_path / "says.py").write_text("""
from pfl_bench.api import LocalSgdConfig, UnsuitedError, register_method
from pfl_bench.methods.fedavg import FedAvg

for name, error in (("surrogate", ValueError("caf\\udce9")), ("lengthy", UnsuitedError("x" * 1_000_000))):
    def init(self, fed, error=error):
        raise error
    register_method(name, paper="none")(type(name, (FedAvg,), {"init": init, "Config": LocalSgdConfig}))
""")
    words = ("--methods", "surrogate,lengthy,fedavg", "--seeds", "0", "--plugin", str(tmp_path / "says.py"))
    assert run_tiny(cli, tiny, *words)[0] == 1
    runs = read_runs(tmp_path / "results" / "tiny").set_index("method")
    assert runs["status"].to_dict() == {"surrogate": "failed", "lengthy": "skipped", "fedavg": "finished"}
    assert len(runs["reason"]["lengthy"]) < 400
    assert "2 of 3 runs were finished before" in run_tiny(cli, tiny, *words)[1]
