"""``pfllib_dir``: PFLlib's Dirichlet split, in which a client that has its average share gets no further class."""

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from pfl_bench.api import RequestError, RuleConfig, register_partition

ATTEMPTS = 200


class PfllibDir(RuleConfig):
    """``alpha`` as in PFLlib. Redrawn until every client has ``min_samples``; PFLlib asks for 1, of all its data."""

    alpha: PositiveFloat = Field(default=0.1, description="the smaller, the more skewed")
    min_samples: PositiveInt = Field(default=10, description="redrawn until every client has so many to train on")


@register_partition("pfllib_dir", config=PfllibDir, summary="PFLlib's Dirichlet split: full clients get no more")
def shares(config: PfllibDir, counts: np.ndarray, clients: int, rng: np.random.Generator) -> np.ndarray:
    """Class by class: shares from Dir(alpha), 0 for clients that hold N / clients samples already, normalised.

    Unlike ``dirichlet`` with ``by="class"``, which has no such limit; so sizes are more alike, and the order of the
    classes matters. Unlike PFLlib, which splits each client's samples of the joined train and test data at random into
    75 and 25 %, the same shares cut train, validation and test. RequestError after 200 attempts.
    """
    limit = counts.sum() / clients
    for _ in range(ATTEMPTS):
        table, held = np.zeros((clients, len(counts))), np.zeros(clients)
        for label, count in enumerate(counts):
            drawn = rng.dirichlet(np.full(clients, config.alpha)) * (held < limit)
            if not drawn.sum() > 0:  # the rest of what was drawn is too small for a number
                break
            table[:, label] = drawn / drawn.sum()
            held += np.diff(np.floor(np.cumsum(table[:, label]) * count), prepend=0)
        else:
            if held.min() >= config.min_samples:
                return table
    raise RequestError(
        f"pfllib_dir: in {ATTEMPTS} draws with alpha={config.alpha} some of {clients} clients always got fewer than "
        f"min_samples={config.min_samples} of {int(counts.sum())} samples; use a larger alpha or fewer clients"
    )
