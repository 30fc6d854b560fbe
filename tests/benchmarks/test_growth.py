"""Time per client visit from 10 to 10,000 clients, and what a run keeps in memory of them."""

import time

import numpy as np
import pytest

from pfl_bench.data.partition import make_partition
from pfl_bench.engine.events import RunResult
from pfl_bench.engine.simulator import simulate
from pfl_bench.spec.options import Options
from pfl_bench.testing.setup import TinySetup, tiny_setup

VISITS = 40


def setup_of(clients: int) -> TinySetup:
    """CIFAR-sized images, LeNet, one evaluation at the end, so that training dominates."""
    base = tiny_setup("synthetic:classes=10,n=32000,side=32,channels=3", "lenet", rule={"rule": "iid"}, clients=10)
    update = {"clients": clients, "visits": VISITS, "local_steps": 10, "batch_size": 16, "eval_every": VISITS}
    partition = make_partition("iid", {}, base.dataset, clients, 0)
    return TinySetup(base.but(**update).scenario, base.dataset, partition)


def run(setup: TinySetup, method: str) -> RunResult:
    *_, result = simulate(setup.spec(method), setup.dataset, setup.partition, Options())
    assert isinstance(result, RunResult)
    return result


@pytest.mark.benchmark(group="cost growth")
@pytest.mark.parametrize("method", ["fedavg", "fedper", "pfedhn"])
def test_time_per_visit_is_flat(benchmark, capsys, method):
    setups = [setup_of(clients) for clients in (10, 1000)]
    seconds: list[list[float]] = [[], []]
    for _ in range(5):
        for kept, setup in zip(seconds, setups, strict=True):
            kept.append(run(setup, method).facts["costs"]["train_seconds"] / VISITS)
    few, many = (float(np.median(kept)) for kept in seconds)
    benchmark.extra_info.update(seconds_10_clients=few, seconds_1000_clients=many, ratio=many / few)
    benchmark.pedantic(run, args=(setups[0], method), rounds=1)
    with capsys.disabled():
        print(
            f"\n{method}: {1e3 * few:.1f} ms a visit with 10 clients, {1e3 * many:.1f} ms with 1000: {many / few:.2f}x"
        )


@pytest.mark.benchmark(group="memory")
@pytest.mark.parametrize("method", ["local", "pfedme", "pfedhn_pc"])
def test_memory_with_500_clients(benchmark, capsys, method):
    setup = setup_of(500)
    started = time.perf_counter()
    result = benchmark.pedantic(run, args=(setup, method), rounds=1)
    gigabytes = result.facts["peak_memory_bytes"] / 1e9
    benchmark.extra_info["peak_gigabytes"] = gigabytes
    with capsys.disabled():
        print(f"\n{method}, 500 clients: peak {gigabytes:.2f} GB, {time.perf_counter() - started:.0f} s")


@pytest.mark.benchmark(group="memory")
@pytest.mark.parametrize("method", ["local", "ditto", "fedper"])
def test_ten_thousand_clients_with_their_state_on_disk(benchmark, capsys, method):
    """Twenty samples each, however many they are; every checkpoint that falls due is made. What is made once per
    process, traces among it, is made beforehand."""

    def simulated(clients: int, visits: int) -> RunResult:
        base = tiny_setup(f"synthetic:classes=10,n={20 * clients},side=8", rule={"rule": "iid"}, clients=10)
        changes = {"visits": visits, "eval_every": visits, "batch_size": 16}
        partition = make_partition("iid", {}, base.dataset, clients, 0)
        setup = TinySetup(base.but(clients=clients, **changes).scenario, base.dataset, partition)
        *_, result = simulate(setup.spec(method, cohort=10), setup.dataset, partition, Options(state="disk"))
        assert isinstance(result, RunResult)
        return result

    simulated(100, 200)
    found = {clients: simulated(clients, 20_000) for clients in (100, 10_000)}
    benchmark.pedantic(lambda: None, rounds=1)
    few, many = (found[clients].facts["costs"]["train_seconds"] / 20_000 for clients in (100, 10_000))
    gigabytes = found[10_000].facts["peak_memory_bytes"] / 1e9
    benchmark.extra_info.update(ratio=many / few, peak_gigabytes=gigabytes)
    with capsys.disabled():
        print(f"\n{method}: {1e3 * few:.1f} ms a visit with 100 clients, {1e3 * many:.1f} with 10,000: "
              f"{many / few:.2f}x, peak {gigabytes:.2f} GB")  # fmt: skip
