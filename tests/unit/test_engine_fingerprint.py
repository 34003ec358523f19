"""The hash of a manifest, and what differs between two of them."""

from __future__ import annotations

import pytest

from mlorch.engine.fingerprint import difference, explain, fingerprint
from mlorch.model.manifest import Fact, Manifest
from mlorch.model.plan import Difference
from mlorch.model.states import Reason

OLD: Manifest = (
    Fact("command", "", "tool x"),
    Fact("environment", "A", "1"),
    Fact("code", "job.py", "a" * 64),
    Fact("parameter", "p", "1"),
    Fact("input", "data", "b" * 64),
    Fact("upstream", "s", "r1/1"),
)


def changed(kind: str, name: str, value: str | None) -> Manifest:
    kept = tuple(fact for fact in OLD if (fact.kind, fact.name) != (kind, name))
    return kept if value is None else (*kept, Fact(kind, name, value))


@pytest.mark.parametrize(
    ("new", "reason", "text"),
    [
        (changed("command", "", "tool y"), Reason.COMMAND_CHANGED, "the command: tool x → tool y"),
        (changed("command", "shell", "bash"), Reason.COMMAND_CHANGED, "shell is new"),
        (changed("output", "x", "out/x"), Reason.COMMAND_CHANGED, "output x is new"),
        (changed("environment", "A", None), Reason.ENVIRONMENT_CHANGED, "variable A is gone"),
        (changed("code", "job.py", "c" * 64), Reason.CODE_CHANGED, f"job.py: {'a' * 12} → {'c' * 12}"),
        (changed("parameter", "p", "2"), Reason.PARAMETER_CHANGED, "parameter p: 1 → 2"),
        (changed("parameter", "p", '"two"'), Reason.PARAMETER_CHANGED, "parameter p: 1 → two"),
        (changed("parameter", "p", '""'), Reason.PARAMETER_CHANGED, 'parameter p: 1 → ""'),
        (changed("parameter", "p", '"' + "x" * 200 + '"'), Reason.PARAMETER_CHANGED, "parameter p changed"),
        (changed("command", "", "tool\nx"), Reason.COMMAND_CHANGED, "the command changed"),
        (changed("input", "data", "d" * 64), Reason.INPUT_CHANGED, f"data: {'b' * 12} → {'d' * 12}"),
        (changed("upstream", "s", "r2/1"), Reason.UPSTREAM_RAN, "the last run of s: r1/1 → r2/1"),
        (changed("model", "m", "3"), Reason.MODEL_CHANGED, "model m is new"),
    ],
)
def test_one_fact_differs(new: Manifest, reason: Reason, text: str) -> None:
    [(found, change)] = difference(OLD, new)
    assert (found, explain(change)) == (reason, text)
    assert fingerprint(OLD) != fingerprint(new)


def test_the_same_facts_are_no_difference_in_whatever_order() -> None:
    assert difference(OLD, OLD) == ()
    assert difference(OLD, tuple(reversed(OLD))) == ()
    assert fingerprint(OLD) == fingerprint(tuple(Fact(*fact) for fact in OLD))


def test_the_most_telling_difference_comes_first() -> None:
    found = difference(OLD, ())
    order = list(Reason)
    assert [order.index(reason) for reason, _ in found] == sorted(order.index(reason) for reason, _ in found)
    assert len(found) == len(OLD)


def test_neighbouring_values_do_not_run_into_each_other() -> None:
    assert fingerprint((Fact("input", "ab", "c"),)) != fingerprint((Fact("input", "a", "bc"),))
    assert fingerprint((Fact("input", "a", "b"), Fact("input", "c", "d"))) != fingerprint(
        (Fact("input", "a", 'b","c","d'),)
    )


def test_bytes_that_are_no_text_are_hashed_too() -> None:
    assert len(fingerprint((Fact("input", "a\udcff", "x"),))) == 64


def test_a_difference_without_an_old_value_is_new() -> None:
    assert explain(Difference("x", "", "1")) == "x is new"
    assert explain(Difference("x", "1", "")) == "x is gone"
