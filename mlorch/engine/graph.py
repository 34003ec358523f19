"""The steps of a pipeline as a graph: order, neighbours, and what a selection takes of it."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from mlorch.lang.references import step_edges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlorch.model.spec import Pipeline


class Graph(NamedTuple):
    """`needs` and `readers` of each step; `order` is topological, ties in the order of the file."""

    order: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]

    def before(self, ids: Iterable[str]) -> set[str]:
        """`ids` and all that they need, near and far."""
        return _reach(ids, self.needs)

    def after(self, ids: Iterable[str]) -> set[str]:
        """`ids` and all that needs them, near and far."""
        return _reach(ids, self.readers)


def graph_of(pipeline: Pipeline) -> Graph:
    """The graph of a pipeline whose spec is sound.

    Raises `ValueError` for a cycle, which `validate` would have told with its path.
    """
    needs = step_edges(pipeline)
    order, readers = sort(needs)
    if len(order) < len(needs):
        rest = [step for step in needs if step not in set(order)]
        message = f"the steps {', '.join(rest)} wait for each other"
        raise ValueError(message)
    return Graph(order, needs, readers)


def sort(needs: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Kahn's order (what lies on or behind a cycle is left out) and the reversed edges."""
    position = {node: index for index, node in enumerate(needs)}
    names = list(needs)
    waiting = {node: len(before) for node, before in needs.items()}
    readers: dict[str, list[str]] = {node: [] for node in needs}
    for node, before in needs.items():
        for need in before:
            readers[need].append(node)
    ready = [position[node] for node, count in waiting.items() if not count]
    order: list[str] = []
    while ready:
        node = names[heapq.heappop(ready)]
        order.append(node)
        for reader in readers[node]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, position[reader])
    return tuple(order), {node: tuple(after) for node, after in readers.items()}


def select(graph: Graph, only: Iterable[str], start: Iterable[str], until: Iterable[str]) -> frozenset[str]:
    """The steps that `--only`, `--from` and `--until` choose: exactly these; these and what follows; these and what they need.

    Several options narrow each other; none chooses all.
    """
    chosen = set(graph.order)
    if only := set(only):
        chosen &= only
    if start := set(start):
        chosen &= graph.after(start)
    if until := set(until):
        chosen &= graph.before(until)
    return frozenset(chosen)


def priorities(graph: Graph, expected: Mapping[str, float]) -> dict[str, float]:
    """Seconds of the longest way from each step to an end (critical path): what has most before it goes first."""
    longest: dict[str, float] = {}
    for step in reversed(graph.order):
        behind = max((longest[reader] for reader in graph.readers[step]), default=0.0)
        longest[step] = behind + expected.get(step, 1.0)
    return longest


def _reach(ids: Iterable[str], edges: Mapping[str, tuple[str, ...]]) -> set[str]:
    seen = set(ids)
    stack = list(seen)
    while stack:
        for other in edges[stack.pop()]:
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return seen
