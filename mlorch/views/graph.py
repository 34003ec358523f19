"""Graphs as text: a tree for people, Mermaid and Graphviz for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.views.text import clipped, one_line, visible

if TYPE_CHECKING:
    from mlorch.model.status import Graph, GraphNode


_NOTE = 60


def tree_lines(graph: Graph, *, glyphs: bool = True) -> list[str]:
    """Each node below the last of what it needs; further needs are named beside it, so that each node stands once.

    The numbers are an order in which the nodes can run.
    """
    branch, corner, bar = ("├── ", "└── ", "│   ") if glyphs else ("|-- ", "`-- ", "|   ")
    rank = {node.id: index for index, node in enumerate(graph.nodes)}
    children: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        known = [need for need, _ in node.needs if need in rank]
        parent = max(known, key=lambda need: rank[need]) if known else ""
        children.setdefault(parent, []).append(node)
    lines = [f"{visible(graph.name)} ({graph.kind})" if graph.kind else visible(graph.name)] if graph.name else []
    # A stack, not recursion: a chain of 10,000 steps is a tree as deep.
    top = children.get("", [])
    stack = [(node, "", index == len(top) - 1) for index, node in reversed(list(enumerate(top)))]
    while stack:
        node, lead, is_last = stack.pop()
        lines.append(f"{lead}{corner if is_last else branch}{_label(node, rank)}")
        below = children.get(node.id, [])
        deeper = lead + ("    " if is_last else bar)
        stack += [(child, deeper, index == len(below) - 1) for index, child in reversed(list(enumerate(below)))]
    return lines


def _label(node: GraphNode, rank: dict[str, int]) -> str:
    text = f"{rank[node.id] + 1} {visible(node.id)}"
    if node.note:
        text += f"  {clipped(one_line(node.note), _NOTE)}"
    known = sorted((need for need, _ in node.needs if need in rank), key=lambda need: rank[need])
    also = known[:-1] + [need for need, _ in node.needs if need not in rank]
    return f"{text}  (also after {', '.join(visible(need) for need in also)})" if also else text


def mermaid(graph: Graph) -> str:
    """A flowchart; names of nodes are numbered, so that any id can be a label."""
    names = {node.id: f"n{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    lines += [f'  {names[node.id]}["{_mermaid(node.id)}"]' for node in graph.nodes]
    for node in graph.nodes:
        for need, what in node.needs:
            if need in names:
                arrow = f'-- "{_mermaid(what)}" -->' if what else "-->"
                lines.append(f"  {names[need]} {arrow} {names[node.id]}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """A digraph for Graphviz."""
    lines = [f"digraph {_quoted(graph.name or 'pipelines')} {{", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_quoted(node.id)};" for node in graph.nodes]
    for node in graph.nodes:
        for need, what in node.needs:
            label = f" [label={_quoted(what)}]" if what else ""
            lines.append(f"  {_quoted(need)} -> {_quoted(node.id)}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid(text: str) -> str:
    text = visible(text)
    for char, entity in (("#", "#35;"), ("&", "#38;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(char, entity)
    return text


def _quoted(text: str) -> str:
    escaped = visible(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
