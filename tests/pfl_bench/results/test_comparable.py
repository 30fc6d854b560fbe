import pandas as pd

from pfl_bench.results.comparable import plain, tell_apart


def frame(*rows: dict) -> pd.DataFrame:
    usual = {"scenario": "s-v1", "scenario_hash": "h", "seed": 0, "method": "fedavg", "config_hash": "c",
             "data_sha256": "d" * 64, "partition_sha256": "p0" * 32, "time": "2026-01-01",
             "code": "", "model_code": "", "dataset_code": ""}  # fmt: skip
    return pd.DataFrame([{**usual, **row} for row in rows])


def names(*rows: dict) -> list[str]:
    return tell_apart(frame(*rows))["scenario"].tolist()


def test_equal_runs_stay_together():
    told = tell_apart(frame({}, {"method": "local"}, {"seed": 1, "partition_sha256": "p1" * 32}))
    assert set(told["scenario"]) == {"s-v1"} and set(told["code_label"]) == {""}


def test_other_data_is_another_column():
    assert names({}, {"method": "local"}, {"seed": 1, "data_sha256": "e" * 64}) == [
        "s-v1",
        "s-v1",
        "s-v1 [data eeeeee]",
    ]


def test_of_two_kinds_the_newer_one_keeps_the_name():
    rows = {"data_sha256": "e" * 64, "time": "2026-02-01"}, {}
    assert names(*rows) == ["s-v1", "s-v1 [data dddddd]"]


def test_another_split_at_a_seed_is_another_column():
    rows = (
        {},
        {"method": "local"},
        {"method": "ditto", "partition_sha256": "q" * 64},
        {"seed": 1, "partition_sha256": "r"},
    )
    assert names(*rows) == ["s-v1", "s-v1", "s-v1 [split qqqqqq]", "s-v1"], "seeds have splits of their own"


def test_scenarios_that_were_edited_without_a_new_version_get_their_hash():
    assert names({}, {"scenario_hash": "i"}) == ["s-v1 [h]", "s-v1 [i]"]


def test_other_code_is_another_entry():
    told = tell_apart(frame({}, {"seed": 1, "code": "abcdef123456"}, {"method": "local", "code": "abcdef123456"}))
    assert told["code_label"].tolist() == ["", "code abcdef", ""]


def test_other_code_in_another_scenario_is_another_entry_too():
    """Ranks and aggregates over scenarios go by the entry."""
    told = tell_apart(frame({}, {"scenario": "t-v1", "scenario_hash": "i", "code": "abcdef123456"}))
    assert told["code_label"].tolist() == ["", "code abcdef"]


def test_another_client_model_is_another_column():
    assert names({}, {"method": "local"}, {"method": "ditto", "model_code": "abcdef123456"})[2] == "s-v1 [model abcdef]"
    edited = {"model_code": "abcdef123456"}
    assert names(edited, {**edited, "seed": 1}, {"method": "ditto"})[2] == "s-v1 [model as shipped]"


def test_marks_can_be_taken_off():
    assert [plain(name) for name in ("s-v1@0.1x+bf16 [h] [split qqqqqq]", "s-v1")] == ["s-v1@0.1x+bf16", "s-v1"]


def test_runs_that_did_not_record_their_data_are_not_accused():
    assert names({}, {"seed": 1, "data_sha256": None}) == ["s-v1", "s-v1"]


def test_an_empty_frame_is_fine():
    assert tell_apart(frame().reindex(columns=["scenario"])).empty
