"""What is counted."""

from dataclasses import fields

from pfl_bench.engine.meter import TRAINING, BudgetError, Costs


def test_every_counter_starts_at_zero_and_is_in_the_record():
    assert set(Costs().as_dict().values()) == {0}
    assert list(Costs().as_dict()) == [field.name for field in fields(Costs)]
    assert Costs(**Costs(local_steps=3, forward_samples=7).as_dict()) == Costs(local_steps=3, forward_samples=7)


def test_a_copy_counts_for_itself():
    costs = Costs(local_steps=1)
    copy = costs.copy()
    copy.local_steps += 1
    assert (costs.local_steps, copy.local_steps) == (1, 2)


def test_init_and_rounds_are_in_the_budget_and_nothing_else():
    assert TRAINING == ("init", "train")
    assert issubclass(BudgetError, RuntimeError)
