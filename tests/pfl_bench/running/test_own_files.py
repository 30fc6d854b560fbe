"""A scenario of each kind of input, from a file of the user's to the end of a run: back-ends agree to tolerance; here,
resumed and on Ray a run is the same bit by bit."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pfl_bench.engine.events import Checkpoint, RunResult
from pfl_bench.running.executors.ray import RayExecutor
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.job import make_job
from pfl_bench.spec.heterogeneity import AvailabilitySpec
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import ATOL, RTOL, fingerprint
from pfl_bench.testing.setup import tiny_setup

CLIENTS, N = 3, 72
LABELS, USERS = np.arange(N) % 3, np.arange(N) // 3 % CLIENTS
KINDS = {"table": "mlp-bn", "series": "har-cnn", "tokens": "text-mean", "image": "lenet"}


def table(folder, rng):
    """A CSV file with a column of each sort."""
    columns = {"weight": rng.normal(LABELS, 1), "sex": np.where(rng.random(N) < 0.5, "f", "m")}
    frame = pd.DataFrame({**columns, "animal": np.asarray(["ant", "bee", "cat"])[LABELS], "plot": USERS})
    frame.to_csv(folder / "table.csv", index=False)
    return f"csv:{folder}/table.csv?label=animal&group=plot"


def series(folder, rng):
    """Arrays of recordings in an npz, with users by name."""
    x = rng.normal(LABELS[:, None, None], 1, (N, 64, 2))
    who = np.asarray(["ann", "eve", "joe"], dtype=object)[USERS]
    test = np.arange(N) % 4 == 0
    parts = {"train": ~test, "test": test}
    arrays = {f"{key}_{part}": own[rows] for key, own in (("x", x), ("y", LABELS), ("users", who))
              for part, rows in parts.items()}  # fmt: skip
    np.savez(folder / "series.npz", **arrays)
    return f"npz:{folder}/series.npz?kind=series"


def tokens(folder, rng):
    """Texts as LEAF's users have them."""
    letters = np.where(rng.random((N, 12)) < 0.5, LABELS[:, None], rng.integers(0, 9, (N, 12)))
    texts = ["".join("abcdefghi"[k] for k in row) for row in letters]
    for part, rows in (("train", np.arange(N) % 4 > 0), ("test", np.arange(N) % 4 == 0)):
        data = {
            f"user {user}": {
                "x": [texts[k] for k in np.flatnonzero(rows & (user == USERS))],
                "y": LABELS[rows & (user == USERS)].tolist(),
            }
            for user in range(CLIENTS)
        }
        (folder / "leaf" / part).mkdir(parents=True)
        (folder / "leaf" / part / "all.json").write_text(json.dumps({"users": list(data), "user_data": data}))
    return f"leaf:{folder}/leaf"


def image(folder, rng):
    """Pictures, a folder per class."""
    for k, label in enumerate(LABELS):
        place = folder / "pictures" / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(60 * label, 60 * label + 120, (16, 16), dtype=np.uint8)).save(place / f"{k}.png")
    return f"imagefolder:{folder}/pictures"


@pytest.fixture
def setup_of(tmp_path):
    def make(kind):
        spec = {"table": table, "series": series, "tokens": tokens, "image": image}[kind](
            tmp_path, np.random.default_rng(0)
        )
        rule = {"rule": "iid" if kind == "image" else "natural"}
        setup = tiny_setup(spec, KINDS[kind], rule=rule, clients=CLIENTS)
        assert setup.dataset.input.kind == kind
        away = AvailabilitySpec(present=0.8, stragglers=0.5)
        return setup.but(visits=9, local_steps=4, eval_every=3, availability=away)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_back_ends_agree_on_files_of_every_kind(setup_of, kind):
    setup = setup_of(kind)
    right, other = (Harness("ditto", setup, rounds=3, options=Options(backend=name)) for name in ("loop", "vmap"))
    for ours, theirs in zip(other.tensors(), right.tensors(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=RTOL, atol=ATOL)


def test_here_resumed_and_on_ray_files_of_every_kind_give_the_same(setup_of):
    setups = {kind: setup_of(kind) for kind in KINDS}
    options = Options(checkpoint_seconds=0)
    jobs = [make_job(setup.spec("ditto"), setup.partition, options) for setup in setups.values()]
    data = {setup.scenario.dataset: setup.dataset for setup in setups.values()}

    def results(executor, asked):
        updates = list(executor.execute(asked, data))
        return [
            next(e for p, e in updates if p == at and isinstance(e, RunResult)) for at in range(len(asked))
        ], updates

    here, updates = results(SerialExecutor(), jobs)
    first = [next(e.data for p, e in updates if p == at and isinstance(e, Checkpoint)) for at in range(len(jobs))]
    resumed, _ = results(SerialExecutor(), [job.going_on_from(data) for job, data in zip(jobs, first, strict=True)])
    on_ray, _ = results(RayExecutor(workers=1), jobs)
    for kind, own, again, there in zip(KINDS, here, resumed, on_ray, strict=True):
        assert fingerprint(own) == fingerprint(again), f"{kind}, resumed"
        assert fingerprint(own) == fingerprint(there), f"{kind}, on Ray"
        assert own.tables == again.tables == there.tables
