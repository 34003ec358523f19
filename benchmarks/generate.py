"""The graphs that are run: the same one written for mlorch, ninja, make and doit."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WIDTH = 20
NEEDS = 3
_SEED = 2013

Graph = list[tuple[int, ...]]
"""For each step the numbers of the steps it needs."""


def layered(count: int) -> Graph:
    """`count` steps in layers of 20; each needs 3 of the layer before, always the same ones for one count."""
    choose = random.Random(_SEED)
    graph: Graph = []
    for number in range(count):
        start = (number // WIDTH - 1) * WIDTH
        graph.append(tuple(sorted(choose.sample(range(start, start + WIDTH), NEEDS))) if start >= 0 else ())
    return graph


def triples(count: int) -> Graph:
    """`count` times three steps in a row, the triples independent of each other: what a backfill of three steps does."""
    return [() if number % 3 == 0 else (number - 1,) for number in range(3 * count)]


def mlorch_project(folder: Path, graph: Graph, *, outputs: bool = True) -> Path:
    """A project with the pipeline `graph`; each step touches its one output, or runs `true` where it has none."""
    lines = _head("graph")
    for number, needs in enumerate(graph):
        lines.append(f"  s{number}:")
        lines.append("    run: touch ${{ outputs.o }}" if outputs else "    run: 'true'")
        if needs:
            lines.append(f"    needs: [{', '.join(f's{need}' for need in needs)}]")
        if outputs:
            lines.append(f"    outputs: {{o: out/{number}}}")
    return _project(folder, lines)


def mlorch_days(folder: Path) -> Path:
    """A project with the pipeline `graph` of three steps a day, for the days of 2013."""
    lines = [
        *_head("graph")[:-1],
        "partitions:",
        "  day: {every: day, start: 2013-01-01, end: 2013-12-31}",
        "steps:",
    ]
    for number in range(3):
        lines += [f"  s{number}:", "    run: touch ${{ outputs.o }}"]
        if number:
            lines.append(f"    needs: [s{number - 1}]")
        lines.append(f"    outputs: {{o: 'out/${{{{ partition.day }}}}/{number}'}}")
    return _project(folder, lines)


def mlorch_hours(folder: Path, count: int, steps: int) -> tuple[Path, list[str]]:
    """A project with the pipeline `graph` of `steps` steps in a row for each of `count` hours, and their keys."""
    hours = [datetime(2001, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(count)]
    keys = [f"{hour:%Y-%m-%dT%HZ}" for hour in hours]
    lines = [
        *_head("graph")[:-1],
        "partitions:",
        f"  hour: {{every: hour, start: {keys[0]}, end: {keys[-1]}}}",
        "steps:",
    ]
    for number in range(steps):
        lines += [f"  s{number}:", "    run: touch ${{ outputs.o }}"]
        if number:
            lines.append(f"    inputs: {{i: 'out/${{{{ partition.hour }}}}/{number - 1}'}}")
        lines.append(f"    outputs: {{o: 'out/${{{{ partition.hour }}}}/{number}'}}")
    return _project(folder, lines), keys


def mlorch_schedules(folder: Path, count: int) -> Path:
    """A project of `count` pipelines, each with days and a tick once a year."""
    for number in range(count):
        name = f"p{number}"
        lines = [
            *_head(name)[:-1],
            "schedule: {cron: '0 0 1 1 *', catchup: all, catchup_limit: 5}",
            "partitions: {day: {every: day, start: 2013-01-01}}",
            "steps:",
            "  s:",
            "    run: touch ${{ outputs.o }}",
            f"    outputs: {{o: 'out/{name}/${{{{ partition.day }}}}'}}",
        ]
        _write(folder / "pipelines", f"{name}.yaml", lines)
    _write(folder, "mlorch.yaml", ["mlorch: 1", "pipelines: [pipelines/*.yaml]"])
    return folder


def mlorch_reader(folder: Path, size: int) -> Path:
    """A project whose one step has an input of `size` bytes that do not repeat."""
    lines = [*_head("graph"), "  s0:", "    run: touch ${{ outputs.o }}", "    inputs: {big: big.bin}"]
    lines.append("    outputs: {o: out/0}")
    _project(folder, lines)
    block = 1 << 20
    with open(folder / "big.bin", "wb") as file:
        file.writelines(os.urandom(block) for _ in range(size // block))
    return folder


def ninja_project(folder: Path, graph: Graph) -> Path:
    """The same graph for ninja."""
    lines = ["rule touch", "  command = touch $out"]
    for number, needs in enumerate(graph):
        lines.append(f"build out/{number}: touch {' '.join(f'out/{need}' for need in needs)}".rstrip())
    return _write(folder, "build.ninja", lines)


def make_project(folder: Path, graph: Graph) -> Path:
    """The same graph for make."""
    lines = [f"all: {' '.join(f'out/{number}' for number in range(len(graph)))}"]
    for number, needs in enumerate(graph):
        lines += [f"out/{number}: {' '.join(f'out/{need}' for need in needs)}".rstrip(), f"\ttouch out/{number}"]
    return _write(folder, "Makefile", lines)


def doit_project(folder: Path, graph: Graph) -> Path:
    """The same graph for doit."""
    lines = [
        "DOIT_CONFIG = {'verbosity': 0}",
        f"GRAPH = {graph!r}",
        "def task_graph():",
        "    for number, needs in enumerate(GRAPH):",
        "        yield {'name': str(number), 'actions': [f'touch out/{number}'], 'targets': [f'out/{number}'],",
        "               'file_dep': [f'out/{need}' for need in needs], 'uptodate': [True]}",
    ]
    return _write(folder, "dodo.py", lines)


def _head(name: str) -> list[str]:
    return ["mlorch: 1", f"name: {name}", "kind: feature", "owner: bench@example.com", "steps:"]


def _project(folder: Path, lines: Sequence[str]) -> Path:
    _write(folder, "mlorch.yaml", ["mlorch: 1", "pipelines: [pipelines/*.yaml]"])
    _write(folder / "pipelines", "graph.yaml", lines)
    return folder


def _write(folder: Path, name: str, lines: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
