"""Checks of a client model: is it a pure function of its parameters, the same however clients are put together?"""

from dataclasses import replace
from typing import Any

import torch

from pfl_bench.client.backends import choose_backend
from pfl_bench.client.model import ClientModel
from pfl_bench.errors import RequestError
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options

from .check import Check, CheckFailedError
from .harness import Harness
from .kit import ATOL, RTOL, SHARED, fingerprint, finish
from .model_setup import (
    CLIENTS,
    FEW,
    SAMPLES,
    SHORT,
    ModelContext,
    furthest,
    logits,
    one,
    same,
    train,
    without_gradient,
)


def builds(name: str, context: ModelContext) -> None:
    """Output, features and head fit each other and the data; weights are drawn from the run's seed alone."""
    try:
        model = context.model(name)
    except RequestError as error:
        raise CheckFailedError(str(error)) from error
    torch.manual_seed(1)
    first, before = model.init(0), torch.random.get_rng_state()
    second, other = model.init(0), model.init(1)
    if not torch.equal(before, torch.random.get_rng_state()) or not same(first, second):
        raise CheckFailedError("its initial weights do not come from the run's seed alone")
    if same(first.only(model.trainable), other.only(model.trainable)):
        raise CheckFailedError("its initial weights are the same for every seed")


def names_its_parameters(name: str, context: ModelContext) -> None:
    """A parameter too few or too many is an error."""
    model = context.model(name)
    params = model.init(0)
    x = context.samples(name)[1][0]
    first = next(iter(params))
    for wrong in (params.without([first]), params | {"unheard_of": params[first]}):
        try:
            model.evaluating(torch.ones(len(x)))(wrong, x)
        except ValueError:
            continue
        raise CheckFailedError("it takes parameters that are missing or unknown")


def evaluates_alike(name: str, context: ModelContext) -> None:
    """Outputs do not depend on padding, on who else is scored, on the back-end or on global random numbers."""
    model = context.model(name)
    params, x = context.samples(name)
    ones = torch.ones(x.shape[:2])
    right = logits("loop", model, params, x, ones)
    torch.manual_seed(5)
    if not torch.equal(right, logits("loop", model, params, x, ones)):
        raise CheckFailedError("the same samples give other outputs the second time; does it draw random numbers?")
    other = x[:, :2].flip(0) * (3 if x.is_floating_point() else 1)
    padded, counts = torch.cat([x, other], dim=1), torch.cat([ones, ones[:, :2] * 0], dim=1)
    for backend in context.backends(name):
        cases = {
            "with padding": logits(backend, model, params, padded, counts)[:, :SAMPLES],
            "one client at a time": torch.cat(
                [logits(backend, model, *one(i, params, x, ones)) for i in range(CLIENTS)]
            ),
            "in another order": logits(backend, model, params, x.flip(1), ones).flip(1),
        }  # fmt: skip
        if not model.serves_in_layers:  # batch normalisation without running figures is about the batch
            cases["one sample at a time"] = torch.cat(
                [logits(backend, model, params, x[:, i : i + 1], ones[:, :1]) for i in range(SAMPLES)], dim=1
            )
        for case, found in cases.items():
            if not torch.allclose(found, right, rtol=RTOL, atol=ATOL):
                raise CheckFailedError(
                    f"on {backend}, {case}, outputs differ by up to {(found - right).abs().max():.2g}"
                )


def trains(name: str, context: ModelContext) -> None:
    """Every trainable parameter moves, frozen ones stay, running figures follow."""
    model, start, end = context.model(name), context.model(name).init(0), train(name, context, "loop")
    idle = without_gradient(name, context)
    if idle:
        raise CheckFailedError(
            f"the output does not depend on {', '.join(idle)}; drop them, or set requires_grad=False"
        )
    if all(torch.equal(start[key].expand_as(end[key]), end[key]) for key in model.shapes):
        raise CheckFailedError("training moves nothing")
    moved = [key for key in start if key not in model.trainable | model.buffers
             and not torch.equal(start[key].expand_as(end[key]), end[key])]  # fmt: skip
    if moved:
        raise CheckFailedError(f"training moves the frozen {', '.join(moved)}")
    broken = [key for key in end if not torch.isfinite(end[key]).all()]
    if broken:
        raise CheckFailedError(f"training makes {', '.join(broken)} NaN or infinite")
    running = [key for key in model.buffers if key.rpartition(".")[2] in ("running_mean", "running_var")]
    kept = [key for key in running if torch.equal(start[key].expand_as(end[key]), end[key])]
    if kept:
        raise CheckFailedError(f"running figures do not follow the batches: {', '.join(kept)}")


def trains_alike(name: str, context: ModelContext) -> None:
    """The same training twice, after other random numbers, alone or in a cohort, on every back-end."""
    torch.manual_seed(1)
    once = train(name, context, "loop")
    torch.manual_seed(2)
    if not same(once, train(name, context, "loop")):
        raise CheckFailedError("the same training twice gives other weights; random numbers must come from nn.Dropout")
    alone = train(name, context, "loop", [1])
    if not same(once.map(lambda t: t[1:2]), alone):
        raise CheckFailedError("a client alone trains otherwise than in a cohort")
    if "vmap" not in context.backends(name):
        _refuses(context.model(name), "vmap")
        return
    for sizes, case in ((None, ""), (SHORT, "with short batches, ")):
        key, worst = _apart(name, context, sizes)
        if key:
            raise CheckFailedError(
                f"{case}loop and vmap differ by up to {worst:.2g} in {key} after training; what mixes the samples "
                "of a batch must be nn.BatchNorm, or ask for backend='loop'"
            )


def _apart(name: str, context: ModelContext, sizes: Any) -> tuple[str, float]:
    """Where loop and vmap disagree after training; "" where they agree.

    Rounding decides on which side of ReLU's kink a value next to it falls, and that moves a gradient by a finite amount
    (ResNet-8 with BatchNorm: in 5 of 32 trainings). A true difference is there in double precision too.
    """
    found = furthest(*(train(name, context, backend, sizes=sizes) for backend in ("loop", "vmap")))
    if not found[0]:
        return found
    try:
        return furthest(*(train(name, context, backend, sizes=sizes, double=True) for backend in ("loop", "vmap")))
    except (RuntimeError, TypeError):  # a model that knows single precision only
        return found


def trains_on_one_sample(name: str, context: ModelContext) -> None:
    """Clients with one, two and many samples train side by side."""
    for backend in context.backends(name):
        end = train(name, context, backend, sizes=FEW)
        broken = [key for key in end if not torch.isfinite(end[key]).all()]
        if broken:
            raise CheckFailedError(f"on {backend}, clients with few samples make {', '.join(broken)} NaN or infinite")


def resumes(name: str, context: ModelContext) -> None:
    """A run of FedAvg resumed from a checkpoint gives the bits of an uninterrupted one."""
    setup = context.setup(name)
    options = replace(SHARED, backend=context.backends(name)[-1])
    job = make_job(setup.spec("fedavg", cohort=1), setup.partition, options)
    whole, checkpoints = finish(job, setup.dataset)
    torch.manual_seed(3)
    if fingerprint(finish(job.going_on_from(checkpoints[1]), setup.dataset)[0]) != fingerprint(whole):
        raise CheckFailedError("a resumed run gives another result than an uninterrupted one")


def averages_buffers(name: str, context: ModelContext) -> None:
    """FedAvg's server has the mean of what two clients have, running figures included."""
    harness = Harness("fedavg", context.setup(name), options=Options(backend="loop"))
    fed, cohort = harness.fed, harness.clients(0, 1)
    parts = fed.train(fed.send(harness.server, cohort), cohort, harness.method.config.sgd()).params
    harness.round(0, 1)
    share = fed.sizes[cohort] / fed.sizes[cohort].sum()
    for key, value in harness.server.items():
        if not torch.allclose(value, torch.tensordot(share, parts[key], dims=1), rtol=RTOL, atol=ATOL):
            raise CheckFailedError(f"{key} is not averaged over the clients")


def _refuses(model: ClientModel, backend: str) -> None:
    try:
        choose_backend(backend, model, torch.device("cpu"))
    except RequestError:
        return
    raise CheckFailedError(f"it needs the back-end {model.backend} and yet runs on {backend}")


MODEL_CHECKS = [
    Check("builds; output, features and head fit", builds, vital=True),
    Check("missing and unknown parameters are errors", names_its_parameters),
    Check("evaluates alike: padded, chunked, alone", evaluates_alike),
    Check("trains: parameters move, frozen ones stay", trains),
    Check("trains alike: twice, alone, loop and vmap", trains_alike),
    Check("clients with one sample train", trains_on_one_sample),
    Check("resumed = uninterrupted, bitwise", resumes),
    Check("buffers are averaged", averages_buffers),
]
