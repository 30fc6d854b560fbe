"""``pfllib_pat``: PFLlib's pathological split: classes are dealt to the first clients that still want one."""

import numpy as np
from pydantic import Field, PositiveInt

from pfl_bench.api import RequestError, RuleConfig, register_partition


class PfllibPat(RuleConfig):
    """``classes`` per client. ``balanced``: a class's clients have equally many of it; else uniform numbers, and the
    last has the rest."""

    classes: PositiveInt = Field(default=2, description="classes per client")
    balanced: bool = Field(default=False, description="whether a class's clients have equally many of it")


@register_partition("pfllib_pat", config=PfllibPat, summary="PFLlib's pathological split: classes to the next clients")
def shares(config: PfllibPat, counts: np.ndarray, clients: int, rng: np.random.Generator) -> np.ndarray:
    """Class by class: the first ceil(clients k / C) clients that have fewer than k classes share it.

    So neighbours hold the same classes and nothing but sizes is random, where ``classes`` and ``shards`` deal at
    random; and where k does not divide C the last clients may have fewer classes. Unbalanced, all but the last get
    between a tenth of the average and the average, and the last the rest. As for the three splits, see ``pfllib_dir``.
    """
    n_classes = len(counts)
    if config.classes > n_classes:
        raise RequestError(f"pfllib_pat: classes={config.classes} per client, but the data set has {n_classes}")
    wanted, table = np.full(clients, config.classes), np.zeros((clients, n_classes))
    together = int(np.ceil(clients / n_classes * config.classes))
    for label, count in enumerate(counts):
        chosen = np.flatnonzero(wanted > 0)[:together]
        if not len(chosen):
            raise RequestError(
                f"pfllib_pat: {clients} clients with {config.classes} classes each leave class {label} of {n_classes} "
                f"to nobody; use another number of clients, such as a multiple of {n_classes}"
            )
        average = count / len(chosen)
        least, most = int(max(average / 10, 1)), int(average)
        others = len(chosen) - 1
        given = np.full(others, most) if config.balanced or most <= least else rng.integers(least, most, others)
        table[chosen, label] = np.append(given, count - given.sum()) / count
        wanted[chosen] -= 1
    return table
