import numpy as np
import pytest
import torch

from pfl_bench.engine.evaluation import Scores, _tallies
from pfl_bench.engine.reported import report_of, summary_of
from pfl_bench.metrics import METRICS


@pytest.mark.parametrize("classes", [2, 5])
def test_reports_of_clients_give_the_metrics_of_an_evaluation(classes):
    rng = torch.Generator().manual_seed(classes)
    sizes = [7, 3, 12]
    logits = [torch.randn(n, classes, generator=rng) for n in sizes]
    labels = [torch.randint(classes, (n,), generator=rng) for n in sizes]
    found = summary_of([report_of(own, y) for own, y in zip(logits, labels, strict=True)])

    longest = max(sizes)
    padded = torch.stack([torch.cat([own, torch.zeros(longest - len(own), classes)]) for own in logits])
    y = torch.stack([torch.cat([own, torch.zeros(longest - len(own), dtype=torch.long)]) for own in labels])
    real = torch.arange(longest) < torch.tensor(sizes)[:, None]
    own = {key: value.double().numpy() for key, value in _tallies(padded, y, real).items()}
    correct, loss = own.pop("correct"), own.pop("loss")
    expected = Scores(correct, np.asarray(sizes), loss / sizes, own).summary()
    assert found.keys() == expected.keys() == {metric.key for metric in METRICS}
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_a_report_is_numbers_and_flat_lists():
    report = report_of(torch.eye(3), torch.tensor([0, 1, 0]))
    assert (report["total"], report["correct"]) == (3.0, 2.0)
    flat = [value for value in report.values() if isinstance(value, list)]
    assert flat and all(type(number) is float for own in flat for number in own)
