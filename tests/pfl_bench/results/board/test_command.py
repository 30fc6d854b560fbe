"""``analyse board`` and ``analyse transfer``: files in, files out; what is missing is said in a line."""

import pandas as pd
import pytest

from pfl_bench.results.ledger import Ledger
from tests.ledgers import record, save
from tests.pfl_bench.cli.tiny import SUITE, assert_refused

HEADER = "run_id,scenario,method,seed,status,validation_accuracy,config\n"


@pytest.fixture
def folder(tmp_path):
    ledger = Ledger(tmp_path / "own")
    with ledger.lock():
        for entry, accuracy in (("local", 50.0), ("fedavg_ft", 60.0), ("fedavg", 55.0)):
            for seed in (0, 1):
                save(ledger, record(method=entry, seed=seed, accuracy=accuracy + seed))
        save(ledger, record(method="ditto", status="skipped", reason="no text"))
    return tmp_path / "own"


def test_a_board_s_files_go_where_they_are_asked(folder, tmp_path, cli):
    status, _, error = cli("analyse", "board", str(folder), "--out", str(tmp_path / "here" / "deep"))
    assert status == 0, error
    written = {path.name for path in (tmp_path / "here" / "deep").iterdir()}
    assert {"findings.md", "controls.csv", "standing.csv", "means.csv", "gaps.csv"} <= written
    assert "fedavg_ft" in (tmp_path / "here" / "deep" / "standing.csv").read_text()
    assert pd.read_csv(tmp_path / "here" / "deep" / "gaps.csv")["reason"].tolist() == ["no text"]
    status, _, error = cli("analyse", "board", str(folder))
    assert status == 0 and (folder / "board" / "findings.md").is_file(), error


def test_a_suite_of_one_s_own_says_what_is_held_out(tmp_path, cli):
    ledger = Ledger(tmp_path / "own")
    with ledger.lock():
        for scenario in ("seen-v1", "kept-v1"):
            for entry, accuracy in (("local", 50.0), ("fedavg_ft", 60.0), ("fedavg", 55.0)):
                for seed in (0, 1):
                    save(ledger, record(method=entry, scenario=scenario, seed=seed, accuracy=accuracy + seed))
    file = tmp_path / "own.toml"
    lines = (
        'dataset = "digits"\nclients = 5\nmodel = "mlp"\npartition = { rule = "iid" }\n'
        "visits = 10\nlocal_steps = 1\nbatch_size = 8\neval_every = 10\n"
    )
    own = [f'[[scenario]]\nid = "{name}"\n{lines}' for name in ("seen-v1", "kept-v1")]
    file.write_text('name = "s"\nheld_out = ["kept-v1"]\n' + "".join(own))
    status, _, error = cli("analyse", "board", str(tmp_path / "own"), "--suite", str(file))
    assert status == 0, error
    written = tmp_path / "own" / "board"
    assert pd.read_csv(written / "scenarios.csv")["scenario"].tolist() == ["seen-v1"]
    assert set(pd.read_csv(written / "held_out.csv")["scenario"]) == {"kept-v1"}
    file.write_text('name = "another"\nheld_out = ["kept-v1"]\n' + "".join(own))
    status, _, error = cli("analyse", "board", str(tmp_path / "own"), "--suite", str(file))
    assert status == 2 and "is the suite 'another'" in error and error.count("\n") == 1


def test_a_folder_without_results_is_refused(tmp_path, cli):
    ledger = Ledger(tmp_path / "own")
    with ledger.lock():
        save(ledger, record(status="failed"))
    status, _, error = cli("analyse", "board", str(tmp_path / "own"))
    assert status == 2 and "no finished run" in error and error.count("\n") == 1


def test_transferred_settings_are_a_fragment_that_a_suite_takes(tmp_path, cli):
    folder = tmp_path / "own-tuning"
    (folder / "runs").mkdir(parents=True)
    rows = [
        (f"r{k}", scenario, "fedavg", 1000, "finished", score, f'{{"cohort": 5, "lr": {lr}}}')
        for k, (scenario, lr, score) in enumerate(
            [("a", 0.1, 60.0), ("a", 0.01, 50.0), ("b", 0.1, 70.0), ("b", 0.01, 50.0)]
        )
    ]
    columns = ["run_id", "scenario", "method", "seed", "status", "validation_accuracy", "config"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "tuning.csv", index=False)
    status, _, error = cli("analyse", "transfer", str(folder))
    assert status == 0, error
    assert (folder / "transferred.toml").read_text() == (
        "[hyperparameters]\nfedavg = { lr = 0.1 }  # mean rank 1.0 of 2 points over 2 scenarios\n"
    )
    assert pd.read_csv(folder / "transferred.csv")["mean_rank"].tolist() == [1.0]


def test_transferred_settings_are_for_what_the_suite_holds_out(tmp_path, cli):
    """So that ``run --tuned`` takes them as they are."""
    own = SUITE.replace('name = "tiny"', 'name = "tiny"\nheld_out = ["held-v1"]')
    scenario = SUITE[SUITE.index("[[scenario]]") :].replace("synthetic-classes2-n6-v1", "held-v1")
    (tmp_path / "own.toml").write_text(own + scenario)
    for name, tuned_on in (("board-v1-tuning", "board-watch-n10-v1@0.5x"), ("own", "synthetic-classes2-n6-v1")):
        rows = [f'{name}{k},{tuned_on},fedavg,1000,finished,{60 + k},"{{""lr"": {k + 1}}}"\n' for k in range(2)]
        (tmp_path / name).mkdir()
        (tmp_path / name / "tuning.csv").write_text(HEADER + "".join(rows))
    status, _, error = cli("analyse", "transfer", "board-v1-tuning")
    head, line = (tmp_path / "board-v1-tuning" / "transferred.toml").read_text().splitlines()
    assert status == 0 and head == '[hyperparameters_at."heldout-digits-n20-v1"]', error
    assert line.startswith("fedavg = { lr = 2 }")
    status, _, error = cli("analyse", "transfer", "own", "--suite", "own.toml")
    assert status == 0, error
    assert (tmp_path / "own" / "transferred.toml").read_text().startswith('[hyperparameters_at."held-v1"]\nfedavg = ')
    assert_refused(cli, tmp_path, "in --suite own.toml 'board-watch-n10-v1'", "analyse", "transfer", "board-v1-tuning",
                   "--suite", "own.toml")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"), [(HEADER, "has no trials"), (HEADER + "r,,fedavg,1,finished,60,{}\n", "a row has no scenario")]
)
def test_trials_of_nothing_are_refused(text, said, tmp_path, cli):
    """A table of a header alone was taken for the board's, and a row without a scenario ended in a traceback."""
    (tmp_path / "board-v1-tuning").mkdir()
    (tmp_path / "board-v1-tuning" / "tuning.csv").write_text(text)
    assert_refused(cli, tmp_path, said, "analyse", "transfer", "board-v1-tuning")


@pytest.mark.parametrize(("text", "said"), [(None, "is not readable"), ("a,b\n1,2\n", "lacks the column scenario")])
def test_trials_that_are_none(text, said, tmp_path, cli):
    (tmp_path / "runs").mkdir()
    if text is not None:
        (tmp_path / "tuning.csv").write_text(text)
    status, _, error = cli("analyse", "transfer", str(tmp_path))
    assert status == 2 and said in error and error.count("\n") == 1
