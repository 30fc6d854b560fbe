"""Every shipped client model passes its checks: loop = vmap, resumed = uninterrupted, and the rest of them."""

import pytest

from pfl_bench.registry import MODELS
from pfl_bench.testing import MODEL_CHECKS, ModelContext, examine

HEAVY = {"resnet18-gn", "resnet18-bn", "torchvision"}
"""Eleven million weights: the same code as ResNet-8, checked by ``check --model all``; torchvision's by a small one."""
LIGHT = "torchvision:shufflenet_v2_x0_5?norm=group"


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", [*sorted(set(MODELS.names()) - HEAVY), LIGHT])
def test_it_passes(name):
    assert [(check.title, said) for check, said in examine(MODEL_CHECKS, name, ModelContext()) if said] == []


def test_the_command_line_takes_members_of_a_family(cli):
    status, out, error = cli("check", "--model", "logistic,torchvision:resnet19")
    assert (
        status == 1 and out.count("ok ") == len(MODEL_CHECKS) and "no classifier 'resnet19'" in out.replace("\n", " ")
    )
    status, _, error = cli("check", "--model", "mlp,torchvison:resnet18")
    assert status == 2 and "unknown client model 'torchvison:resnet18'" in error
