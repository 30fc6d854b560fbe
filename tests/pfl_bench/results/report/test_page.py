"""The page as text; what a browser makes of it is in test_browser.py."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.graph_objects
import pytest

from pfl_bench.results.comparison import compare
from pfl_bench.results.frame import scan_runs
from pfl_bench.results.palette import Palette
from pfl_bench.results.report import evaluations, figures
from pfl_bench.results.report.collect import collect
from pfl_bench.results.report.page import render
from pfl_bench.results.report.runs import embedded
from tests.ledgers import folder_with, full_folder, history_rows, record, save

HOSTILE = '</script><img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return full_folder(tmp_path_factory.mktemp("results") / "suite", scenarios=("sc-v1", "other-v1"), novel=True)


@pytest.fixture(scope="module")
def page(folder):
    return render(collect(folder))


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


class Tags(HTMLParser):
    """Start tags with their attributes; scripts with their text."""

    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def tags_of(page: str, name: str) -> list[dict]:
    parser = Tags()
    parser.feed(page)
    return [attributes for tag, attributes in parser.tags if tag == name]


def test_every_cell_leads_to_its_runs(folder, page):
    details = data_of(page)["runs"]
    assert sum(map(len, details["groups"].values())) == len(details["rows"]) == 2 * 3 * 8
    buttons = [b["data-group"] for b in tags_of(page, "button") if b.get("class") == "runs"]
    assert sorted(buttons) == sorted(details["groups"]) and len(buttons) == 6
    row = dict(zip([*details["own"], *details["shared"]], details["rows"][0], strict=True))
    run = json.loads((folder / "runs" / row["run_id"] / "run.json").read_text())
    for name in ("git_commit", "partition_sha256"):
        assert details["values"][name][row[name]] == run[name]
    assert json.loads(details["values"]["config"][row["config"]]) == run["config"]


def test_every_figure_is_valid_plotly(page):
    figures = data_of(page)["figures"]
    assert all(figures[name]["sc-v1"] for name in figures if name not in ("ranks",))
    for by_scenario in figures.values():
        for figure in filter(None, by_scenario.values()):
            plotly.graph_objects.Figure(data=figure["data"], layout=figure["layout"])


def test_figures_say_what_the_runs_say(folder, page):
    figures = data_of(page)["figures"]
    curve = next(t for t in figures["curves-visits"]["sc-v1"]["data"] if t.get("name") == "ditto")
    runs = scan_runs(folder)[0]
    mean = runs[(runs["method"] == "ditto") & (runs["scenario"] == "sc-v1")]["accuracy"].mean()
    assert curve["x"] == [30, 60, 100] and curve["y"][-1] == pytest.approx(mean, rel=1e-4)
    bytes_ = next(t for t in figures["curves-bytes"]["sc-v1"]["data"] if t.get("name") == "ditto")
    assert bytes_["x"][-1] == 3.0, "MB"
    heat = figures["partition"]["sc-v1"]["data"][0]
    assert np.array(heat["z"])[2].tolist() == [20, 21, 22]
    novel = figures["novel"]["sc-v1"]["data"][0]
    assert len(novel["x"]) == 3 * 8, "only the rows with all labelled samples"


def test_a_curve_of_one_evaluation_is_a_point():
    def drawn(visits):
        rows = [("a", seed, n, 50.0 + seed, 10) for seed in (0, 1) for n in visits]
        history = pd.DataFrame(rows, columns=["entry", "seed", "visits", "accuracy", "bytes_down"]).assign(bytes_up=0)
        own, going = history[history["seed"] == 0], history[history["seed"] == 1]
        figure = figures.curves(figures.averaged(own), going, "visits", Palette(["a"]))
        return [(trace["mode"], trace.get("marker", {}).get("color")) for trace in figure["data"]]

    assert {mode for mode, _ in drawn([10, 20])} == {"lines"}
    assert {mode for mode, _ in drawn([10])} == {"lines+markers"} and all(colour for _, colour in drawn([10]))


def test_every_evaluation_is_on_the_page_unless_there_are_too_many(folder, page, monkeypatch):
    found = data_of(page)["evaluations"]
    assert {scenario: len(runs) for scenario, runs in found.items()} == {"sc-v1": 24, "other-v1": 24}
    assert all(run["visits"] == [30, 60, 100] and run["mb"][-1] == 3.0 for run in found["sc-v1"])
    monkeypatch.setattr(evaluations, "MOST_EVALUATIONS", 143)
    assert len(found["sc-v1"]) * 3 * 2 == 144
    few = render(collect(folder))
    assert data_of(few)["evaluations"] is None and "There are too many evaluations" in few


def test_a_method_has_one_colour_in_all_figures(page):
    data = data_of(page)
    for by_scenario in data["figures"].values():
        for figure in filter(None, by_scenario.values()):
            for trace in figure["data"]:
                look = trace.get("line", {}).get("color") or trace.get("marker", {}).get("color")
                if "meta" in trace and look:
                    assert look == data["looks"][trace["meta"]]["color"]


def test_pairs_are_of_the_same_runs_as_the_table(folder, page):
    duels = data_of(page)["duels"]
    assert duels["counting"] == ["other-v1", "sc-v1"] and duels["entries"] == ["ditto", "fedavg", "local"]
    runs = scan_runs(folder)[0]
    means = runs[runs["scenario"] == "sc-v1"].groupby("method")["accuracy"].mean()
    for first, second, seeds, difference, low, high, p_value in duels["scenarios"]["sc-v1"]:
        assert difference == pytest.approx(means.iloc[first] - means.iloc[second], abs=1e-3)
        assert seeds == 8 and low <= difference <= high and 0 < p_value <= 1


def test_the_partition_picture_counts_who_is_tested_on_classes_it_never_sees():
    holdings = pd.DataFrame(
        [(0, 0, 5, 1), (0, 1, 0, 2), (1, 0, 7, 3), (1, 1, 4, 0)], columns=["client", "label", "train", "test"]
    )
    note = figures.partition(holdings)["note"]
    assert note.startswith("1 of 2 clients") and "(2 of 6 test samples)" in note
    assert not figures.partition(holdings[holdings["train"] > 0])["note"]


def test_nothing_is_fetched_and_only_its_own_scripts_may_run(page):
    assert not re.findall(r"""(?:src|href)=["']?https?:""", page.split("<script>")[0])
    policy = next(m["content"] for m in tags_of(page, "meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and policy.count("sha256-") == 2 and "unsafe-eval" not in policy
    assert len(tags_of(page, "script")) == 3


def test_hostile_names_stay_text(tmp_path):
    """Methods and scenarios are called so only in frames that were not read from a folder."""
    folder = folder_with(tmp_path / "x", *hostile_runs())
    results = collect(folder)
    assert HOSTILE in results.runs["entry"].iloc[0]
    other = results.runs.assign(scenario=HOSTILE, method=HOSTILE, entry=HOSTILE)
    for one in (results, replace(results, runs=other)):
        page = render(one)
        assert "<img" not in page.split("<script>")[0] and not tags_of(page, "img")
        assert len(tags_of(page, "script")) == 3
        assert data_of(page)["runs"]["values"]["config"][-1] == json.dumps({HOSTILE: HOSTILE})
        shown = json.dumps(data_of(page)["figures"])
        assert "name" in shown and not re.search(r'"(name|text)": "[^"]*<', shown), "Plotly reads tags in names"


def hostile_runs(text: str = HOSTILE) -> list[dict]:
    """Two variants, named after hyper-parameters of this text."""
    configs = [{text: text}, {text: "<a href=x>y</a>"}]
    return [record("fedavg", seed, reason=text, config=own, backend=text) for own in configs for seed in range(2)]


@pytest.mark.parametrize("text", ["</script>", "<!--", "a&b", "\u2028", 'quote " and \\'])
def test_embedded_json_cannot_end_its_element(text):
    shown = embedded({"k": text})
    assert not set("<>&\u2028\u2029") & set(shown) and json.loads(shown) == {"k": text}


def test_unfinished_runs_are_marked_and_not_averaged(tmp_path):
    folder = full_folder(tmp_path, methods=("fedavg",), seeds=2)
    from pfl_bench.results.ledger import Ledger

    ledger = Ledger(folder)
    with ledger.lock():
        save(ledger, record("ditto", 7, status="unfinished"), history=history_rows(99.0, (30, 60)))
    page = render(collect(folder))
    assert "Not finished yet: 1 of the runs." in page
    traces = data_of(page)["figures"]["curves-visits"]["sc-v1"]["data"]
    assert [t["name"] for t in traces if "unfinished" in t.get("name", "")] == ["ditto, seed 7 (unfinished)"]
    assert "0, 1 unfinished" in page


@pytest.mark.parametrize("status", ["unfinished", "failed", "diverged", "skipped"])
def test_a_folder_without_a_finished_run_gives_a_page(tmp_path, status):
    folder = folder_with(tmp_path, record("a", status=status, reason="why"), record("b", status=status))
    page = render(collect(folder))
    assert page.count(f"0, 1 {status}") == 2


def snapshot(folder) -> dict:
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_hostile_folder_gives_a_page_and_stays_as_it_is(tmp_path):
    folder = full_folder(tmp_path / "suite", novel=True)
    runs = folder / "runs"
    names = sorted(p.name for p in runs.iterdir())

    def tamper(name: str, change) -> None:
        path = runs / name / "run.json"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    (runs / names[0] / "run.json").write_text('{"schema": 1, "id"')
    tamper(names[1], lambda r: {**r, "schema": 0})
    tamper(names[2], lambda r: {**r, "summary": {"global": {"best": {"accuracy": float("nan")}}}})
    tamper(names[3], lambda r: {**r, "partition_sha256": "../../../../etc/passwd"})
    tamper(names[4], lambda r: {**r, "scenario": {**r["scenario"], "id": HOSTILE}, "method": HOSTILE})
    tamper(names[5], lambda r: {**r, "costs": "none"})
    (runs / names[6] / "history.csv").write_text("visits,accuracy\n1,2\n")
    (runs / names[7] / "clients.csv").write_bytes(b"\xff\xfe\x00")
    (runs / names[8] / "history.csv").write_text((runs / names[8] / "history.csv").read_text()[:-40])
    (runs / names[9] / "clients.csv").write_text(
        (runs / names[9] / "clients.csv").read_text().replace("20", "nan").replace("global", "inf")
    )
    (runs / names[10] / "novel.csv").write_text("")
    (runs / "notes.txt").write_text("foreign")
    (runs / "empty").mkdir()
    (folder / "partitions" / f"{0:012x}.csv").write_text('client,label\n"')
    before = snapshot(folder)
    results = collect(folder)
    page = render(results)
    assert snapshot(folder) == before
    where = {problem.where for problem in results.problems}
    left_out = [names[0], names[1], names[2], names[5], "notes.txt", "empty"]
    assert {f"runs/{name}" for name in left_out} <= where
    assert {f"runs/{names[k]}" for k in (4, 6, 7, 8, 9)} <= where, "what its name or its tables contradict is no run"
    for problem in results.problems:
        assert f"<code>{problem.where}</code>" in page
    assert "/bin/bash" not in page and len(tags_of(page, "script")) == 3 and not tags_of(page, "img")


def test_an_empty_folder_gives_a_page(tmp_path):
    (tmp_path / "runs").mkdir()
    page = render(collect(tmp_path))
    assert "Leaderboard" in page and data_of(page)["runs"]["rows"] == []


def test_the_same_runs_give_the_same_page(folder, page):
    assert render(collect(folder)) == page


def test_needs_neither_torch_nor_ray(folder):
    code = (
        "import sys; from pathlib import Path; from pfl_bench.results.report.page import render;"
        "from pfl_bench.results.report.collect import collect; import pfl_bench.results.comparison;"
        f"render(collect(Path({str(folder)!r}))); sys.exit(bool({{'torch', 'ray'}} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compare_of_a_folder_with_itself_moves_nothing(folder):
    runs = scan_runs(folder)[0]
    assert {cell.verdict for cell in compare(runs, runs)} == {"same"}
