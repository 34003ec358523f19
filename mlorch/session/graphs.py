"""Specs as graphs to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.graph import graph_of
from mlorch.model.status import Graph, GraphNode
from mlorch.session.selection import in_order, pipeline_needs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.model.spec import Pipeline


def steps_graph(pipeline: Pipeline) -> Graph:
    """The steps of one pipeline, with their commands."""
    graph = graph_of(pipeline)
    by_id = {step.id: step for step in pipeline.steps}
    nodes = []
    for step_id in graph.order:
        step = by_id[step_id]
        command = step.run if isinstance(step.run, str) else " ".join(step.run)
        nodes.append(
            GraphNode(
                step_id,
                tuple(
                    (need, ", ".join(output.name for output in by_id[need].outputs)) for need in graph.needs[step_id]
                ),
                command.strip().splitlines()[0] if command.strip() else "",
                tuple(item.name for item in step.inputs),
                tuple(output.name for output in step.outputs),
            )
        )
    return Graph(pipeline.name, tuple(nodes), pipeline.kind.value)


def pipelines_graph(pipelines: Sequence[Pipeline]) -> Graph:
    """All pipelines, and which outputs flow between them."""
    needs = pipeline_needs(pipelines)
    names = {pipeline.name for pipeline in pipelines}
    nodes = []
    for name in in_order(needs):
        pipeline = next(found for found in pipelines if found.name == name)
        flows: dict[str, list[str]] = {}
        for step in pipeline.steps:
            for item in step.inputs:
                if item.upstream is not None and item.upstream.pipeline in names - {name}:
                    flows.setdefault(item.upstream.pipeline, []).append(item.upstream.output)
        edges = tuple((need, ", ".join(dict.fromkeys(outputs))) for need, outputs in flows.items())
        nodes.append(GraphNode(name, edges, pipeline.kind.value))
    return Graph("", tuple(nodes))
