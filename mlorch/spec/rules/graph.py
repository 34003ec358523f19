"""Needs and cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.references import step_edges
from mlorch.lang.terms import ExpressionError
from mlorch.spec.rules.context import meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlorch.spec.rules.context import Context


def check_graph(context: Context) -> None:
    """Unknown needs, needs of oneself, cycles."""
    known = context.names.steps
    for step in context.pipeline.steps:
        seen: set[str] = set()
        for position, need in enumerate(step.needs):
            if need == step.id:
                context.report(
                    "E302",
                    f"the step {step.id} needs itself",
                    context.at("steps", step.id, "needs", position),
                    "remove it",
                )
            elif need not in known:
                hint = meant(need, known)
                context.report(
                    "E301", f"there is no step `{need}`", context.at("steps", step.id, "needs", position), hint
                )
            elif need in seen:
                context.report(
                    "W106", f"`{need}` is needed twice", context.at("steps", step.id, "needs", position), "keep one"
                )
            seen.add(need)
    for cycle in cycles(edges(context)):
        shown = " → ".join((*cycle, cycle[0]))
        message = f"these steps wait for each other: {shown}"
        hint = "`a → b` means: a comes after b (by `needs`, `${{ steps.b… }}` or a path that b writes); take one away"
        context.report("E302", message, context.key_at("steps", cycle[0]), hint)


def edges(context: Context) -> Mapping[str, Iterable[str]]:
    """For each step what it comes after. Where an expression cannot be read, what the others and `needs` say."""
    try:
        return step_edges(context.pipeline)
    except ExpressionError:
        ids = {step.id for step in context.pipeline.steps}
        return {
            step.id: [
                need
                for need in (*step.needs, *sorted(context.references.get(step.id, ())))
                if need in ids and need != step.id
            ]
            for step in context.pipeline.steps
        }


def cycles(after: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """One cycle for each knot of nodes that wait for each other, beginning with its first node in the order of `after`."""
    order = {name: position for position, name in enumerate(after)}
    found = []
    for knot in _knots(after):
        first = min(knot, key=order.__getitem__)
        found.append(_round(after, knot, first))
    return sorted(found, key=lambda cycle: order[cycle[0]])


def _knots(after: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """Strongly connected parts of more than one node (Tarjan's algorithm without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    inside: set[str] = set()
    knots: list[set[str]] = []
    for root in after:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        path.append(root)
        inside.add(root)
        work = [(root, iter(after[root]))]
        while work:
            node, rest = work[-1]
            for child in rest:
                if child not in index:
                    index[child] = low[child] = len(index)
                    path.append(child)
                    inside.add(child)
                    work.append((child, iter(after.get(child, ()))))
                    break
                if child in inside:
                    low[node] = min(low[node], index[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    knot = _cut(path, inside, node)
                    if len(knot) > 1:
                        knots.append(knot)
    return knots


def _cut(path: list[str], inside: set[str], node: str) -> set[str]:
    knot: set[str] = set()
    while node not in knot:
        top = path.pop()
        inside.discard(top)
        knot.add(top)
    return knot


def _round(after: Mapping[str, Iterable[str]], knot: set[str], first: str) -> tuple[str, ...]:
    """The shortest way from `first` back to it."""
    came: dict[str, str] = {}
    queue = [first]
    for node in queue:
        for child in after[node]:
            if child == first:
                way = [node]
                while way[-1] != first:
                    way.append(came[way[-1]])
                return tuple(reversed(way))
            if child in knot and child not in came:
                came[child] = node
                queue.append(child)
    return (first,)
