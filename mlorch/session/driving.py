"""How a command's jobs are driven: its options, and this process's signals meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from mlorch.model.errors import StateError
from mlorch.session import large
from mlorch.world.journal import flush_journals
from mlorch.world.observed import signed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from mlorch.model.ports import Journal, Observer
    from mlorch.runner.loop import Job, Outcome
    from mlorch.session.jobs import Jobs
    from mlorch.session.standing import Standings
    from mlorch.session.workspace import Workspace

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SETTLED_S = 0.05
"""So long after its last change the time stamp of a file proves that it has not changed again (`world.digests`)."""

_OTHER_DESCRIPTORS = 60
_ANY = 1_000

MANY = 2_000
"""So many steps take a moment to decide about: where their partitions stand is kept as they are run."""

CANCEL = signal.SIGUSR1
"""What `mlorch cancel` sends: none of the above, so that a run that was cancelled is told from one that was ended."""


class DriveOptions(NamedTuple):
    """What the runner is told; `slots` None means the CPUs we may use, `wait_timeout` and `patience` are in seconds."""

    slots: int | None = None
    fail_fast: bool = False
    if_busy: str = "wait"
    wait_timeout: float | None = None
    patience: float | None = None
    rerun_unsafe: bool = False
    max_failures: int | None = None
    kill_orphans: bool = False


class Signals:
    """While it is entered, SIGINT, SIGTERM and SIGHUP call `stop` with their number instead of ending the process.

    `CANCEL` calls it with 0. A signal that was ignored from outside (`nohup`) stays so.
    """

    def __init__(self, stop: Callable[[int], None]) -> None:
        self._stop = stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        self._before[CANCEL] = signal.signal(CANCEL, self._cancel)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _cancel(self, _number: int, _frame: FrameType | None) -> None:
        self._stop(0)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._stop(number)


def drive(
    workspace: Workspace,
    jobs: Jobs,
    todo: Sequence[Job],
    options: DriveOptions,
    observer: Observer,
    standings: Standings | None = None,
) -> list[Outcome]:
    """Run jobs to their ends, with this process's signals ending them in order. `standings` are told of what was done."""
    from mlorch.runner.commit import Committer
    from mlorch.runner.loop import IfBusy, Options, Runner
    from mlorch.runner.ports import Ports
    from mlorch.session.jobs import Folders
    from mlorch.session.late import LateExecutor, LateOrphans, LatePools
    from mlorch.world.machine import cpus

    hidden = jobs.hidden(workspace.loaded())
    executor = LateExecutor({name: value for name, value in os.environ.items() if name not in hidden})
    # All journals of this command are files.
    committer = Committer(workspace.files, executor.wake, cast("Callable[[Sequence[Journal]], None]", flush_journals))
    folders = Folders(workspace)
    aftermath = Aftermath(workspace, standings)
    ports = Ports(
        executor, folders, workspace.clock, observer, committer, LateOrphans(folders.record), LatePools(workspace)
    )
    runner = Runner(
        ports,
        Options(
            options.slots or cpus(),
            options.fail_fast,
            IfBusy(options.if_busy),
            options.wait_timeout,
            options.patience,
            options.rerun_unsafe,
            options.max_failures,
            kill_orphans=options.kill_orphans,
            most_open=_most_open(),
        ),
        lambda: workspace.layout.new_run_id(workspace.clock),
        os.getpid(),
        aftermath.ended,
    )
    with Signals(runner.stop):
        _shorten(workspace, todo, observer)
        try:
            return runner.run(todo)
        finally:
            committer.close()
            executor.close()
            aftermath.close()
            workspace.save()
            for job in todo:
                workspace.forget(job.name, job.partition)


def _most_open() -> int:
    """So many partitions may be open at once, by the descriptors that we may have: each takes one for its lock, one for its journal."""
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return _ANY
    return max(1, (allowed - _OTHER_DESCRIPTORS) // 3)  # the third is for slots of groups


class Aftermath:
    """What is done about a partition a moment after its run: a long journal is trimmed, where it stands is kept, its state let go."""

    def __init__(self, workspace: Workspace, standings: Standings | None) -> None:
        self._workspace = workspace
        self._standings = standings
        self._waiting: deque[tuple[float, Job, str]] = deque()

    def ended(self, job: Job) -> None:
        """A run is over, and the lock still held: nobody else has written to the journal. Or there was nothing to do."""
        now = time.monotonic()
        workspace, key = self._workspace, (job.name, job.partition)
        ran = job.outcome is not None and job.outcome.run.run_id
        journal = signed(workspace.layout.journal(*key)) if ran else workspace.stamp(*key)
        while self._waiting and self._waiting[0][0] < now - _SETTLED_S:
            self._settle(*self._waiting.popleft())
        self._waiting.append((now, job, journal))

    def close(self) -> None:
        """No more runs follow."""
        if self._waiting and self._standings is not None:
            # Only time makes the time stamps of the last ones prove something; with them it is kept where they stand.
            time.sleep(max(0.0, self._waiting[-1][0] + _SETTLED_S - time.monotonic()))
        while self._waiting:
            self._settle(*self._waiting.popleft())

    def _settle(self, _at: float, job: Job, journal: str) -> None:
        workspace = self._workspace
        if len(workspace.state(job.name, job.partition).runs) > 2 * workspace.project.retain_runs:
            _trim(workspace, job)
        elif self._standings is not None:
            self._standings.remember(job.name, job.partition, journal)
        workspace.forget(job.name, job.partition)


def _shorten(workspace: Workspace, todo: Sequence[Job], observer: Observer) -> None:
    """Trim journals that take long to read before they are read: `gc` goes through them piece by piece."""
    for job in todo:
        size = workspace.layout.journal_size(job.name, job.partition)
        if large.is_large(size):
            observer.note(
                f"the journal of {f'{job.name} {job.partition}'.rstrip()} has {size / 1e6:,.0f} MB: "
                "giving up its oldest runs first, as `retention` says"
            )
            _trim(workspace, job)


def _trim(workspace: Workspace, job: Job) -> None:
    """Give up the oldest runs of a partition, as `gc` would: nobody may ever call it."""
    from mlorch.session.compaction import Collector

    with suppress(StateError):  # the next run tries again
        Collector(workspace).trim(job.name, job.partition)
