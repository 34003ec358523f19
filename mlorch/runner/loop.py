"""The loop over many runs: opens partitions, fills the slots, waits for what happens, records it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from mlorch.engine.fold import counted, fold
from mlorch.engine.plan import idle
from mlorch.model.attempt import AttemptDone, AttemptRunning
from mlorch.model.errors import ExitCode, FileError
from mlorch.model.history import RunRecord, StepRecord
from mlorch.model.pools import Shortage
from mlorch.model.states import RunState
from mlorch.model.times import iso_utc
from mlorch.runner.commit import SharedJournal
from mlorch.runner.deserted import end_stragglers, meet_orphans
from mlorch.runner.ports import ORPHAN_GRACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlorch.engine.consider import Considered
    from mlorch.engine.context import Context
    from mlorch.model.events import Pairs
    from mlorch.model.ports import Journal, Lock, Slots
    from mlorch.runner.commit import Closing
    from mlorch.runner.ports import Ports
    from mlorch.runner.recorder import RunFacts
    from mlorch.runner.run import Run

# How often a held lock is tried again, and how often a live view is drawn (seconds).
LOCK_INTERVAL = 0.1
TICK = 0.1
AHEAD = 4
"""For each slot, so many attempts are handed to the executor beyond those that run, while steps are brief."""
BRIEF = 0.05
"""Seconds that steps take on the average (exponentially smoothed) when they count as brief."""
SMOOTHING = 0.25
OPEN, OPEN_BRIEF = 8, 50
"""So many partitions beyond two a slot are open at once, at most; the second one while steps are brief."""


class IfBusy(StrEnum):
    """What to do when somebody else holds the lock."""

    WAIT = "wait"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Options:
    """How a command runs its jobs. `slots`: steps at once over all of them. `wait_timeout` in seconds.

    `patience`: so many seconds a step waits for slots of pools that others hold, None for as long as it takes.
    `kill_orphans`: steps that outlived a killed mlorch are ended instead of waited for and adopted. `most_open`: partitions that may
    be open at once, at least one.
    """

    slots: int = 1
    fail_fast: bool = False
    if_busy: IfBusy = IfBusy.WAIT
    wait_timeout: float | None = None
    patience: float | None = None
    rerun_unsafe: bool = False
    max_failures: int | None = None
    kill_orphans: bool = False
    most_open: int = 1_000


@dataclass(slots=True)
class Job:
    """One partition that is wanted. `after` are the jobs that must have ended before, whatever came of them.

    `open` makes the context (with what the journal says), `lock` and `journal` belong to the partition; `secrets` and `facts`
    are asked for when a run really starts. `run_id` is set then. `group` takes a slot of its concurrency groups (for a run id and a
    note), and `group_if_busy` says for each what to do when others hold all of them; `slots` are those that it has, `short` what it lacked.
    """

    name: str
    partition: str
    open: Callable[[], tuple[Context, frozenset[str]]]
    journal: Journal
    lock: Lock
    secrets: Callable[[], Mapping[str, str]]
    facts: Callable[[], RunFacts]
    after: tuple[Job, ...] = ()
    run_id: str = ""
    outcome: Outcome | None = None
    group: Callable[[str, str], Slots | Shortage] | None = None
    group_if_busy: Mapping[str, str] = field(default_factory=dict)
    slots: Slots | None = None
    short: Shortage | None = None

    @property
    def holder(self) -> str:
        """Who stands in its way."""
        if self.short is None:
            return self.lock.holder()
        return "; ".join(holder.note for holder in self.short.holders) or "other runs of this command"

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What its steps have to hold as long as they live."""
        return (self.lock.fileno(), *(self.slots.descriptors if self.slots is not None else ()))

    def let_go(self) -> None:
        """Give back its lock, and its slot of a group."""
        if self.slots is not None:
            self.slots.release()
            self.slots = None
        self.lock.release()


@dataclass(slots=True)
class Outcome:
    """What came of a job: its run (without an id if nothing was to be done) and the exit code it alone gives."""

    run: RunRecord
    exit_code: int
    considered: Mapping[str, Considered] = field(default_factory=dict)


class Runner:
    """Runs jobs under one limit of slots. `stop` may be called from a signal handler.

    `ended` is called with each job that has come to its end: after a run while its lock is still held, and where nothing was to be done.
    """

    def __init__(
        self,
        ports: Ports,
        options: Options,
        new_run_id: Callable[[], str],
        pid: int,
        ended: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self._ports = ports
        self._ended = ended
        self._pid = pid
        self._failures = 0
        self._pace: float | None = None
        self._options = options
        self._new_run_id = new_run_id
        self._active: list[tuple[Run, Job]] = []
        self._closing: dict[str, Job] = {}
        self._busy: list[tuple[Job, Context, frozenset[str], float]] = []
        self._stopped = False
        self._signal = 0
        self._hurry = False

    def stop(self, signal: int) -> None:
        """End what runs and start nothing more; called twice, hurry. `signal` is 0 when another shell asked for it."""
        self._hurry = self._hurry or self._stopped
        self._stopped = True
        self._signal = signal or self._signal
        self._ports.executor.wake()

    def run(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Bring every job to an end, in their order as far as slots and `after` allow. Raises `StateError`."""
        todo = deque(jobs)
        order = list(todo)
        try:
            while todo or self._active or self._busy or self._closing:
                self._retire()  # before anything opens: how it ended decides whether more may begin
                self._open(todo)
                self._start()
                self._retire()
                if self._active or self._busy or self._closing:
                    self._wait()
        except BaseException as error:
            self._abandon(wait=isinstance(error, Exception))  # else somebody wants the process gone at once
            raise
        return [job.outcome for job in order if job.outcome is not None]

    def _open(self, todo: deque[Job]) -> None:
        """Open further partitions while slots are free; those whose lock is held are tried again."""
        if self._stopped or self._too_many_failures():
            code = 128 + self._signal if self._signal else int(ExitCode.CANCELLED)
            for job, context, _, _ in self._busy:
                self._end_without_run(job, tuple(context.params.items()), RunState.CANCELLED, "cancelled", code)
            self._busy.clear()
            for job in todo if self._stopped else ():
                self._end_without_run(job, (), RunState.CANCELLED, "cancelled before it began", code)
            todo.clear()
            return
        now = self._ports.clock.monotonic()
        for item in list(self._busy):
            job, context, forced, since = item
            if self._acquire(job):
                self._busy.remove(item)
                self._begin(job, context, forced)
            elif job.short is not None and not job.short.holders:
                # Only runs of this command stand in its way: that is no waiting for others.
                self._busy[self._busy.index(item)] = (job, context, forced, now)
            elif now - since >= ORPHAN_GRACE and end_stragglers(self._ports.orphans, context, job.short):
                continue
            elif self._if_busy(job) is not IfBusy.WAIT or (
                self._options.wait_timeout is not None and now - since >= self._options.wait_timeout
            ):
                self._busy.remove(item)
                self._give_up(job, context)
        later: list[Job] = []
        # A run that is open can fill the slots: finish what was begun before something new begins.
        while (
            todo
            and self._free() + self._ahead() > sum(len(run.queue) for run, _ in self._active)
            and len(self._active) + len(self._busy) < self._most_open()
        ):
            job = todo.popleft()
            if _held_up(job):
                later.append(job)
            else:
                self._open_one(job)
        todo.extendleft(reversed(later))
        if todo and not (self._active or self._busy or self._closing) and all(_held_up(job) for job in todo):
            self._open_one(todo.popleft())  # what it waits for is none of these jobs, or waits for it

    def _open_one(self, job: Job) -> None:
        context, forced = job.open()
        if not context.state.runs:
            self._ports.executor.prepare()  # what was never run has something to do, and that is seen soon
        found = self._idle(context, forced)
        if found is not None and not _cut_off(context):
            self._nothing(job, context, found)
        elif self._acquire(job) or (
            meet_orphans(self._ports, context, kill=self._options.kill_orphans) and self._acquire(job)
        ):
            self._begin(job, context, forced)
        elif self._if_busy(job) is IfBusy.WAIT:
            if job.short is None or job.short.holders:
                what = f" (concurrency: {job.short.pool or 'all runs'})" if job.short is not None else ""
                self._ports.observer.note(
                    f"waiting for {job.name} {job.partition}".rstrip() + f"{what}: held by {job.holder}"
                )
            self._busy.append((job, context, forced, self._ports.clock.monotonic()))
        else:
            self._give_up(job, context)

    def _idle(self, context: Context, forced: frozenset[str]) -> dict[str, Considered] | None:
        """As `idle`; None if a file cannot be read: the step it belongs to fails in the run, the others go on."""
        try:
            return idle(context, forced)
        except FileError:
            return None

    def _acquire(self, job: Job) -> bool:
        """Try the lock; the note beside it tells others whose it is."""
        job.run_id = job.run_id or self._new_run_id()
        since = iso_utc(self._ports.clock.wall())
        note = f"run {job.run_id} (pid {self._pid}) since {since}"
        job.short = None
        if not job.lock.acquire(wait=0, note=note):
            return False
        if job.group is not None:
            found = job.group(job.run_id, f"{job.name} {job.partition}".rstrip() + f", {note}")
            if isinstance(found, Shortage):
                job.short = found
                job.lock.release()
                return False
            job.slots = found
        return True

    def _if_busy(self, job: Job) -> IfBusy:
        """What to do about what stands in its way: for runs of this very command is always waited."""
        if job.short is None:
            return self._options.if_busy
        if not job.short.holders:
            return IfBusy.WAIT
        asked = self._options.if_busy
        if asked is not IfBusy.WAIT or self._options.wait_timeout is not None:
            return asked
        return IfBusy(job.group_if_busy.get(job.short.pool, asked))

    def _nothing(self, job: Job, context: Context, found: Mapping[str, Considered]) -> None:
        """Everything stands: no run, no record, no lock."""
        record = RunRecord("", job.name, job.partition, RunState.SUCCEEDED, params=tuple(context.params.items()))
        record.reason = "unchanged"
        for step_id, considered in found.items():
            if considered.state is not None:
                step = StepRecord(step_id, considered.state, considered.reason.value, considered.detail)
                checkpoint = context.state.checkpoints.get(step_id)
                if checkpoint is not None:
                    step.outputs, step.values, step.metrics = checkpoint.outputs, checkpoint.values, checkpoint.metrics
                record.steps[step_id] = step
        record.total = len(record.steps)
        job.outcome = Outcome(record, 0, found)
        self._ended(job)
        job.journal.close()

    def _give_up(self, job: Job, context: Context) -> None:
        """Somebody else holds the partition: the other partitions go on."""
        code = int(ExitCode.OK if self._if_busy(job) is IfBusy.SKIP else ExitCode.BUSY)
        reason = f"busy: held by {job.holder}"
        self._end_without_run(job, tuple(context.params.items()), RunState.SKIPPED, reason, code)

    def _end_without_run(self, job: Job, params: Pairs, state: RunState, reason: str, code: int) -> None:
        record = RunRecord("", job.name, job.partition, state, reason, params=params)
        job.outcome = Outcome(record, code)
        job.journal.close()

    def _begin(self, job: Job, context: Context, forced: frozenset[str]) -> None:
        """Holding the lock: read again, recover, and start a run if there is still something to do."""
        from mlorch.engine.temps import removable  # all that only a run needs is imported by the first one
        from mlorch.runner.adoption import Adoptables
        from mlorch.runner.recovery import recover
        from mlorch.runner.run import Run

        ports = self._ports
        ports.executor.prepare()
        events = job.journal.open()
        changed = counted(events) != context.state.events
        if changed:
            # The same object: whoever reads this partition as its upstream holds it as well.
            fresh = fold(job.name, job.partition, events)
            for name in fresh.__slots__:
                setattr(context.state, name, getattr(fresh, name))
        cut_off = _cut_off(context)
        adoptable = recover(context.state, job.journal, context.files, ports)
        if changed or cut_off:
            # Somebody else was here meanwhile, or recovery was: it may all be done by now.
            found = self._idle(context, forced)
            # Cut off after its last step, a run may have left temporary outputs to remove.
            left = any(removable(context, step) for step in context.graph.order)
            if found is not None and not left:
                job.let_go()
                self._nothing(job, context, found)
                return
        run = Run(
            job.run_id,
            context,
            SharedJournal(job.journal),
            ports,
            forced,
            job.secrets(),
            job.descriptors,
            self._options.slots,
            job.facts(),
            Adoptables(context, adoptable),
            self._options.fail_fast,
            self._options.rerun_unsafe,
            self._options.patience,
            self._options.if_busy is IfBusy.SKIP,
        )
        run.start()
        self._active.append((run, job))

    def _most_open(self) -> int:
        """So many partitions are open at once. Where steps are brief, more: each waits for its publications, and those share flushes."""
        most = 2 * self._options.slots + (OPEN_BRIEF if self._ahead() else OPEN)
        return min(most, self._options.most_open)

    def _free(self) -> int:
        """Slots without an attempt; negative when more is handed over than runs."""
        return self._options.slots - sum([len(run.running) for run, _ in self._active])

    def _ahead(self) -> int:
        """How many attempts are handed over before there is a slot for them: brief steps need not wait for us in between.

        None where the end of one decides whether another may start; and none where steps take their time: what is handed
        over keeps its place before what becomes ready later, and was looked at when it was handed over.
        """
        options = self._options
        one_by_one = options.fail_fast or options.max_failures is not None
        brief = self._pace is not None and self._pace < BRIEF
        return AHEAD * options.slots if brief and not one_by_one else 0

    def _too_many_failures(self) -> bool:
        return self._options.max_failures is not None and self._failures >= self._options.max_failures

    def _start(self) -> None:
        free, ahead = self._free(), self._ahead()
        for run, _ in self._active:
            if self._stopped:
                if run.stopped != "cancel" or (self._hurry and not run.hurried):
                    run.stop("cancel", self._signal, hurry=self._hurry)
            elif run.waiting and free + ahead > 0:
                run.start_ready(free, ahead)
                free = self._free()
        # Nothing more can begin before something is published. Of what was handed over some is left to do meanwhile.
        if free + max(ahead - self._options.slots, 0) > 0:
            self._ports.committer.hurry()

    def _retire(self) -> None:
        """Let the runs end whose steps have all ended."""
        ended = [item for item in self._active if item[0].finished]
        if ended:
            self._active = [item for item in self._active if not item[0].finished]
        for run, job in ended:
            self._closing[run.run_id] = job
            if run.close() in (RunState.FAILED, RunState.TIMED_OUT):
                self._failures += 1

    def _closed(self, closing: Closing, problems: Iterable[str]) -> None:
        """A run is over: give back its lock."""
        run = cast("Run", closing.owner)  # runs are the only owners
        record = run.closed(closing.end, problems)
        job = self._closing.pop(run.run_id)
        job.outcome = Outcome(record, record.exit_code or 0)
        self._ended(job)
        job.let_go()
        job.journal.close()

    def _wait(self) -> None:
        """Sleep until something happens; take in all of it."""
        ports = self._ports
        now = ports.clock.monotonic()
        times = [at for run, _ in self._active if (at := run.next_timer()) is not None]
        if self._busy:
            times.append(now + LOCK_INTERVAL)
        times.append(now + TICK)
        ready = self._free() > 0 and any(run.queue for run, _ in self._active)
        timeout = 0.0 if ready else max(0.0, min(times) - now)
        by_token = {token: run for run, _ in self._active for token in run.running}
        for event in ports.executor.poll(timeout):
            token = event.token.removesuffix("/check")
            owner = by_token.get(token)
            if owner is not None:
                runs = isinstance(event, AttemptRunning)
                ports.observer.step_runs(owner.record, owner.running[token].step.id, runs=runs)
            if isinstance(event, AttemptDone):
                self._end_of(event, owner)
        taken = ports.committer.take()
        for publication, result in taken.published:
            run = cast("Run", publication.owner)  # runs are the only owners
            if isinstance(result, FileError):
                run.not_published(publication.success, result)
            else:
                run.published(result)
        for closing, problems in taken.ended:
            self._closed(closing, problems)
        now = ports.clock.monotonic()
        for run, _ in self._active:
            run.timers(now)
        ports.observer.tick()

    def _end_of(self, done: AttemptDone, run: Run | None) -> None:
        pace = done.duration_s if self._pace is None else self._pace
        self._pace = pace + (done.duration_s - pace) * SMOOTHING
        if run is not None:
            run.ended(done)

    def _abandon(self, *, wait: bool) -> None:
        """Something stops mlorch itself: end what runs; the journal says what was begun, and the next call recovers it."""
        for run, _ in self._active:
            run.end_running()
        if wait:
            self._see_them_end()
        for _, job in self._active:
            job.journal.close()
        for job in self._closing.values():
            job.journal.close()
        self._ports.executor.close()

    def _see_them_end(self) -> None:
        """Wait for what was told to end: no process of a run outlives it. One that even KILL does not end is given up."""
        executor, clock = self._ports.executor, self._ports.clock
        attempts = [attempt for run, _ in self._active for attempt in run.running.values()]
        running = {attempt.current for attempt in attempts}
        now, before = clock.monotonic(), -1.0
        give_up = now + max((attempt.step.grace for attempt in attempts), default=0.0) + ORPHAN_GRACE
        hurried = False
        while running and before < now < give_up:  # an executor that does not wait has nothing more to tell
            if self._hurry and not hurried:
                hurried = True
                for run, _ in self._active:
                    run.end_running(hurry=True)
            running -= {event.token for event in executor.poll(TICK) if isinstance(event, AttemptDone)}
            before, now = now, clock.monotonic()


def _cut_off(context: Context) -> bool:
    """Whether the newest run has no end of its own: something of it may wait to be finished, adopted or removed."""
    last = context.state.last_run
    return last is not None and last.state in (RunState.RUNNING, RunState.LOST)


def _held_up(job: Job) -> bool:
    return any(other.outcome is None for other in job.after)
