"""What `results/` publishes must follow from the runs beside it."""

import json
import re
import shutil
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from pfl_bench.registry import METHODS
from pfl_bench.results.analyses import board, claims, communication, embeddings, novel
from pfl_bench.results.board.basis import basis_of
from pfl_bench.results.board.tables import trials_of as trials_table_of
from pfl_bench.results.cross_checks import contradictions
from pfl_bench.results.cross_checks.across import disagreements
from pfl_bench.results.frame import finished_runs, scan_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.pack import other_scores
from pfl_bench.results.packed import packed_in
from pfl_bench.results.places import is_suite_folder
from pfl_bench.results.publish import Tables
from pfl_bench.results.record import read_record
from pfl_bench.results.render import to_csv
from pfl_bench.results.statistics.transfer import transferred
from pfl_bench.running.tuning.grid import from_middle
from pfl_bench.running.tuning.table import TRIALS_FILE
from pfl_bench.running.tuning.trials import WIDENINGS, plan_trials
from pfl_bench.spec.identity import BEFORE
from pfl_bench.spec.run import plan_runs
from pfl_bench.spec.scenario import at_edition
from pfl_bench.spec.suite import load_suite, select_scenarios

RESULTS = Path(__file__).parents[1] / "results"
SUITES = sorted(folder for folder in (RESULTS / "published").iterdir() if is_suite_folder(folder))
PACKED = [folder for folder in SUITES if packed_in(folder) is not None]
"""Whose runs have no folders, for there are thousands of them."""
PAGES = [RESULTS / "README.md", RESULTS.parent / "README.md"]


@pytest.mark.parametrize("folder", SUITES, ids=lambda folder: folder.name)
def test_runs_are_finished_and_from_a_clean_commit(folder):
    runs, problems = scan_runs(folder)
    assert not problems and len(runs)
    assert set(runs["status"]) <= {"finished", "diverged", "skipped"}
    assert runs[runs["status"] == "skipped"]["reason"].str.len().gt(0).all()
    assert not runs["git_commit"].str.endswith("+dirty").any()
    assert set(runs["method"]) <= set(METHODS.names())


@pytest.mark.parametrize(
    "folder", [f for f in SUITES if not f.name.endswith("-tuning")], ids=lambda folder: folder.name
)
def test_runs_have_the_suites_hyperparameters(folder):
    suite, runs = load_suite(folder.name), scan_runs(folder)[0]
    for method in runs["method"].unique():
        planned = {
            (run.scenario.id, run.config_hash)
            for before in ({}, BEFORE)  # a run of before a field existed stays published until it is run again
            for run in plan_runs([method], suite.scenarios, [0], suite, before)
        }
        own = runs[runs["method"] == method]
        full = own["scenario"].str.extract(r"^([^@+]*)")[0]
        assert set(zip(full, own["config_hash"], strict=True)) <= planned, method


OF_VERSION_1 = ("apple", "mh_pfedhn", "pefll", "pfedfda")
"""Tuned before their version 2, whose sums differ in the last bits, on all suites but the board."""
TUNED = sorted(folder for folder in (RESULTS / "published").iterdir() if folder.name.endswith("-tuning"))


def trials_of(folder):
    """The suite, and per scenario and method that can take part in it its trials: what the suite says there, and the
    runs, whose frame may be too large to be published besides what it led to."""
    suite = load_suite(folder.name.removesuffix("-tuning"))
    runs = pd.read_csv(folder / TRIALS_FILE, dtype={"seed": str})
    if (folder / "runs.csv").exists():
        whole = pd.read_csv(folder / "runs.csv")
        own = [frame.set_index("run_id")["validation_accuracy"].to_dict() for frame in (whole, runs)]
        assert own[0] == pytest.approx(own[1], rel=1e-5, nan_ok=True)
        assert not whole["git_commit"].str.endswith("+dirty").any()
    assert set(runs["status"]) <= {"finished", "diverged", "skipped"}
    for (edition, method), part in runs.groupby(["scenario", "method"]):
        plain, scale, precision = re.fullmatch(r"([^@+]*)(?:@([0-9.]+)x)?(?:\+(bf16))?", edition).groups()
        (scenario,) = at_edition(select_scenarios(suite.scenarios, plain), float(scale or 1), precision or "fp32")
        if "skipped" in set(part["status"]):  # nothing can be chosen
            assert set(part["status"]) == {"skipped"} and method not in suite.hyperparameters_at[f"{plain}*"]
            continue
        own, variants = suite.hyperparameters_of(method, scenario.id), suite.variants.get(method, [{}])
        yield suite, scenario, method, [{**own, **variant} for variant in variants], part


@pytest.mark.parametrize("folder", TUNED, ids=lambda folder: folder.name)
def test_a_suite_has_what_its_trials_led_to(folder, monkeypatch):
    """Where there are several tuning seeds: replayed from the start, grids widened; what was tried earlier, at one seed
    on another grid, stays published beside it. Else: the best of the trials."""
    if folder.name != "board-v1-tuning":  # these were tuned earlier
        monkeypatch.setattr("pfl_bench.running.tuning.choice.FEWEST", 2)
        for method in OF_VERSION_1:
            monkeypatch.setattr(METHODS.get(method), "version", 1)
    for suite, scenario, method, chosen, part in trials_of(folder):
        done = part[part["status"] == "finished"]
        reached = dict(zip(done["run_id"], done["validation_accuracy"], strict=True))
        seeds = sorted(set(part["seed"].astype(int)))
        if len(seeds) == 1:
            configs = part["config"].map(json.loads)
            own = configs.map(lambda config, chosen=chosen: any(values.items() <= config.items() for values in chosen))
            assert part["validation_accuracy"][own].max() == part["validation_accuracy"].max(), (scenario.id, method)
            continue
        (trials,) = plan_trials(suite, scenario, [method], 8, seeds)
        for _ in range(WIDENINGS):
            trials = trials.widened(trials.choice(reached).values)
        planned, earlier = {run.id for run in trials.runs}, part[~part["run_id"].isin({r.id for r in trials.runs})]
        assert planned <= set(part["run_id"]) and set(earlier["seed"].astype(int)) <= {seeds[0]}, method
        assert any(trials.choice(reached).values.items() <= values.items() for values in chosen), method


@cache
def runs_and_leaderboard(folder):
    """The same of all tables of a folder; the largest takes seconds."""
    runs = scan_runs(folder)[0]
    return runs, leaderboard(runs)


@pytest.mark.parametrize(
    "table",
    [path for folder in SUITES for name in ("csv", "md", "tex") if (path := folder / f"leaderboard.{name}").exists()],
    ids=lambda path: f"{path.parent.name}.{path.suffix[1:]}",
)
def test_tables_are_what_the_runs_give(table):
    runs, board = runs_and_leaderboard(table.parent)
    assert table.read_text(encoding="utf-8") == Tables(table.parent, runs, board).text(table.suffix[1:])
    assert (table.parent / "runs.csv").read_text(encoding="utf-8") == to_csv(runs)


@pytest.mark.parametrize("folder", [f for f in SUITES if (f / "claims.csv").exists()], ids=lambda folder: folder.name)
def test_claims_are_what_the_runs_give(folder):
    written = {
        path.name: path.read_text(encoding="utf-8") for path in (*folder.glob("columns-*.md"), folder / "claims.csv")
    }
    assert written == claims.files(finished_runs(folder))


@pytest.mark.parametrize(
    ("suite", "analysis"),
    [("paper-novel-clients", novel), ("paper-embeddings", embeddings), ("paper-communication", communication)],
)
def test_analyses_are_what_the_runs_give(suite, analysis, tmp_path):
    folder = RESULTS / "published" / suite
    prefix = analysis.__name__.rpartition(".")[2]
    again = shutil.copytree(folder, tmp_path / suite, ignore=shutil.ignore_patterns(f"{prefix}-*"))
    analysis.main(again)
    tables = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(f"{prefix}-*.csv")}
    assert tables == {path.name: path.read_text(encoding="utf-8") for path in again.glob(f"{prefix}-*.csv")} != {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_pages_tables_are_the_leaderboards(page):
    ranked = re.compile(r"^\| (\d+) \| (\w+) \| ([^|]*) \|", re.MULTILINE)
    leaderboards = [
        (folder / "leaderboard.md").read_text(encoding="utf-8") for folder in SUITES if "-tuning" not in folder.name
    ]
    published = {row for text in leaderboards for row in ranked.findall(text)}
    rows = ranked.findall(page.read_text(encoding="utf-8"))
    assert rows and set(rows) <= published


def test_the_columns_on_the_page_are_those_of_the_runs():
    page = PAGES[0].read_text(encoding="utf-8").partition("the other columns at 10 %")[2].partition("\n## ")[0]
    table = (RESULTS / "published/paper-table1/columns-0.1x+bf16.md").read_text(encoding="utf-8")

    # pFedMe's K was tuned on three columns, where the page has what the suite now asks for.
    retuned = " (inner_steps=1, personal_lr=0.05)"

    def figures(text):
        rows = {}
        for line in text.splitlines():
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found = {column: re.search(r"\d+\.\d\d", cell) for column, cell in enumerate(cells)}
            figures = {column: cell[0] for column, cell in found.items() if cell}
            if figures and re.fullmatch(r"[a-z_]+", method := name.removesuffix(retuned)):
                rows.setdefault(method, {}).update(figures)
        return rows

    assert figures(page) == figures(table) != {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_pages_name_runs_and_files_that_exist(page):
    text = page.read_text(encoding="utf-8")
    published = {run.name for folder in SUITES for run in folder.glob("runs/*")}
    published |= {run for folder in PACKED for run in packed_in(folder)["runs"]["run_id"]}
    named = set(re.findall(r"\b[a-z_]+-s\d+-[0-9a-f]{12}\b", text))
    assert named <= published
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links and all((page.parent / link).exists() for link in links)


@pytest.mark.parametrize("folder", PACKED, ids=lambda folder: folder.name)
def test_packed_runs_have_the_scores_of_their_clients(folder):
    assert other_scores(folder, packed_in(folder)["runs"]) == []


def test_the_held_out_scenario_has_the_settings_that_were_best_elsewhere():
    trials = pd.read_csv(RESULTS / "published" / "board-v1-tuning" / TRIALS_FILE)
    suite = load_suite("board-v1")
    for held_out in suite.held_out:
        assert not trials["scenario"].str.startswith(held_out).any()
        given = suite.hyperparameters_at[f"{held_out}*"]
        assert given == {found.method: found.values for found in transferred(trials)}


def test_who_pays_on_the_board_is_what_the_page_says():
    costs = pd.read_csv(RESULTS / "published" / "board-v1" / "board" / "costs.csv")
    who = dict(iter(costs.groupby("verdict")))
    page = " ".join((RESULTS / "README.md").read_text(encoding="utf-8").split())
    assert "pays" not in who and set(who["pays in places"]["above"]) == {1, 2}
    places = len(who["pays in places"])
    assert f"{places} entries are above FedAvg-FT in one or two scenarios where clients differ" in page
    assert who["never pays"]["entry"].tolist() == ["scaffold"]
    assert who["never pays"]["perhaps_above"].tolist() == [0]
    assert "SCAFFOLD alone is dearer, cheaper by 5 % in nothing, and above in no scenario even by its own" in page
    assert who["worse"][["entry", "dearer_in"]].to_numpy().tolist() == [["fedproto", "forward_samples"]]
    assert "FedProto, dearer in forward passes and cheaper in bytes, is worse" in page
    untold = who["cannot tell"].set_index("entry")
    assert untold.index.tolist() == ["knn_per", "feddbe", "fedselect", "fedcac"]
    assert set(untold["above"]) == {0} and untold["dearer_in"].notna().all()


def test_the_pilots_of_the_board_s_page_are_those_of_their_runs():
    """The best accuracy on validation so far, means of seeds that neither the board nor its tuning has."""
    pilot = pd.read_csv(RESULTS / "published" / "board-v1-tuning" / "pilot.csv")
    assert set(pilot["seed"]) == {2000, 2001} and (pilot.groupby(["scenario", "method"]).size() == 2).all()
    rates = (
        pilot["config"]
        .map(json.loads)
        .map(lambda own: ", ".join(f"{own[k]:g}" for k in ("lr", "inner_lr") if k in own))
    )
    means = pilot.groupby(["scenario", "method", rates])[["quarter", "half", "three_quarters", "whole"]].mean()
    page = (RESULTS.parent / "docs" / "board.md").read_text(encoding="utf-8")
    told = re.findall(
        r"^\| (\S+-v1) \| (\w+) \| ([\d., ]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, re.M
    )
    assert {row[:3]: row[3:] for row in told} == {
        row.Index: tuple(f"{value:.1f}" for value in row[1:]) for row in means.itertuples()
    }
    assert {scenario.id for scenario in load_suite("board-v1").scenarios} == set(pilot["scenario"])


def test_what_half_the_budget_chose_loses_at_the_whole_one_as_the_page_says():
    """Accuracy on validation; a setting's is the mean of its seeds."""
    folder, chosen_by = RESULTS / "published" / "board-v1-tuning", {}
    for budget, file in (("half", TRIALS_FILE), ("whole", "whole_budget.csv")):
        trials = pd.read_csv(folder / file)
        trials["scenario"] = trials["scenario"].str.removesuffix("@0.5x")
        chosen_by[budget] = trials.groupby(["scenario", "method", "config"])["validation_accuracy"]
    means = pd.DataFrame({budget: own.mean() for budget, own in chosen_by.items()}).dropna()
    cases = [own for _, own in means.groupby(level=["scenario", "method"])]
    assert {len(own) for own in cases} == {8}

    def chosen(own: pd.DataFrame) -> tuple:
        """Of equally good ones the nearest to the middle of the grid, as ``tune`` chooses."""
        grid = METHODS.get(own.index[0][1]).search_space
        tied = own.index[own["half"] > own["half"].max() - 1e-9]
        return min(tied, key=lambda key: from_middle(json.loads(key[2]), grid))

    lost = pd.Series([own["whole"].max() - own["whole"][chosen(own)] for own in cases])
    worse = lost[lost > 1e-9]
    apart = (chosen_by["whole"].max() - chosen_by["whole"].min()).median()
    best = means.groupby(level=["scenario", "method"]).max()
    gained = (best["whole"] - best["half"]).groupby("method").mean()
    page = " ".join((RESULTS.parent / "docs" / "board.md").read_text(encoding="utf-8").split())
    assert f"In {len(cases) - len(worse)} of {len(cases)} cases" in page
    assert f"other {len(worse)} it loses {worse.min():.2f} to {worse.max():.2f} points" in page
    assert f"{worse.mean():.2f} on average, where the two seeds of a setting lie {apart:.1f} points apart" in page
    assert f"ends {gained['pfedhn']:.1f} points better at the whole budget than at half" in page
    assert f"(FedAvg-FT's {gained['fedavg_ft']:.1f}, FedPer's {gained['fedper']:.1f})" in page


def test_what_tuning_the_steps_of_fedavg_ft_gains_is_what_the_page_says():
    """Accuracy on validation of each file's best setting, at half the budget."""
    folder = RESULTS / "published" / "board-v1-tuning"

    def best(file: str) -> pd.Series:
        trials = pd.read_csv(folder / file)
        own = trials[trials["method"] == "fedavg_ft"]
        means = own.groupby(["scenario", "config"])["validation_accuracy"].mean()
        return means.groupby("scenario").max()

    gained = (best("control_steps.csv") - best(TRIALS_FILE)).round(9)
    better, worse = gained[gained > 0].sort_values(ascending=False), -gained[gained < 0].sort_values()
    numbers = [len(gained) - len(better) - len(worse), len(gained), len(better), len(worse)]
    words = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]
    words += ["twelve", "thirteen"]
    level, all_, up, down = (words[number] for number in numbers)
    page = " ".join((RESULTS.parent / "docs" / "board.md").read_text(encoding="utf-8").split())
    assert f"it was level on {level} of the {all_} scenarios, better on {up} (by {better.iloc[0]:.1f} points on" in page
    assert all(f"{points:.1f} on " in page for points in better.iloc[1:])
    assert f"and worse on {down} (by {', '.join(f'{points:.1f} on' for points in worse)[:6]}" in page
    assert all(f"{points:.1f} on " in page for points in worse)


BOARDS = [folder for folder in SUITES if (folder / "board").is_dir()]


@pytest.mark.parametrize("folder", BOARDS, ids=lambda folder: folder.name)
def test_what_a_board_found_is_what_its_runs_give(folder):
    trials = trials_table_of(folder.with_name(f"{folder.name}-tuning"))
    found = board.files(basis_of(folder), folder.name, trials)
    assert {path.name: path.read_text(encoding="utf-8") for path in (folder / "board").iterdir()} == found


CURVES = {
    "pfedhn, ours": ("pfedhn-s0-bc39a299ef71", "pfedhn-s1-cd30c052e166"),
    "pfedhn_pc, ours": ("pfedhn_pc-s0-4b5cacba0c5e", "pfedhn_pc-s1-f5395f6a2143"),
    "pfedhn_pc, ours, heads equal at the start": ("pfedhn_pc-s0-82d8f271f024", "pfedhn_pc-s1-e18fac5d9828"),
}
"""Rows of ``results/README.md`` beside the official code's curve, and the runs whose mean they are."""


def test_curves_beside_the_official_code_are_those_of_the_runs():
    page = (RESULTS / "README.md").read_text(encoding="utf-8").splitlines()
    header = next(line for line in page if line.startswith("| client visits | 60 |"))
    visits, means = [int(cell) for cell in header.split("|")[2:-1]], {}
    for row, runs in CURVES.items():
        histories = [pd.read_csv(RESULTS / "published/paper-table1/runs" / run / "history.csv") for run in runs]
        tested = [own[own["split"] == "test"].set_index("visits")["accuracy"] for own in histories]
        means[row] = sum(tested).loc[visits] / len(tested)
        assert f"| {row} | {' | '.join(f'{mean:.1f}' for mean in means[row])} |" in page
    lead = means["pfedhn_pc, ours, heads equal at the start"] - means["pfedhn_pc, ours"]
    assert lead[60] > 8 and lead[300] < 1.5, "equal heads lead at first; the official code's start independent"


@pytest.mark.parametrize("folder", [f for f in SUITES if f not in PACKED], ids=lambda folder: folder.name)
def test_every_cell_agrees_with_those_that_decide_it(folder):
    """Of the large suites in some 30 runs; ``results validate`` looks at all."""
    records = [read_record(folder / "runs" / run_id) for run_id in scan_runs(folder)[0]["run_id"]]
    some = records[:: 1 + len(records) // 30]
    assert [f"{one.id}: {said}" for one in some for said in contradictions(folder, one)] == []
    assert list(disagreements(folder, records)) == []
