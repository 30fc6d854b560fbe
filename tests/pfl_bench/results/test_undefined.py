"""A primary metric that does not exist for a run's clients: every reader says so, and none stumbles."""

import numpy as np
import pandas as pd
import pytest

from pfl_bench.cli.app import run_command_line
from pfl_bench.results.analyses import claims, communication, curves
from pfl_bench.results.comparison import compare
from pfl_bench.results.frame import read_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.overall import overall
from pfl_bench.results.primary import by_primary
from pfl_bench.running.tuning.choice import choose
from tests.ledgers import client_rows, folder_with, history_rows, id_of, record

METHODS = ("fedavg", "local", "ditto")


def run(method: str, seed: int, scenario: str, auc: float | None) -> dict:
    found = record(method, seed, 50.0, scenario=scenario)
    found["scenario"] |= {"primary": "auc"}
    more = {"auc": auc, "validation_primary": auc, "validation_accuracy": 50.0, "visits": 100}
    found["summary"]["global"]["best"] |= more
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three scenarios ranked by AUC: it exists for all, for nobody, and not for ``local``."""
    ledger = Ledger(tmp_path_factory.mktemp("results") / "s")
    figures = {"cifar10-fine-v1": lambda method: 60.0, "cifar10-none-v1": lambda method: None,
               "cifar10-half-v1": lambda method: None if method == "local" else 40.0}  # fmt: skip
    with ledger.lock():
        for scenario, figure in figures.items():
            for method in METHODS:
                for seed in range(2):
                    own = figure(method)
                    made = run(method, seed, scenario, None if own is None else own + seed)
                    rows = [row | {"auc": "" if own is None else own + seed} for row in history_rows(50.0)]
                    ledger.save(id_of(made), made, history=rows, tables={"clients": client_rows([10] * 4)})
    return ledger.folder


def test_the_leaderboard_says_undefined_in_every_format(folder, capsys):
    formats = ["--format", "csv,md,tex,html"]
    assert run_command_line(["leaderboard", "--suite", "s", "--out", str(folder.parent), *formats]) == 0
    told = "AUC is undefined (no client has samples of two classes), and not ranked: ditto, fedavg, local"
    texts = [(folder / f"leaderboard.{name}").read_text(encoding="utf-8") for name in ("md", "tex", "html")]
    for text in (*texts, capsys.readouterr().out):
        assert "undefined" in text and "nan" not in text.split("<script")[0].lower().split()
        assert told.split(",")[0].replace("(", "") in text.replace("\\(", "").replace("(", "")
    table = leaderboard(read_runs(folder)).set_index(["scenario", "method"])
    none = table.loc["cifar10-none-v1"]
    assert none["accuracy_mean"].isna().all() and none["rank"].isna().all() and (none["seeds"] == 2).all()
    assert set(none["versus_note"]) == {"what ranks is undefined"}
    half = table.loc["cifar10-half-v1"]
    assert half["rank"].to_dict() | {"local": 0} == {"ditto": 1, "fedavg": 1, "local": 0}


def test_over_all_scenarios_says_what_it_leaves_out(folder):
    found = overall(read_runs(folder))
    assert "cifar10-none-v1: what ranks is undefined there" in found.left_out
    assert "local: in 1 of 2" in found.left_out and {row[0] for row in found.rows()} == {"ditto", "fedavg"}


def test_comparisons_do_not_judge_it(folder):
    frame = read_runs(folder)
    cells = {(cell.scenario, cell.entry): cell for cell in compare(frame, frame)}
    assert cells["cifar10-none-v1", "fedavg"].verdict == cells["cifar10-half-v1", "local"].verdict == "undefined"
    assert cells["cifar10-none-v1", "fedavg"].left_out == ("seeds 0, 1: what ranks is undefined",)
    assert cells["cifar10-fine-v1", "local"].verdict == "same" and cells["cifar10-fine-v1", "local"].seeds == 2


def test_claims_and_pictures(folder, monkeypatch, capsys):
    monkeypatch.setattr(claims, "CLAIMS", (claims.Above("local", "fedavg", "*"),))
    claims.main(folder)
    verdicts = pd.read_csv(folder / "claims.csv").set_index("scenario")["verdict"].to_dict()
    assert verdicts == {
        "cifar10-fine-v1": "within the spread",
        "cifar10-none-v1": "undefined",
        "cifar10-half-v1": "undefined",
    }
    text = (folder / "columns-full.md").read_text()
    assert "cifar10-none-v1 (AUC)" in text and "undefined" in text and "nan" not in text
    monkeypatch.setattr(curves, "draw", lambda *asked: None)
    monkeypatch.setattr(communication, "draw", lambda *asked: None)
    for analysis in (curves, communication):
        analysis.main(folder)
        assert "cifar10-none-v1: no picture" in capsys.readouterr().err


def test_trials_without_a_score_are_not_chosen():
    assert choose([{"lr": 0.1}, {"lr": 0.2}], [[np.nan], [50.0]], {"lr": [0.1, 0.2]}).values == {"lr": 0.2}
    assert choose([{"lr": 0.1}], [[np.nan]], {"lr": [0.1]}) is None


def test_figures_stay_figures_where_no_run_has_one(folder):
    """pandas took a column of nothing for one of objects."""
    frame = read_runs(folder)
    none = by_primary(frame[frame["scenario"] == "cifar10-none-v1"])
    assert none["accuracy"].dtype == float and none["accuracy"].isna().all()


def test_only_one_metric_is_averaged_over_scenarios(tmp_path):
    """Two scenarios rank by accuracy and one by AUC: means are of the two, ranks of the three."""
    rows = [record(method, 0, 50.0 + place, scenario=scenario)
            for scenario in ("a-v1", "b-v1") for place, method in enumerate(METHODS)]  # fmt: skip
    rows += [run(method, 0, "c-v1", 90.0 - place) for place, method in enumerate(METHODS)]
    for made in rows:  # without tables beside them
        made["summary"]["global"]["best"].pop("visits", None)
    found = overall(read_runs(folder_with(tmp_path, *rows)))
    assert {row[0]: row[2] for row in found.rows()} == {"fedavg": "50.00", "local": "51.00", "ditto": "52.00"}
    assert found.ranking.mean_ranks["fedavg"] == pytest.approx((3 + 3 + 1) / 3)
    told = (
        "Interquartile means are of accuracy, over 2 of 3 scenarios; other metrics are not averaged with it: c-v1 (AUC)"
    )
    assert f"{told}." in found.notes
    alone = overall(read_runs(folder_with(tmp_path / "x", *rows[:6])))
    assert alone.averaged == "" and [row[2] for row in alone.rows()] == ["52.00", "51.00", "50.00"]
