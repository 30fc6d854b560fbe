"""Natural clients with few samples: validation within the client, groups left out, and what is too small."""

import numpy as np

from pfl_bench.errors import RequestError
from pfl_bench.seeds import numpy_generator
from pfl_bench.text import agreeing, counted

from .cut import Parts, Strata
from .dataset import ArrayDataset

Notes = tuple[str, ...]


def held_out_within(parts: Parts, share: float, seed: int) -> tuple[Parts, Notes]:
    """Validation is held out of each class; a client that got none of it, or nothing else, holds out ``share`` of its
    own samples, at least one, and keeps at least one. Nothing changes for the other clients."""
    mended = {split: list(own) for split, own in parts.items()}
    small = 0
    for client, (train, validation) in enumerate(zip(parts["train"], parts["validation"], strict=True)):
        number = len(train) + len(validation)
        if number < 2 or (len(train) and len(validation)):
            continue
        small += 1
        rng = numpy_generator(seed, "partition", "within client", client)
        own = rng.permutation(np.concatenate([train, validation]))
        held = min(max(1, round(share * number)), number - 1)
        mended["validation"][client], mended["train"][client] = np.sort(own[:held]), np.sort(own[held:])
    if not small:
        return parts, ()
    note = f"validation was held out within {counted(small, 'small client')} of {len(parts['train'])}"
    return {split: tuple(own) for split, own in mended.items()}, (note,)


def left_out(least: int, dataset: ArrayDataset, strata: Strata) -> Notes:
    """How many groups, with how many samples, take no part because they have fewer than ``least``."""
    train, test = np.flatnonzero(strata.train < 0), np.flatnonzero(strata.test < 0)
    if not least or dataset.train_groups is None or dataset.test_groups is None or not len(train) + len(test):
        return ()
    groups = len(np.union1d(dataset.train_groups[train], dataset.test_groups[test]))
    return (
        f"{groups} of {groups + len(strata.numbers)} groups {agreeing(groups, 'has', 'have')} fewer than {least} "
        f"training samples or no test sample and {agreeing(groups, 'is', 'are')} left out, with {len(train)} training "
        f"and {len(test)} test samples",
    )


def groups_of_clients(shares: np.ndarray) -> Notes:
    """How groups and clients go together, where it is not one to one. ``shares``: ``[clients, groups]``."""
    clients, groups = shares.shape
    if clients == groups and ((shares > 0).sum(axis=1) == 1).all():
        return ()
    held, owners = (shares > 0).sum(axis=1), (shares > 0).sum(axis=0)

    def span(counts: np.ndarray) -> str:
        return str(counts.min()) if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"

    shared = f"; a group's samples are shared by {span(owners)} clients" if owners.max() > 1 else ""
    return (
        f"{counted(groups, 'group')} {agreeing(groups, 'is', 'are')} dealt to {counted(clients, 'client')}, "
        f"{span(held)} {agreeing(held.max(), 'group', 'groups')} a client{shared}",
    )


def refuse_too_small(parts: Parts, can_leave_out: bool, dataset: ArrayDataset, strata: Strata) -> None:
    """RequestError with the right advice for a client with too little to train, validate and test."""
    clients = len(parts["train"])
    for client in range(clients):
        own, test = len(parts["train"][client]) + len(parts["validation"][client]), len(parts["test"][client])
        if own < 2 or not test:
            tests = np.bincount(strata.test[strata.test >= 0], minlength=len(strata.numbers))
            small = strata.numbers[(strata.counts < 2) | (tests < 1)]
            raise RequestError(
                f"client {client} of {clients} would get {own} training and {test} test samples of {dataset.name} and "
                f"needs 2 and 1; {_what_helps(small, can_leave_out, dataset, strata)}"
            )


def _what_helps(small: np.ndarray, can_leave_out: bool, dataset: ArrayDataset, strata: Strata) -> str:
    """``small``: the groups of which no client can be made."""
    groups = len(strata.numbers)
    if not len(small):
        return f"use fewer clients: there are {counted(groups, 'group')}, and as many clients have one each"
    leave = "leave such groups out with min_samples = 2, or " if can_leave_out else ""
    called = dataset.groups_called(small)
    return f"{len(small)} of {groups} groups have fewer: {leave}use fewer clients (they are {called})"


def advice(config: object, law: object) -> list[str]:
    """What helps against a client without samples, where its law of sizes, or else its rule, has a least number."""
    for field, holder in (("quantity.min_samples", law), ("min_samples", config)):
        if (least := getattr(holder, "min_samples", None)) is not None:
            return [f"raise {field}={least}, use fewer clients or a less skewed partition"]
    return []
