import pytest

from pfl_bench.errors import RequestError
from pfl_bench.spec.scenario import Scenario, at_edition
from pfl_bench.spec.suite import builtin_suites, load_suite, parse_names, parse_seeds, parse_suite, select_scenarios

SCENARIO = """
[[scenario]]
id = "a-v1"
dataset = "digits"
partition = { rule = "iid" }
clients = 4
model = "mlp"
visits = 100
local_steps = 5
batch_size = 8
eval_every = 10
"""


def test_built_in_suites():
    suites = builtin_suites()
    assert {"quick", "paper-table1"} <= set(suites)
    paper = {s.id: s for s in suites["paper-table1"].scenarios}
    assert set(paper) == {
        *(f"cifar10-classes2-n{n}-v1" for n in (10, 50, 100)),
        *(f"cifar100-classes10-n{n}-v1" for n in (10, 50, 100)),
        "omniglot-alphabets-n50-v1",
    }
    for scenario in paper.values():
        assert (scenario.visits, scenario.local_steps, scenario.batch_size, scenario.eval_every) == (5000, 50, 64, 30)
    assert len(suites["quick"].scenarios) == 1 and suites["quick"].scenarios[0].clients == 20


def test_scenario_round_trip_and_variations():
    scenario = builtin_suites()["quick"].scenarios[0]
    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario
    smaller = scenario.scaled(0.1)
    assert smaller.id == f"{scenario.id}@0.1x" and smaller.visits == round(scenario.visits * 0.1)
    assert smaller.budget_scale == 0.1
    assert scenario.scaled(1.0) is scenario
    assert smaller.at_precision("bf16").id.endswith("@0.1x+bf16")
    assert scenario.scaled(1e-9).visits == 1
    assert scenario.scaled(0.1234567).id != scenario.scaled(0.1234568).id, "another budget has another name"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "is not TOML"),
        ("name = 'x'", "'scenario' is missing or empty"),
        (SCENARIO, "'name' is missing"),
        ("name = 'x'\nsedes = '1'" + SCENARIO, "unknown field in s.toml 'sedes': did you mean 'seeds'"),
        ("name = 'x'\n" + SCENARIO + "[search_space]\nfedavg = { lr = 0.1 }", "must give a list of values per hyper"),
        ("name = 'x'\n" + SCENARIO + "[search_space]\nfedavg = {}", "search_space.fedavg={} must give a list"),
        ("name = 'x'\nheld_out = 'a-v1'" + SCENARIO, "held_out='a-v1' must be a list"),
        ("name = 'x'\nheld_out = ['a-v2']" + SCENARIO, "unknown scenario in s.toml, held_out 'a-v2'"),
        ("name = 'x'\n" + SCENARIO + "[hyperparameters]\nfedavg = 3", "hyperparameters.fedavg=3 must be a table"),
        ("name = 'x'\n" + SCENARIO + "[hyperparameters_at]\n'a-*' = 3", "hyperparameters_at.a-.=3 must be a table"),
        ("name = 'x'\n" + SCENARIO + "[hyperparameters_at.'b-*']\n", "unknown scenario in s.toml, hyper.* 'b-.'"),
        ("name = 'x'\n" + SCENARIO.replace("a-v1", "a+b-v1"), "id='a.b-v1': '@' and '.' mark a scenario's editions"),
        ("name = 'x'\nmethods = [1]" + SCENARIO, r"methods=\[1\] is of the wrong type; it must be such as \"all\" or"),
        ("name = 'x'\nseeds = [true]" + SCENARIO, r"seeds=\[True\] is of the wrong type; it must be such as \"0-2\""),
        ("name = 'x'\nseeds = true" + SCENARIO, "seeds=True is of the wrong type"),
        ("name = 'x'\nseeds = '3-1'" + SCENARIO, "s.toml: seeds: '3-1' is not a number"),
        ("name = 'x'\nseeds_at = 3" + SCENARIO, "seeds_at=3 is of the wrong type; it must be a table"),
        ("name = 'x'\n" + SCENARIO + "[seeds_at]\n'a-*' = true", "seeds_at.a-.=True is of the wrong type"),
        ("name = 'x'\n" + SCENARIO + "[seeds_at]\n'a-*' = '3-1'", "s.toml: seeds_at.a-.: '3-1' is not a number"),
        ("name = 'x'\n" + SCENARIO + "[seeds_at]\n'b-*' = 3", "unknown scenario in s.toml, seeds_at 'b-.'"),
        ("name = 'x'\nscenario = [1]", r"scenario=1 must be a table, under the heading \[\[scenario\]\]"),
        *(
            (f"name = 'x'\n{SCENARIO}[variants]\nfedavg = {value}", "variants.fedavg=.* must be a list of tables")
            for value in ("5", "[]", "[1]", "{ lr = 0.1 }", "'x'")
        ),
        ("name = 'con'" + SCENARIO, "the name 'con' is reserved by Windows"),
        (f"name = '{'x' * 300}'" + SCENARIO, "has 300 characters; at most 100"),
        ("name = 'x'\nx = " + "[" * 9999, "is not TOML: "),
        ("name = 'x'\nx = " + "9" * 5000, "is not TOML: ValueError"),
        ("name = 'x'\nlocal = 1" + SCENARIO, "unknown field in s.toml 'local'"),
        ("name = '../x'" + SCENARIO, "must consist of letters"),
        ("name = 'x'" + SCENARIO + SCENARIO, "scenario id 'a-v1' is used twice"),
        (
            "name = 'x'" + SCENARIO + "[variants]\nditto = [{lr = 0.1}, {}, {lr = 0.1}]",
            "ditto has one of its 3 variants",
        ),
        ("name = 'x'" + SCENARIO.replace("100", "-3"), r"scenario 'a-v1': visits=-3 must be greater than 0"),
        ("name = 'x'" + SCENARIO.replace("100", "nan"), "visits=nan must be a whole number"),
        ("name = 'x'" + SCENARIO.replace("visits", "vists"), r"there is no field 'vists': did you mean 'visits'\?"),
    ],
)
def test_mistakes_in_a_suite_file(text, message):
    with pytest.raises(RequestError, match=message) as caught:
        parse_suite(text, "s.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("factor", [1e308, 1e9, float("inf"), float("nan"), 0, -1])
def test_budgets_that_are_none(factor):
    with pytest.raises(RequestError, match="^--budget-scale: "):
        at_edition(builtin_suites()["quick"].scenarios, factor, "fp32", "--budget-scale")


def test_a_scenario_s_own_precision_holds_where_none_is_asked_for():
    (own,) = parse_suite("name = 'x'" + SCENARIO + "\nprecision = 'bf16'", "s.toml").scenarios
    said = {asked: (at.id, at.precision) for asked in (None, "bf16", "fp32") for at in at_edition([own], 1, asked)}
    assert said == {None: ("a-v1", "bf16"), "bf16": ("a-v1", "bf16"), "fp32": ("a-v1+fp32", "fp32")}


@pytest.mark.parametrize("precision", [True, 1, float("nan"), "", "FP32", ["fp32"]])
def test_precisions_that_are_none(precision):
    with pytest.raises(RequestError, match="^unknown precision .*: .*choose from bf16, fp32"):
        at_edition(builtin_suites()["quick"].scenarios, 1, precision)


def test_own_suite_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("name = 'mine'\nmethods = 'fedavg'" + SCENARIO + "\n[hyperparameters]\nfedavg = { lr = 0.1 }")
    suite = load_suite(str(path))
    assert (suite.name, suite.methods, suite.hyperparameters) == ("mine", "fedavg", {"fedavg": {"lr": 0.1}})
    with pytest.raises(RequestError, match="cannot be read"):
        load_suite(str(tmp_path / "none.toml"))
    with pytest.raises(RequestError, match="unknown suite 'quik': did you mean 'quick'"):
        load_suite("quik")


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-2", [0, 1, 2]), ("3", [3]), ("0,2-3,2", [0, 2, 3]), (" 1 , 0 ", [1, 0])]
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["3-1", "a", "", "1,", "-1", "1-", "0.5", "0-99999999", "²", "\u0663", "0-999,1000", "x" * 9999]
)
def test_bad_seeds(text):
    with pytest.raises(RequestError, match="^seeds: ") as caught:
        parse_seeds(text)
    assert len(str(caught.value)) < 250


def test_selection_by_glob():
    scenarios = builtin_suites()["paper-table1"].scenarios
    assert [s.clients for s in select_scenarios(scenarios, "cifar10-*")] == [10, 50, 100]
    assert len(select_scenarios(scenarios, "cifar10-*,*n50*")) == 5
    with pytest.raises(RequestError, match="unknown scenario 'cifar11-classes2-n50-v1': did you mean 'cifar1"):
        select_scenarios(scenarios, "cifar11-classes2-n50-v1")
    with pytest.raises(RequestError, match=r"^--scenarios: 'mine.toml' is a suite's file: --suite mine.toml runs its"):
        select_scenarios(scenarios, "mine.toml", "--scenarios")


def test_names():
    assert parse_names("all", ["a", "b"], "method") == ["a", "b"]
    assert parse_names("b,a,b", ["a", "b"], "method") == ["b", "a"]
    with pytest.raises(RequestError, match="empty entry"):
        parse_names("a,,b", ["a", "b"], "method")


@pytest.mark.parametrize("pattern", ["a-v1", "a-*", "*-v1"])
@pytest.mark.parametrize(("scale", "precision"), [(1, "fp32"), (0.5, "fp32"), (1, "bf16"), (0.5, "bf16")])
def test_what_is_said_of_a_scenario_holds_for_its_editions(pattern, scale, precision):
    at = f"[hyperparameters]\nlocal = {{ lr = 0.1 }}\n[hyperparameters_at.'{pattern}']\nlocal = {{ lr = 0.5 }}\n"
    at += f"[seeds_at]\n'{pattern}' = '4-5'\n"
    suite = parse_suite("name = 'x'\n" + SCENARIO + at, "s.toml")
    (edition,) = at_edition(suite.scenarios, scale, precision)
    assert suite.hyperparameters_of("local", edition.id) == {"lr": 0.5}
    assert suite.seeds_of(edition.id) == [4, 5]


def test_scenarios_with_seeds_of_their_own():
    scenarios = "".join(SCENARIO.replace("a-v1", id) for id in ("a-v1", "b-v1", "c-v1"))
    at = "[seeds_at]\n'*' = 7\n'[bc]-*' = [8, 9]\n'c-v1' = '0-1,5'\n"
    suite = parse_suite("name = 'x'\nseeds = '0-2'" + scenarios + at, "s.toml")
    assert [suite.seeds_of(s.id) for s in suite.scenarios] == [[7], [8, 9], [0, 1, 5]]
    assert suite.all_seeds() == {0, 1, 5, 7, 8, 9}
