"""The rows of the table: each measures some commands and gives ratios with their budgets (docs/benchmarks.md)."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import generate
import history
from measure import Contender, Times, interleave, measured
from tools import HERE, Tools, environment

if TYPE_CHECKING:
    from collections.abc import Callable

_GIB = 1 << 30
_MB = 1_000_000
_RUN = ("run", "graph", "-j2", "-q")


@dataclass(frozen=True, slots=True)
class Row:
    """A measured value beside its budget and its dream; `unit` is `x` for ratios. No budget: shown to compare."""

    what: str
    against: str
    value: float
    budget: float | None = None
    dream: float | None = None
    unit: str = "x"
    note: str = ""

    @property
    def verdict(self) -> str:
        """Where the value stands."""
        if self.budget is None:
            return ""
        if self.dream is not None and self.value <= self.dream:
            return "dream"
        return "within" if self.value <= self.budget else "OVER"


class Bench:
    """Makes the projects in one folder and measures in them."""

    def __init__(self, tools: Tools, folder: Path, *, quick: bool) -> None:
        self.tools = tools
        self.folder = folder
        self.few = 1 if quick else 3
        self.many = 3 if quick else 15
        self._env = environment()

    def times(self, contenders: list[Contender], repetitions: int) -> dict[str, Times]:
        """Measure."""
        return interleave(contenders, repetitions, self._env)

    def once(self, command: tuple[str, ...], folder: Path) -> None:
        """Run a command untimed."""
        interleave([Contender("", command, str(folder))], 0, self._env)

    def first(self, contender: Contender) -> Times:
        """Measure what is slow only the first time."""
        return measured(contender, self._env)

    def bare(self) -> Contender:
        """The smallest Python program: what a start is held against."""
        return Contender("python", (self.tools.python, "-c", "pass"), str(self.folder))

    def mlorch(self, name: str, folder: Path, *words: str, afresh: bool = False) -> Contender:
        """A call of mlorch with these words; `afresh`: nothing is done yet."""
        return Contender(name, (self.tools.mlorch, *words), str(folder), _forget(folder) if afresh else None)


def _forget(folder: Path) -> Callable[[], None]:
    """Empties a project of what was made in it, so that everything is to be done. What tools expect is made again.

    Put aside, not removed: ext4 looks at each file that was removed in the last seconds whenever it makes a new one.
    """

    def before() -> None:
        aside = Path(tempfile.mkdtemp(prefix="former-", dir=folder.parent))
        for name in (".mlorch", "out", ".ninja_log", ".ninja_deps", ".doit.db"):
            path = folder / name
            if path.exists():
                path.rename(aside / name)
        (folder / "out").mkdir()

    return before


def _ms(times: Times) -> str:
    return f"{times.median * 1000:,.0f}"


def start(bench: Bench) -> list[Row]:
    """Starting, and a run with nothing to do."""
    project = generate.mlorch_project(bench.folder / "five", generate.layered(5))
    bench.once((bench.tools.mlorch, *_RUN), project)
    contenders = [
        bench.bare(),
        bench.mlorch("version", project, "version"),
        bench.mlorch("help", project, "--help"),
        bench.mlorch("run", project, "run", "graph"),
    ]
    found = bench.times(contenders, bench.many)
    bare = found["python"].median

    def row(what: str, name: str, budget: float, dream: float) -> Row:
        return Row(
            what,
            "python -c pass",
            found[name].median / bare,
            budget,
            dream,
            note=f"{_ms(found[name])} ms / {_ms(found['python'])} ms",
        )

    return [
        row("start: mlorch version", "version", 7, 5),
        row("start: mlorch --help", "help", 7, 5),
        row("nothing to do: run of 5 steps", "run", 12, 8),
    ]


def graph(bench: Bench, count: int = 1000) -> list[Row]:
    """The layered graph, all to be done and nothing to be done, beside other tools; and what the flushes cost."""
    tools, steps = bench.tools, generate.layered(count)
    ours = generate.mlorch_project(bench.folder / f"mlorch-{count}", steps)
    loose = generate.mlorch_project(bench.folder / f"unflushed-{count}", steps)
    ninja = generate.ninja_project(bench.folder / f"ninja-{count}", steps)
    make = generate.make_project(bench.folder / f"make-{count}", steps)
    contenders = [
        bench.mlorch("mlorch", ours, *_RUN, afresh=True),
        Contender("unflushed", (tools.python, str(HERE / "unflushed.py"), *_RUN), str(loose), _forget(loose)),
        Contender("ninja", (tools.ninja, "-j2"), str(ninja), _forget(ninja)),
    ]
    again = [bench.mlorch("mlorch", ours, *_RUN), Contender("ninja", (tools.ninja, "-j2"), str(ninja))]
    if tools.make:
        contenders.append(Contender("make", (tools.make, "-s", "-j2"), str(make), _forget(make)))
        again.append(Contender("make", (tools.make, "-s", "-j2"), str(make)))
    full = bench.times(contenders, bench.few)
    idle = bench.times(again, bench.few)
    rows = [_beside(f"{count:,} steps", "ninja -j2", full["mlorch"], full["ninja"], 1.5, 1.2)]
    if tools.make:
        rows.append(_beside(f"{count:,} steps", "make -j2", full["mlorch"], full["make"]))
    rows.append(_beside(f"{count:,} steps: flushes on / off", "itself", full["mlorch"], full["unflushed"], 1.2, 1.05))
    rows.append(_beside(f"{count:,} steps, nothing to do", "ninja -j2", idle["mlorch"], idle["ninja"]))
    if tools.make:
        rows.append(_beside(f"{count:,} steps, nothing to do", "make -j2", idle["mlorch"], idle["make"]))
    return rows


def bare_steps(bench: Bench, count: int = 1000) -> list[Row]:
    """Steps without outputs against a loop that does nothing but start processes."""
    project = generate.mlorch_project(bench.folder / f"bare-{count}", generate.layered(count), outputs=False)
    limit = (*bench.tools.spawn, str(count), "true")
    contenders = [bench.mlorch("mlorch", project, *_RUN, afresh=True), Contender("limit", limit, str(bench.folder))]
    found = bench.times(contenders, bench.few)
    against = "C loop" if bench.tools.spawn_is_c else "Python loop"
    return [_beside(f"{count:,} steps without outputs", against, found["mlorch"], found["limit"], 1.6, 1.3)]


def backfill(bench: Bench) -> list[Row]:
    """A year of three tiny steps a day against one graph of as many."""
    days = generate.mlorch_days(bench.folder / "days")
    one = generate.mlorch_project(bench.folder / "triples", generate.triples(365))
    words = ("backfill", "graph", "--from", "2013-01-01", "--to", "2013-12-31", "-j2", "-q", "--yes")
    contenders = [bench.mlorch("days", days, *words, afresh=True), bench.mlorch("one", one, *_RUN, afresh=True)]
    found = bench.times(contenders, min(bench.few, 2))
    return [_beside("backfill, 365 days x 3 tiny steps", "1,095 steps", found["days"], found["one"], 1.3, 1.1)]


def validate(bench: Bench, count: int = 10_000) -> list[Row]:
    """Checking a large spec against parsing it alone."""
    project = generate.mlorch_project(bench.folder / f"spec-{count}", generate.layered(count))
    file = str(project / "pipelines" / "graph.yaml")
    contenders = [
        bench.mlorch("validate", project, "validate", file, afresh=True),
        Contender("parse", (bench.tools.python, str(HERE / "parse.py"), file), str(project)),
    ]
    found = bench.times(contenders, min(bench.few, 2))
    return [_beside(f"validate {count:,} steps", "parsing alone (C)", found["validate"], found["parse"], 2.5, 1.5)]


def large(bench: Bench, count: int = 10_000) -> list[Row]:
    """Ten times the steps: time, memory, nothing to do."""
    tools, steps = bench.tools, generate.layered(count)
    ours = generate.mlorch_project(bench.folder / f"mlorch-{count}", steps)
    ninja = generate.ninja_project(bench.folder / f"ninja-{count}", steps)
    doit = generate.doit_project(bench.folder / f"doit-{count}", steps)
    (doit / "out").mkdir(exist_ok=True)
    contenders = [
        bench.mlorch("mlorch", ours, *_RUN, afresh=True),
        Contender("ninja", (tools.ninja, "-j2"), str(ninja), _forget(ninja)),
    ]
    full = bench.times(contenders, 1)
    bench.once((tools.doit, "-n", "2"), doit)
    again = [
        bench.mlorch("mlorch", ours, *_RUN),
        Contender("doit", (tools.doit, "list", "--all", "--status"), str(doit)),
    ]
    idle = bench.times(again, bench.few)
    most = max(full["mlorch"].memory) / _MB
    return [
        _beside(f"{count:,} steps", "ninja -j2", full["mlorch"], full["ninja"], 1.5, 1.2),
        _beside(f"{count:,} steps, nothing to do", "doit's dry run", idle["mlorch"], idle["doit"], 1, 0.5),
        Row(f"{count:,} steps: peak memory", "", most, 120, 80, "MB"),
        Row(f"{count:,} steps, nothing to do: peak memory", "", max(idle["mlorch"].memory) / _MB, 120, 80, "MB"),
    ]


def big_input(bench: Bench) -> list[Row]:
    """An input of 1 GB: read for the first time, and not read again."""
    five = generate.mlorch_project(bench.folder / "five", generate.layered(5))
    bench.once((bench.tools.mlorch, *_RUN), five)
    project = generate.mlorch_reader(bench.folder / "reader", _GIB)
    sums = shutil.which("sha256sum")
    rows = []
    if sums:
        first = [
            bench.mlorch("mlorch", project, *_RUN, afresh=True),
            Contender("sum", (sums, "big.bin"), str(project)),
        ]
        found = bench.times(first, bench.few)
        rows.append(_beside("1 GB input, hashed the first time", "sha256sum", found["mlorch"], found["sum"], 1.1, 1.0))
    bench.once((bench.tools.mlorch, *_RUN), project)
    found = bench.times([bench.mlorch("big", project, *_RUN), bench.mlorch("five", five, *_RUN)], bench.many)
    rows.append(_beside("1 GB input, unchanged: nothing to do", "5 steps", found["big"], found["five"], 1.1))
    (project / "big.bin").unlink()
    return rows


def ticks(bench: Bench, count: int = 50) -> list[Row]:
    """A tick that finds nothing due in pipelines with schedules, partitions and history."""
    project = generate.mlorch_schedules(bench.folder / "schedules", count)
    bench.once((bench.tools.mlorch, "tick", "-j2", "-q"), project)
    found = bench.times(
        [bench.mlorch("tick", project, "tick"), bench.mlorch("version", project, "version")], bench.many
    )
    return [_beside(f"tick over {count} pipelines, nothing due", "mlorch version", found["tick"], found["version"], 2)]


def partitions(bench: Bench) -> list[Row]:
    """What is known of very many partitions, all of them done: the plan of a backfill, and the table of all."""
    plan = ("backfill", "graph", "--dry-run", "-q")
    return [
        *_partitions(bench, "plan of a backfill, 10,000 x 10 steps", 10_000, 10, plan, 2.0, 300),
        *_partitions(bench, "status, 100,000 partitions", 100_000, 1, ("status",), 1.0, None),
    ]


def _partitions(
    bench: Bench, what: str, count: int, steps: int, words: tuple[str, ...], seconds: float, most: float | None
) -> list[Row]:
    project, keys = generate.mlorch_hours(bench.folder / f"hours-{count}", count, steps)
    bench.once((bench.tools.mlorch, "run", "graph", "-p", keys[0], "-q"), project)
    history.multiply(project, "graph", keys[0], keys[1:])
    look = (bench.tools.python, str(HERE / "look.py"), str(project / ".mlorch" / "state"), str(project / "out"))
    ours = bench.mlorch("ours", project, *words)
    first = bench.first(ours)
    found = bench.times([ours, Contender("look", look, str(project))], bench.few)
    again = found["ours"]
    shutil.rmtree(project)
    return [
        Row(what, "", again.median, seconds, unit="s", note=f"the first time {first.median:.1f} s"),
        _beside(what, "looking at the files", again, found["look"]),
        Row(f"{what}: peak memory", "", max(first.memory + again.memory) / _MB, most, unit="MB"),
    ]


def _beside(
    what: str, against: str, ours: Times, theirs: Times, budget: float | None = None, dream: float | None = None
) -> Row:
    note = f"{_ms(ours)} ms / {_ms(theirs)} ms"
    return Row(what, against, ours.median / theirs.median, budget, dream, note=note)


USUAL: dict[str, Callable[[Bench], list[Row]]] = {
    "start": start,
    "graph": graph,
    "bare": bare_steps,
    "backfill": backfill,
    "validate": validate,
    "ticks": ticks,
}
LARGE: dict[str, Callable[[Bench], list[Row]]] = {
    "large": large,
    "input": big_input,
    "partitions": partitions,
}
