import pytest

from pfl_bench.actions.settings import read_settings
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.spec.run import RunSpec, check_hyperparameters, make_config, plan_runs
from pfl_bench.spec.suite import Suite, load_suite

SCENARIO = load_suite("quick").scenarios[0]


def typed(setting: str, methods: list[str]) -> dict:
    """A setting as ``run`` takes it: read, then checked."""
    overrides = read_settings([setting], methods, METHODS.names())
    for method, values in overrides.items():
        make_config(method, values, "--set")
    return overrides


def suite(hyperparameters, **fields) -> Suite:
    return Suite("s", "", (SCENARIO,), hyperparameters=hyperparameters, **fields)


def run(**changes) -> RunSpec:
    base = {"method": "fedavg", "config": make_config("fedavg", {}, "t"), "scenario": SCENARIO, "seed": 0}
    return RunSpec(**{**base, **changes})


def test_id_covers_method_config_scenario_and_seed_and_nothing_else():
    ids = {
        run().id,
        run(seed=1).id,
        run(config=make_config("fedavg", {"lr": 0.1}, "t")).id,
        run(scenario=SCENARIO.scaled(0.5)).id,
        run(method="fedper", config=make_config("fedper", {}, "t")).id,
    }
    assert len(ids) == 5
    assert run().id == run().id
    assert run().id.startswith("fedavg-s0-")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("fedavg.lr", "must read METHOD.FIELD=VALUE"),
        ("fedavg=3", "must read METHOD.FIELD=VALUE"),
        ("availability.present=0.5", "--set: 'availability.present=0.5' is of a scenario.*write a suite of your own"),
        ("quantity={}", "is of a scenario"),
        ("fedavgg.lr=3", "unknown method 'fedavgg': did you mean 'fedavg'"),
        ("fedavg.lrr=3", "unknown hyper-parameter of fedavg 'lrr': did you mean 'lr'"),
        ("fedavg.lr=-1", "--set fedavg.lr=-1 must be greater than 0"),
        ("fedavg.lr=NaN", "--set fedavg.lr=nan must be a finite number"),
        ("fedavg.lr=Infinity", "finite number"),
        ("fedavg.lr=fast", "--set fedavg.lr='fast' must be a number"),
        ("fedavg.momentum=1.0", "less than 1"),
        ("fedavg.cohort=0", "greater than 0"),
        ("fedavg.cohort=2.5", "whole number"),
        ("per_fedavg.variant=exact", "does not take part"),
    ],
)
def test_bad_settings(setting, message):
    with pytest.raises(RequestError, match=message) as caught:
        typed(setting, ["fedavg"])
    assert "\n" not in str(caught.value)


def test_choices_are_named():
    with pytest.raises(RequestError, match="variant='exact' must be 'fo' or 'hf'"):
        typed("per_fedavg.variant=exact", ["per_fedavg"])


def test_precedence_is_default_then_suite_then_set():
    overrides = typed("fedavg.lr=0.3", ["fedavg"])
    (planned,) = plan_runs(["fedavg"], [SCENARIO], [0], suite({"fedavg": {"lr": 0.2, "momentum": 0.5}}), overrides)
    assert (planned.config.lr, planned.config.momentum, planned.config.weight_decay) == (0.3, 0.5, 5e-5)


def test_hyperparameters_at_a_scenario_go_on_top_of_the_suites():
    at = {"*": {"fedavg": {"lr": 0.6}}, "digits-*": {"fedavg": {"lr": 0.4}}, "cifar*": {"fedavg": {"lr": 0.5}}}
    own = suite({"fedavg": {"lr": 0.2, "momentum": 0.5}}, hyperparameters_at=at)
    (planned,) = plan_runs(["fedavg"], [SCENARIO.scaled(0.5)], [0], own, {})
    assert (planned.config.lr, planned.config.momentum) == (0.4, 0.5)
    (typed,) = plan_runs(["fedavg"], [SCENARIO], [0], own, {"fedavg": {"lr": 0.3}})
    assert typed.config.lr == 0.3


def test_seeds_are_those_asked_for_or_the_suites_of_each_scenario():
    own = suite({}, seeds="3", seeds_at={"digits-*": "4-5"})
    assert [run.seed for run in plan_runs(["fedavg"], [SCENARIO.scaled(0.5)], None, own, {})] == [4, 5]
    assert [run.seed for run in plan_runs(["fedavg"], [SCENARIO], [0], own, {})] == [0]


def test_suite_hyperparameters_are_checked():
    with pytest.raises(RequestError, match="unknown hyper-parameter of fedavg 'speed'"):
        plan_runs(["fedavg"], [SCENARIO], [0], suite({"fedavg": {"speed": 1}}), {})


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"hyperparameters": {"ditto": {"speed": 1}}}, "hyperparameters: unknown hyper-parameter of ditto 'speed'"),
        ({"hyperparameters": {"ditto": {"lr": -1}}}, "hyperparameters ditto.lr=-1"),
        ({"hyperparameters_at": {"*": {"ditto": {"lr": "fast"}}}}, r"hyperparameters_at\.\* ditto.lr='fast'"),
        ({"variants": {"pfedme": [{"lr": 0.1}, {"lam": "x"}]}}, "variants pfedme.lam='x'"),
        ({"search_space": {"pfedme": {"lr": [0.1, True]}}}, "search_space pfedme.lr=True"),
    ],
)
def test_what_a_suite_says_of_methods_that_take_no_part_is_checked(tables, said):
    own = suite(tables.pop("hyperparameters", {}), **tables)
    with pytest.raises(RequestError, match=f"^suite {own.name}: {said}") as caught:
        check_hyperparameters(own)
    assert "\n" not in str(caught.value)
    assert plan_runs(["fedavg"], [SCENARIO], [0], own, {})


def test_what_a_suite_says_must_fit_together():
    with pytest.raises(RequestError, match="per_fedavg"):
        check_hyperparameters(suite({}, hyperparameters_at={"*": {"per_fedavg": {"variant": 5}}}))
    check_hyperparameters(suite({"per_fedavg": {"variant": "fo"}}))


def test_every_built_in_suite_can_be_planned():
    from pfl_bench.spec.suite import builtin_suites, parse_names

    for suite in builtin_suites().values():
        methods = parse_names(suite.methods, METHODS.names(), "method")
        check_hyperparameters(suite)
        runs = plan_runs(methods, suite.scenarios, [0], suite, {})
        assert len({r.id for r in runs}) == len(runs)


def test_configurations_are_immutable():
    with pytest.raises(ValueError, match="frozen"):
        run().config.lr = 3


def test_every_search_space_is_valid():
    for entry in METHODS:
        assert entry.value.search_space, entry.name
        for name, values in entry.value.search_space.items():
            for value in values:
                make_config(entry.name, {name: value}, "search space")


def test_a_list_among_the_hyper_parameters_is_planned_and_told_apart(monkeypatch):
    from pfl_bench.methods.fedavg import FedAvg

    class Config(FedAvg.Config):
        milestones: list[int] = [100, 200]

    monkeypatch.setattr(FedAvg, "Config", Config)
    variants = {"fedavg": [{}, {"milestones": [100, 200]}, {"milestones": [5]}]}
    runs = plan_runs(["fedavg"], [SCENARIO], [0], suite({}, variants=variants), {})
    assert [run.config.milestones for run in runs] == [[100, 200], [5]] and len({run.id for run in runs}) == 2
    with pytest.raises(RequestError, match=r"milestones.0=True must be a whole number"):
        plan_runs(["fedavg"], [SCENARIO], [0], suite({"fedavg": {"milestones": [True]}}), {})
