"""The graph, what a selection takes of it, and the queue of what is ready."""

from __future__ import annotations

import pytest

from mlorch.engine.graph import graph_of, priorities, select, sort
from mlorch.engine.queue import ReadyQueue
from mlorch.model.spec import Pipeline, Step
from tests.support.specs import made, pipeline

DIAMOND = made(
    Step("d", "x", needs=("b", "c")),
    Step("b", "x", needs=("a",)),
    Step("c", "x", needs=("a",)),
    Step("a", "x"),
    Step("z", "x"),
)


def test_needs_come_first_and_the_order_of_the_file_decides_the_rest() -> None:
    graph = graph_of(DIAMOND)
    assert graph.order == ("a", "b", "c", "d", "z")
    assert graph.needs["d"] == ("b", "c")
    assert set(graph.readers["a"]) == {"b", "c"}
    assert graph.before(["d"]) == {"a", "b", "c", "d"}
    assert graph.after(["b"]) == {"b", "d"}


def test_edges_follow_from_needs_expressions_and_paths() -> None:
    graph = graph_of(
        pipeline(
            """
            a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a, f: out/folder/}, values: {n: integer}, metrics: out/m.json}
            needs: {run: tool, needs: [a]}
            value: {run: ['tool', '${{ steps.a.values.n }}']}
            env: {run: tool, env: {A: '${{ steps.a.outputs.x }}'}}
            when: {run: tool, when: "steps.a.state == 'succeeded'"}
            check: {run: tool, checks: [{expr: 'steps.a.values.n > 1'}]}
            path: {run: tool, inputs: [out/a]}
            inside: {run: tool, inputs: {d: out/folder/part.csv}}
            metrics: {run: tool, inputs: {d: out/m.json}}
            other: {run: tool, inputs: {d: out/a.txt}}
            """
        )
    )
    assert set(graph.readers["a"]) == {"needs", "value", "env", "when", "check", "path", "inside", "metrics"}


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="a, b wait for each other"):
        graph_of(made(Step("a", "x", needs=("b",)), Step("b", "x", needs=("a",)), Step("c", "x")))


def test_what_lies_behind_a_cycle_is_left_out_of_the_order() -> None:
    order, _ = sort({"a": ("b",), "b": ("a",), "c": ("a",), "d": ()})
    assert order == ("d",)


@pytest.mark.parametrize(
    ("only", "start", "until", "chosen"),
    [
        ((), (), (), "abcdz"),
        (("b",), (), (), "b"),
        (("b", "z"), (), (), "bz"),
        ((), ("b",), (), "bd"),
        ((), ("b", "z"), (), "bdz"),
        ((), (), ("b",), "ab"),
        ((), ("a",), ("b",), "ab"),
        ((), ("b",), ("c",), ""),
        (("c",), ("a",), ("d",), "c"),
    ],
)
def test_selections_narrow_each_other(
    only: tuple[str, ...], start: tuple[str, ...], until: tuple[str, ...], chosen: str
) -> None:
    assert select(graph_of(DIAMOND), only, start, until) == set(chosen)


def test_what_has_the_longest_way_before_it_goes_first() -> None:
    found = priorities(graph_of(DIAMOND), {"c": 10.0, "z": 5.0})
    assert found == {"d": 1.0, "b": 2.0, "c": 11.0, "a": 12.0, "z": 5.0}


def queue_of(spec: Pipeline, selected: str, ways: dict[str, float] | None = None) -> ReadyQueue:
    return ReadyQueue(graph_of(spec), frozenset(selected), ways or {})


def test_the_queue_gives_what_is_ready_in_order_of_its_way() -> None:
    queue = queue_of(DIAMOND, "abcdz", {"a": 1.0, "b": 1.0, "c": 5.0, "z": 9.0})
    assert [queue.pop(), queue.pop(), len(queue)] == ["z", "a", 0]
    queue.ended("a")
    assert queue.pop() == "c"
    queue.ended("c")
    assert queue.pop() == "b"
    assert len(queue) == 0
    queue.ended("b")
    assert queue.drain() == ["d"]


def test_needs_that_were_not_selected_are_not_waited_for() -> None:
    queue = queue_of(DIAMOND, "cd")
    assert (queue.left, queue.drain()) == (2, ["c"])
    queue.ended("c")
    assert (queue.left, queue.drain()) == (1, ["d"])
    queue.ended("d")
    assert queue.left == 0


def test_another_attempt_takes_its_old_place() -> None:
    queue = queue_of(DIAMOND, "abcdz", {"a": 9.0})
    assert queue.pop() == "a"
    queue.push("a")
    assert queue.pop() == "a"
    queue.pop()
    with pytest.raises(IndexError):
        queue.pop()
