"""A whole world of fakes for the runner: disk, journals, locks, clock and an executor whose steps write their outputs.

One `World` outlives its processes: `run` is one call of the command, `crash` what is left when it was killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlorch.engine.context import Context
from mlorch.engine.fold import fold
from mlorch.engine.graph import graph_of, select
from mlorch.engine.plan import consider_all
from mlorch.model.attempt import AttemptDone, AttemptRequest
from mlorch.model.states import StepState
from mlorch.runner.commit import Closing, Committer, Publication, Taken
from mlorch.runner.loop import Job, Options, Runner
from mlorch.runner.ports import Ports
from mlorch.runner.recorder import RunFacts
from mlorch.testing.clock import HandClock
from mlorch.testing.disk import MemoryFiles
from mlorch.testing.executor import Outcome, ScriptedExecutor
from mlorch.testing.journal import Killed, MemoryJournal
from mlorch.testing.locks import LockTable, MemoryLock
from mlorch.testing.orphans import ScriptedOrphans
from mlorch.testing.pools import MemoryPools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mlorch.engine.consider import Considered
    from mlorch.model.events import Event
    from mlorch.model.history import PartitionState, RunRecord, StepRecord
    from mlorch.model.manifest import Artifact
    from mlorch.model.pools import Holder
    from mlorch.model.spec import Pipeline, ValueDimension
    from mlorch.runner.loop import Outcome as JobOutcome

STATE = "/state"


class FaultyFiles(MemoryFiles):
    """A disk on which the so-manieth change (from 1) kills the process, and on which chosen changes are refused.

    `refuse` is asked with the name of the operation and its paths; what it returns is raised.
    """

    def __init__(self, clock: HandClock) -> None:
        super().__init__(clock=clock)
        self.kill_at: int | None = None
        self.refuse: Callable[[tuple[str, ...]], Exception | None] = lambda _: None
        self.unreadable: dict[str, Exception] = {}

    def _changing(self, *what: str) -> None:
        if self.kill_at is not None and len(self.changes) + 1 >= self.kill_at:
            raise Killed
        if (error := self.refuse(what)) is not None:
            raise error
        super()._changing(*what)

    def look(self, path: str, known: Artifact | None = None) -> Artifact | None:
        if path in self.unreadable:
            raise self.unreadable[path]
        return super().look(path, known)


class InlineCommitter(Committer):
    """Publishes in the loop's own thread, when its results are asked for: each run of a test is the same."""

    def submit(self, publication: Publication) -> None:
        self._queue.append(publication)

    def end(self, closing: Closing) -> None:
        self._ends.append(closing)

    def hurry(self) -> None:
        return

    def take(self) -> Taken:
        batch, ends = list(self._queue), list(self._ends)
        self._queue.clear()
        self._ends.clear()
        return self._bring_about(batch, ends)

    def close(self) -> None:
        return


class Watcher:
    """An observer that keeps what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.waits: list[tuple[str, str, str]] = []
        self.changes: list[tuple[str, StepState]] = []
        self.turns: list[tuple[str, bool]] = []
        self.ticks: Callable[[], None] = lambda: None

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        assert run.run_id
        assert order

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        assert run.steps[step.id] is step
        self.changes.append((step.id, step.state))

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        assert run.steps[step].state is StepState.RUNNING
        self.turns.append((step, runs))

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        assert run.run_id
        self.waits.append((step, pool, holders))

    def run_ended(self, run: RunRecord) -> None:
        assert run.finished_at

    def note(self, message: str) -> None:
        self.notes.append(message)

    def tick(self) -> None:
        self.ticks()

    def close(self) -> None:
        return


class WorldExecutor(ScriptedExecutor):
    """Its steps write half of each output when they start, and the whole when they end well."""

    def __init__(self, world: World, script: Callable[[AttemptRequest], Outcome]) -> None:
        super().__init__(world.clock, script)
        self._world = world
        self.hurried: list[str] = []

    def submit(self, request: AttemptRequest) -> None:
        super().submit(request)
        self._world.waited = max(self._world.waited, len(self._queue))

    def _start(self, request: AttemptRequest) -> None:
        check = request.token.endswith("/check")
        if not check:
            self._world.started.append(request.token.split("/")[1])
            self._world.write(request, whole=False)
        super()._start(request)
        self._world.peak = max(self._world.peak, len(self._running))

    def cancel(self, token: str, *, hurry: bool = False) -> None:
        if hurry:
            self.hurried.append(token)
        super().cancel(token, hurry=hurry)

    def _ended(self, running: Any, done: AttemptDone) -> None:
        if done.cause == "exit" and done.exit_code == 0 and not done.token.endswith("/check"):
            self._world.write(running.request, whole=True)
        super()._ended(running, done)
        ended = self._events[-1]
        assert isinstance(ended, AttemptDone)
        self._world.ends[ended.token] = ended

    def desert(self, *, end_well: bool) -> None:
        """The process is gone. What ran ends well under its supervisor, or is lost with it."""
        for token, running in list(self._running.items()):
            if end_well and running.outcome.done(token).exit_code == 0 and not token.endswith("/check"):
                self._ended(running, running.outcome.done(token))
        self._running.clear()
        self._queue.clear()


class MemoryFolders:
    """The `RunFolders` port; `made` are the facts of each run."""

    def __init__(self, ends: dict[str, AttemptDone]) -> None:
        self.made: dict[str, str] = {}
        self.swept: list[str] = []
        self._ends = ends

    def make(self, run_id: str, facts: str, _spec: str) -> None:
        self.made[run_id] = facts

    def path(self, run_id: str, step: str, attempt: int, suffix: str) -> str:
        return f"{STATE}/runs/{run_id}/{step}.{attempt}.{suffix}"

    def record(self, run_id: str) -> str:
        return f"{STATE}/runs/{run_id}/record"

    def ends(self, run_id: str) -> dict[str, AttemptDone]:
        return {token: done for token, done in self._ends.items() if token.startswith(run_id + "/")}

    def masked(self, text: str, secrets: Iterable[str]) -> str:
        for secret in secrets:
            text = text.replace(secret, "***")
        return text

    def sweep(self, folder: str) -> None:
        self.swept.append(folder)

    def relative(self, path: str) -> str:
        return path.removeprefix(STATE + "/")


@dataclass(slots=True)
class World:
    """`script` says how each attempt goes (default: well, at once); `content` what a step writes to an output.

    `started` are the steps whose processes were started, over all processes of the world; `peak` how many ran at once,
    `waited` how many were handed over and waited for a slot.
    """

    script: Callable[[AttemptRequest], Outcome] = lambda _: Outcome()
    clock: HandClock = field(default_factory=HandClock)
    params: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    inherited: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    peak: int = 0
    waited: int = 0
    ends: dict[str, AttemptDone] = field(default_factory=dict)
    locks: LockTable = field(default_factory=LockTable)
    watcher: Watcher = field(default_factory=Watcher)
    orphans: ScriptedOrphans = field(default_factory=ScriptedOrphans)
    sizes: dict[str, int] = field(default_factory=lambda: {"gpu": 1, "warehouse": 4})
    held: list[tuple[str, Holder, object]] = field(default_factory=list)
    pools_of: type[MemoryPools] = MemoryPools
    values: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    files: FaultyFiles = field(init=False)
    folders: MemoryFolders = field(init=False)
    executor: WorldExecutor = field(init=False)
    runner: Runner = field(init=False)
    pools: MemoryPools = field(init=False)
    _journals: dict[tuple[str, str], MemoryJournal] = field(default_factory=dict)
    _states: dict[tuple[str, str], PartitionState] = field(default_factory=dict)
    _runs: int = 0

    def __post_init__(self) -> None:
        self.files = FaultyFiles(self.clock)
        self.folders = MemoryFolders(self.ends)

    # What steps do.

    def write(self, request: AttemptRequest, *, whole: bool) -> None:
        """The outputs of an attempt: what it was given, told by its inputs, so that the same inputs give the same bytes."""
        env = dict(request.env)
        step = env["MLORCH_STEP"]
        if step in self.silent:
            return
        read = [self.files.text(path) or "" for name, path in sorted(env.items()) if name.startswith("MLORCH_INPUT_")]
        text = f"{step}({','.join(read)})"
        for name, path in env.items():
            if name.startswith("MLORCH_OUTPUT_"):
                target = f"{path}/part" if path in self.files._folders else path
                self.files.put(target, text if whole else "half")
        if whole:
            if "MLORCH_METRICS" in env:
                self.files.put(env["MLORCH_METRICS"], self.metrics.get(step, '{"n": 1}'))
            if step in self.values:
                self.files.put(env["MLORCH_VALUES"], self.values[step])

    # The catalog.

    def pipeline(self, name: str) -> Pipeline | None:
        return self.pipelines.get(name)

    def state(self, pipeline: str, partition: str) -> PartitionState:
        key = (pipeline, partition)
        if key not in self._states:
            self._states[key] = fold(pipeline, partition, self.journal(*key).read())
        return self._states[key]

    def labels(self, pipeline: Pipeline, dimension: ValueDimension) -> tuple[str, ...]:  # noqa: ARG002 - the port's signature
        return dimension.values

    def partitions(self, pipeline: str) -> tuple[str, ...]:
        return tuple(key for name, key in self._journals if name == pipeline)

    # Calls of the command.

    def journal(self, pipeline: str = "p", key: str = "") -> MemoryJournal:
        return self._journals.setdefault((pipeline, key), MemoryJournal())

    def events(self, pipeline: str = "p", key: str = "") -> tuple[Event, ...]:
        return self.journal(pipeline, key).events

    def context(
        self,
        pipeline: Pipeline,
        key: str = "",
        only: Iterable[str] = (),
        start: Iterable[str] = (),
        until: Iterable[str] = (),
    ) -> Context:
        self.pipelines[pipeline.name] = pipeline
        graph = graph_of(pipeline)
        defaults = {param.name: param.default for param in pipeline.params if param.has_default}
        return Context(
            pipeline,
            graph,
            self.state(pipeline.name, key),
            self.files,
            self,
            params=defaults | self.params,
            inherited_env=self.inherited,
            now=self.clock.now().timestamp(),
            selected=select(graph, only, start, until),
        )

    def plan(
        self, pipeline: Pipeline, key: str = "", force: Iterable[str] = (), **chosen: Iterable[str]
    ) -> dict[str, Considered]:
        self._states.clear()
        return consider_all(self.context(pipeline, key, **chosen), frozenset(force))

    def reasons(
        self, pipeline: Pipeline, key: str = "", force: Iterable[str] = (), **chosen: Iterable[str]
    ) -> dict[str, str]:
        """What a plan says of each step that is not simply reused: its reason."""
        found = self.plan(pipeline, key, force, **chosen)
        return {step: c.reason.value for step, c in found.items() if c.state is not StepState.CACHED}

    def job(
        self,
        pipeline: Pipeline,
        key: str = "",
        force: Iterable[str] = (),
        after: tuple[Job, ...] = (),
        **chosen: Iterable[str],
    ) -> Job:
        self.pipelines[pipeline.name] = pipeline
        name = pipeline.name

        def begin() -> tuple[Context, frozenset[str]]:
            self._states.pop((name, key), None)
            return self.context(pipeline, key, **chosen), frozenset(force)

        def secrets() -> Mapping[str, str]:
            return self.secrets

        lock = MemoryLock(self.locks, f"{name}/{key}")
        return Job(name, key, begin, self.journal(name, key), lock, secrets, RunFacts, after)

    def drive(self, jobs: Sequence[Job], options: Options | None = None) -> list[JobOutcome]:
        """One process that brings jobs to their ends."""
        self._states.clear()
        self.executor = WorldExecutor(self, self.script)
        committer = InlineCommitter(self.files, self.executor.wake)
        self.pools = self.pools_of(self.sizes, self.held)
        ports = Ports(self.executor, self.folders, self.clock, self.watcher, committer, self.orphans, self.pools)
        self.runner = Runner(ports, options or Options(slots=2), self._new_run, 4711)
        return self.runner.run(jobs)

    def run(
        self,
        pipeline: Pipeline,
        key: str = "",
        force: Iterable[str] = (),
        options: Options | None = None,
        **chosen: Iterable[str],
    ) -> RunRecord:
        """One call of the command for one partition."""
        return self.drive([self.job(pipeline, key, force, (), **chosen)], options)[0].run

    def killed(
        self, pipeline: Pipeline, key: str = "", *, end_well: bool = False, options: Options | None = None
    ) -> bool:
        """As `run`, with the kills that were set. Whether the process was killed; what ran ends well or is lost."""
        try:
            self.run(pipeline, key, options=options)
        except Killed:
            self.crash(end_well=end_well)
            return True
        return False

    def crash(self, *, end_well: bool = False) -> None:
        """What a killed process leaves: locks are free once its steps have ended, kills are over."""
        self.executor.desert(end_well=end_well)
        self.locks.holders.clear()
        self.held.clear()
        self.files.kill_at = None
        for journal in self._journals.values():
            journal.kill_after = None

    def _new_run(self) -> str:
        self._runs += 1
        return f"r{self._runs}"

    # What is looked at afterwards.

    def listing(self) -> dict[str, str]:
        """Every file of the project with its content."""
        return {path: self.files.text(path) or "" for path in self.files.listing() if not path.startswith("/")}

    def left_over(self) -> list[str]:
        """Staging folders, and what is in them."""
        return sorted(path for path in {*self.files._files, *self.files._folders} if "/.mlorch-" in path)


def states(run: RunRecord) -> dict[str, str]:
    """How each step of a run ended."""
    return {step.id: step.state.value for step in run.steps.values()}
