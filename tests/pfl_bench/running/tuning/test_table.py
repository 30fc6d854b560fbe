"""The table of trials that others bring."""

import re

import pytest

from pfl_bench.errors import RequestError
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


@pytest.mark.parametrize(("old", "said"), [("81.5", "validation_accuracy='abc'"), (",1000,", "seed='abc'")])
def test_a_figure_that_is_none_is_named(tmp_path, old, said):
    place = written(
        tmp_path, ROW, ROW.replace("fedavg-s1000", "fedper-s1000").replace(old, old.replace(old.strip(","), "abc"))
    )
    with pytest.raises(RequestError, match=re.escape(f"{said} of 'fedper-s1000-0123456789ab' must be a number")):
        known_trials(place)


def test_what_is_no_table_of_trials_is_refused(tmp_path):
    with pytest.raises(RequestError, match="is not readable"):
        known_trials(tmp_path / TRIALS_FILE)
    (tmp_path / TRIALS_FILE).write_text("run_id,seed\na,1\n")
    with pytest.raises(RequestError, match="lacks the column scenario"):
        known_trials(tmp_path / TRIALS_FILE)
