"""The table of trials that others bring."""

import re

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.analyses import transfer
from pfl_bench.running.tuning.table import COLUMNS, TRIALS_FILE, known_trials

ROW = 'fedavg-s1000-0123456789ab,a-v1,fedavg,1000,finished,81.5,"{""lr"": 0.1}"'


def written(folder, *rows):
    place = folder / TRIALS_FILE
    place.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return place


def test_trials_that_have_ended_are_known(tmp_path):
    running, diverged = ROW.replace("finished", "running"), ROW.replace("finished,81.5", "diverged,")
    place = written(tmp_path, running, diverged.replace("1000", "1001"), ROW.replace("1000", "1002"))
    assert known_trials(place)["seed"].tolist() == [1001, 1002]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("81.5", "abc", "validation_accuracy='abc' must be a number"),
        ("81.5", "inf", "validation_accuracy=inf must be a number"),
        ("81.5", "1e999", "validation_accuracy=inf must be a number"),
        ("81.5", "True", "validation_accuracy=True must be a number"),
        (",1000,", ",abc,", "seed='abc' must be a whole number"),
        (",1000,", ",1e999,", "seed=inf must be a whole number"),
        (",1000,", ",,", "seed=nan must be a whole number"),
        (",1000,", ",1000.5,", "seed=1000.5 must be a whole number"),
    ],
)
def test_a_figure_that_is_none_is_named(tmp_path, old, new, said):
    place = written(tmp_path, ROW.replace(old, new))
    with pytest.raises(RequestError, match=re.escape(f"{TRIALS_FILE}: {said}")):
        known_trials(place)
    with pytest.raises(RequestError, match=re.escape(f"{TRIALS_FILE}: {said}")):
        transfer.main(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [TRIALS_FILE]


def test_what_is_no_table_of_trials_is_refused(tmp_path):
    with pytest.raises(RequestError, match="is not readable"):
        known_trials(tmp_path / TRIALS_FILE)
    (tmp_path / TRIALS_FILE).write_text("run_id,seed\na,1\n")
    with pytest.raises(RequestError, match="lacks the column scenario"):
        known_trials(tmp_path / TRIALS_FILE)
