import numpy as np
import pandas as pd
import pytest

from pfl_bench.cli.app import run_command_line
from pfl_bench.errors import RequestError
from pfl_bench.results.analyses import claims, clusters, communication, curves, embeddings, novel
from pfl_bench.results.analyses.pictures import counted_seeds
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.ledger import Ledger
from tests.ledgers import folder_with, full_folder, history_rows, record, save

GROUPS = np.repeat(np.arange(10), 5)


def test_purity_tells_groups_from_noise():
    rng = np.random.default_rng(0)
    near = rng.normal(0, 0.1, (50, 4)) + 3 * rng.normal(size=(10, 4))[GROUPS]
    found = embeddings.purity_test(near, GROUPS)
    assert found["purity"] > 0.9 and found["p_value"] < 0.01 and found["purity_shuffled"] < 0.2
    alarms = [embeddings.purity_test(rng.normal(size=(50, 4)), GROUPS)["p_value"] < 0.05 for _ in range(40)]
    assert np.mean(alarms) <= 0.15


def test_the_slope_of_the_gap_is_tested():
    """The p-value is that of the correlation of gap and distance; three clients on a line leave no doubt."""
    rows = pd.DataFrame(
        {
            "scenario": "s",
            "method": ["line"] * 3 + ["cloud"] * 5 + ["two"] * 2,
            "samples": "all",
            "tv_distance": [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.1, 0.2],
            "gap": [1.0, 2.0, 3.0, 3.0, 1.0, 4.0, 1.0, 5.0, 1.0, 2.0],
            "test_correct": 1,
            "test_samples": 2,
            "training_accuracy": 60.0,
            "run_id": "r",
        }
    )
    table = novel.summary(rows).set_index("method")
    assert table["slope_per_unit_tv"].tolist() == pytest.approx([10.0, 4.0, 10.0])
    assert table["slope_p_value"]["line"] < 1e-6
    cloud = rows[rows["method"] == "cloud"]
    correlation = np.corrcoef(cloud["tv_distance"], cloud["gap"])[0, 1]
    t = correlation * np.sqrt(3 / (1 - correlation**2))
    # Student's t with three degrees of freedom, in closed form.
    tail = 0.5 - (np.arctan(t / np.sqrt(3)) + np.sqrt(3) * t / (3 + t**2)) / np.pi
    assert table["slope_p_value"]["cloud"] == pytest.approx(2 * tail)
    assert np.isnan(table["slope_p_value"]["two"])


def test_clusters_are_matched_with_groups():
    """By number they differ; what counts is who is together. A group that was split counts once."""
    groups = np.repeat([0, 1, 2], 4)
    assert clusters.share_in_right_cluster(np.repeat([5, 9, 7], 4), groups) == 1
    assert clusters.share_in_right_cluster(np.zeros(12), groups) == pytest.approx(1 / 3)
    assert clusters.share_in_right_cluster(np.arange(12), groups) == pytest.approx(3 / 12)
    assert clusters.share_in_right_cluster(np.asarray([0, 0, 0, 1] * 3), groups) == pytest.approx(4 / 12)
    assert 1 / 3 < clusters.by_chance(np.repeat([0, 1, 2], 4), groups) < 0.6


def test_clusters_writes_a_row_per_run(tmp_path):
    ledger = Ledger(tmp_path)
    rows = [{"client": c, "cluster": c % 2, "group": c // 2} for c in range(4)]
    right = [{**row, "cluster": row["group"]} for row in rows]
    with ledger.lock():
        save(ledger, record("ifca", seed=0), tables={"clusters": rows})
        save(ledger, record("ifca", seed=1), tables={"clusters": right})
        save(ledger, record("fedavg", seed=0))
    clusters.main(tmp_path)
    table = pd.read_csv(tmp_path / "clusters.csv")
    assert table[["method", "seed", "groups", "clusters", "right"]].to_numpy().tolist() == [
        ["ifca", 0, 2, 2, 0.5], ["ifca", 1, 2, 2, 1.0],
    ]  # fmt: skip


def test_clusters_without_groups_are_refused(tmp_path):
    ledger = Ledger(tmp_path)
    with ledger.lock():
        save(ledger, record("ifca"), tables={"clusters": [{"client": 0, "cluster": 1, "group": ""}]})
    with pytest.raises(RequestError, match="no scenario has shifts or natural groups"):
        clusters.main(tmp_path)


def test_novel_writes_its_tables_and_picture(tmp_path):
    folder = full_folder(tmp_path / "s", novel=True, seeds=2)
    novel.main(folder)
    table = pd.read_csv(folder / "novel-summary-sc-v1.csv")
    assert set(table["method"]) == {"ditto", "fedavg", "local"} and (table["clients"] == 6).all()
    assert (folder / "novel-sc-v1.png").stat().st_size > 1000
    with pytest.raises(RequestError, match="has enrolled a client"):
        novel.main(full_folder(tmp_path / "t", seeds=1))


@pytest.mark.parametrize(
    "analysis", [claims, clusters, communication, curves, embeddings, novel], ids=lambda a: a.__name__
)
def test_a_wrong_request_is_one_line(analysis, tmp_path, cli):
    """No folder, one that is none, one without a finished run, one whose tables are damaged."""
    unfinished = folder_with(tmp_path / "a", record(status="failed"))
    damaged = full_folder(tmp_path / "b", seeds=1, novel=True)
    for path in damaged.glob("runs/*/*.csv"):
        path.write_text("moment,moment\n1\n")
    cases = {
        (): "Missing argument 'FOLDER'",
        ("a", "b"): "unexpected extra argument",
        ("--nope",): "No such option: --nope",
        (str(tmp_path / "none"),): "has no folder 'runs'",
        (str(tmp_path),): "has no folder 'runs'",
        (str(unfinished),): "no finished run",
        (str(damaged),): "history.csv lacks the column visits",
    }
    for words, said in cases.items():
        status, _, line = cli("analyse", analysis.__name__.rpartition(".")[2], *words)
        assert status == 2 and line.startswith("error: ") and line.count("\n") == 1 and said in line


def test_vectors_without_known_groups_are_refused(tmp_path):
    ledger = Ledger(tmp_path)
    with ledger.lock():
        save(ledger, record(), tables={"vectors": [{"client": 0, "v0": 1.0}, {"client": 1, "v0": 2.0}]})
    with pytest.raises(RequestError, match="does not say the clients' natural groups"):
        embeddings.main(tmp_path)


def test_curves_draw_every_scenario(tmp_path):
    folder = full_folder(tmp_path, scenarios=("sc-v1", "other-v1"), seeds=2)
    found = curves.read_curves(folder, finished_runs(folder))
    assert set(found["visits"]) == {30, 60, 100} and len(found) == 2 * 3 * 2 * 3
    curves.main(folder)
    assert all((folder / f"curves-{name}.png").stat().st_size > 1000 for name in ("sc-v1", "other-v1"))


def test_communication_totals_are_the_metered_bytes(tmp_path):
    ledger = Ledger(tmp_path)
    with ledger.lock():
        for hidden in (50, 400):
            run = record("pfedhn", accuracy=60.0, config={"hidden": hidden})
            save(ledger, run, history=history_rows(60.0))
    communication.main(tmp_path)
    table = pd.read_csv(tmp_path / "communication-sc-v1.csv").set_index("entry")
    assert table["bytes"].to_dict() == {"pfedhn (hidden=50)": 3_000_000, "pfedhn (hidden=400)": 3_000_000}


def test_the_size_of_the_hypernetwork_does_not_touch_communication(tmp_path):
    """The suite's claim, run for real on digits: hidden width 10 and 200, the same bytes."""
    for hidden in (10, 200):
        words = (
            f"run --methods pfedhn --seeds 0 --budget-scale 0.05 --executor serial --set pfedhn.hidden={hidden} --out"
        )
        assert run_command_line([*words.split(), str(tmp_path)]) == 0
    rows = communication.totals(communication.accuracy_over_bytes(tmp_path / "quick"))
    assert len(rows) == 2 and rows["bytes"].nunique() == 1 and rows["bytes"].iloc[0] > 0


def _claims(folder, accuracies):
    """``claims.csv`` of runs given as (scenario, method, accuracy per seed), with the place and claim as its index."""
    runs = [
        record(method, seed, accuracy, scenario=scenario)
        for scenario, method, seeds in accuracies
        for seed, accuracy in enumerate(seeds)
    ]
    claims.main(folder_with(folder, *runs))
    return pd.read_csv(folder / "claims.csv").set_index(["edition", "scenario", "claim"])["verdict"].to_dict()


def test_claims_can_hold_fail_and_be_undecided(tmp_path):
    ten, fifty, hundred = (f"cifar10-classes2-n{n}-v1" for n in (10, 50, 100))
    found = _claims(
        tmp_path,
        [
            (ten, "pfedhn_pc", [90.0]), (ten, "pfedhn", [91.0]), (ten, "local", [86.5, 86.0]),
            (fifty, "pfedhn", [88.0, 88.4]), (fifty, "fedavg", [50.0, 52.0]), (fifty, "local", [86.0, 86.4]),
            (hundred, "pfedhn", [80.0, 60.0]), (hundred, "fedavg", [60.0, 79.0]), (hundred, "local", [82.0, 82.2]),
            (f"{fifty}@0.1x+bf16", "pfedhn_pc", [70.0]), (f"{fifty}@0.1x+bf16", "pfedhn", [70.0]),
        ],
    )  # fmt: skip
    assert found == {
        ("full", ten, "pfedhn_pc >= pfedhn"): "fails, one seed",
        ("full", fifty, "pfedhn > fedavg"): "holds",
        ("full", hundred, "pfedhn > fedavg"): "within the spread",
        ("full", f"{ten} to {fifty}", "local falls"): "within the spread",
        ("full", f"{fifty} to {hundred}", "local falls"): "holds",
        ("@0.1x+bf16", fifty, "pfedhn_pc >= pfedhn"): "holds, one seed",
    }
    table = (tmp_path / "columns-full.md").read_text().splitlines()
    assert table[0] == f"| method | {ten} | {fifty} | {hundred} |"
    assert "| pfedhn_pc | 90.00 (1) | - | - |" in table
    assert "| pfedhn | 91.00 (1) | 88.20 ± 0.28 (2) | 70.00 ± 14.14 (2) |" in table
    assert (tmp_path / "columns-0.1x+bf16.md").exists()


def test_on_iid_data_nobody_should_beat_fedavg_by_more_than_the_spread(tmp_path):
    place = "fashion-iid-n50-v1"
    rows = [(place, "fedavg", [80.0, 81.0]), (place, "ditto", [80.4, 81.2]), (place, "fedper", [70.0, 71.0]),
            (place, "cheat", [90.0, 91.2])]  # fmt: skip
    assert _claims(tmp_path, rows) == {
        ("full", place, "fedavg >= cheat"): "fails",
        ("full", place, "fedavg >= ditto"): "fails",  # 0.3 points, with 0.2 between seeds
        ("full", place, "fedavg >= fedper"): "holds",
    }


def test_the_picture_of_bytes_counts_the_seeds_of_each_entry(tmp_path, monkeypatch):
    """Two entries of one method are two lines."""
    ledger = Ledger(tmp_path)
    with ledger.lock():
        for hidden, seed in ((50, 0), (50, 1), (400, 0)):
            run = record("pfedhn", seed=seed, accuracy=60.0, config={"hidden": hidden})
            save(ledger, run, history=history_rows(60.0))
    titles = []
    monkeypatch.setattr(communication, "draw", lambda rows, title, *_: titles.append(title))
    communication.main(tmp_path)
    assert len(titles) == 1 and titles[0].endswith("1 to 2 seeds")


def test_a_picture_says_how_many_seeds_its_entries_have():
    """The title of ``paper-table1`` said three seeds where six of eleven entries had one."""
    three = pd.DataFrame({"method": "fedavg", "seed": [0, 1, 2, 2]})
    one = pd.DataFrame({"method": ["local"], "seed": [0]})
    assert counted_seeds(three) == "3 seeds" and counted_seeds(one) == "1 seed"
    assert counted_seeds(pd.concat([three, one])) == "1 to 3 seeds"


def test_a_claim_without_common_seeds_is_left_out(tmp_path):
    runs = [record("pfedhn", 0, 80.0, scenario="cifar10-classes2-n50-v1"),
            record("fedavg", 1, 50.0, scenario="cifar10-classes2-n50-v1")]  # fmt: skip
    claims.main(folder_with(tmp_path, *runs))
    assert pd.read_csv(tmp_path / "claims.csv").empty


def test_no_analysis_writes_through_a_link(tmp_path):
    folder = full_folder(tmp_path / "s", novel=True, seeds=2)
    names = ("claims.csv", "novel-sc-v1.csv", "novel-sc-v1.png", "communication-sc-v1.csv")
    for name in names:
        (tmp_path / name).write_text("mine")
        (folder / name).symlink_to(tmp_path / name)
    for analysis in (claims, novel, communication):
        analysis.main(folder)
    for name in names:
        assert (tmp_path / name).read_text() == "mine" and not (folder / name).is_symlink()
        assert (folder / name).stat().st_size > 10
