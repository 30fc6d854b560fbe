"""Tallies against scikit-learn, padded and in chunks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from pfl_bench import tallies
from pfl_bench.engine.evaluation import Scores, _tallies
from pfl_bench.metrics import METRICS

FIGURES = {metric.key: metric.of for metric in METRICS}


def scored(logits, labels, real):
    """As ``evaluation.evaluate`` makes them."""
    found, total = _tallies(logits, labels, real), real.sum(1).numpy()
    correct, loss = found.pop("correct").numpy(), found.pop("loss").double().numpy() / total
    return Scores(correct, total, loss, {key: values.double().numpy() for key, values in found.items()})


def drawn(seed, clients=4, length=9, classes=3, coarse=False):
    """Clients with 2 to ``length`` samples; ``coarse``: logits with many ties."""
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(clients, length, classes, generator=rng, dtype=torch.float32)
    logits = logits.round() if coarse else logits
    labels = torch.randint(classes, (clients, length), generator=rng)
    real = torch.arange(length) < torch.randint(2, length + 1, (clients, 1), generator=rng)
    return logits, labels, real


def auc_by_hand(logits, labels, real):
    """Class by class, pairs within clients counted one by one."""
    won, pairs = np.zeros(logits.shape[-1]), np.zeros(logits.shape[-1])
    for x, y, there in zip(logits.log_softmax(-1), labels, real, strict=True):
        x, y = x[there].numpy(), y[there].numpy()
        for k in range(x.shape[1]):
            for a in x[y == k, k]:
                for b in x[y != k, k]:
                    won[k] += (a > b) + 0.5 * (a == b)
                    pairs[k] += 1
    return 100 * np.mean(won[pairs > 0] / pairs[pairs > 0]) if pairs.any() else np.nan


@given(st.integers(0, 10_000), st.booleans())
def test_metrics_are_scikit_learns(seed, coarse):
    logits, labels, real = drawn(seed, coarse=coarse)
    scores = scored(logits, labels, real)
    y, found = labels[real].numpy(), logits.argmax(-1)[real].numpy()
    chances = logits.double().softmax(-1)[real].numpy()
    assert FIGURES["accuracy"](scores) == pytest.approx(100 * sk.accuracy_score(y, found))
    assert FIGURES["macro_f1"](scores) == pytest.approx(100 * sk.f1_score(y, found, average="macro"))
    recalls = sk.recall_score(y, found, average=None, labels=np.unique(y), zero_division=0)
    assert FIGURES["balanced_accuracy"](scores) == pytest.approx(100 * recalls.mean())
    assert FIGURES["log_loss"](scores) == pytest.approx(sk.log_loss(y, chances, labels=[0, 1, 2]), rel=1e-5)
    assert FIGURES["auc"](scores) == pytest.approx(auc_by_hand(logits, labels, real), nan_ok=True)
    edges = np.clip(np.ceil(chances.max(1) * tallies.BINS), 1, tallies.BINS)
    gaps = [abs((found == y)[edges == b].sum() - chances.max(1)[edges == b].sum()) for b in np.unique(edges)]
    assert FIGURES["calibration_error"](scores) == pytest.approx(100 * sum(gaps) / len(y), abs=1e-4)


def test_one_clients_auc_is_scikit_learns():
    logits, labels, real = drawn(3, clients=1, length=60)
    chances = logits.double().softmax(-1)[real].numpy()
    expected = sk.roc_auc_score(labels[real].numpy(), chances, multi_class="ovr", average="macro")
    assert FIGURES["auc"](scored(logits, labels, real)) == pytest.approx(100 * expected)


@given(st.integers(0, 10_000))
def test_tallies_add_up_over_chunks_of_clients_and_ignore_padding(seed):
    logits, labels, real = drawn(seed, coarse=True)
    for tally in (tallies.BY_CLASS, tallies.BY_CONFIDENCE, tallies.BY_PAIR):
        whole = tally.of(logits, labels, real)
        parts = [tally.of(logits[i : i + 1], labels[i : i + 1], real[i : i + 1]) for i in range(len(labels))]
        assert torch.equal(whole, torch.cat(parts))
        longer = [torch.cat([t, t[:, :2]], dim=1) for t in (logits, labels)]
        assert torch.equal(whole, tally.of(*longer, torch.cat([real, real[:, :2] & False], dim=1)))


@given(st.integers(0, 10_000), st.booleans())
def test_pairs_are_the_same_by_ranks_one_by_one_and_in_pieces(seed, coarse):
    logits, labels, real = drawn(seed, length=30, coarse=coarse)
    scores = logits.log_softmax(-1)
    one_by_one = tallies._pair_by_pair(scores, labels, real)
    assert torch.equal(one_by_one, tallies._by_rank(scores, labels, real))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "PAIRS", 4 * 30 * 7)
        assert torch.equal(one_by_one, tallies._pair_by_pair(scores, labels, real))


def test_who_has_one_class_has_no_pairs():
    logits, labels = torch.randn(2, 4, 3), torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]])
    assert np.isnan(FIGURES["auc"](scored(logits, labels, torch.ones(2, 4, dtype=torch.bool))))


def test_confidences_are_summed_alike_in_any_number_of_bins_at_a_time(monkeypatch):
    logits, labels, real = drawn(3, clients=5, length=70)
    logits[0, 0] = torch.nan  # in no bin
    whole = tallies.by_confidence(logits, labels, real)
    monkeypatch.setattr(tallies, "BINNED", 1)
    assert torch.equal(tallies.by_confidence(logits, labels, real).nan_to_num(-1), whole.nan_to_num(-1))
    assert whole[:, 0].sum() == real.sum() - 1
