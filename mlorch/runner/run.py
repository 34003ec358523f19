"""One run: a partition of a pipeline, from its plan to its last record."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from mlorch.engine.consider import Considered, consider, unless_unsafe
from mlorch.engine.fingerprint import fingerprint
from mlorch.engine.graph import priorities
from mlorch.engine.outcome import end_of
from mlorch.engine.plan import durations_of
from mlorch.engine.queue import ReadyQueue
from mlorch.engine.retry import SKIP_ME, allowed, exit_code_of_attempt, in_words, state_of
from mlorch.lang.commands import CommandError
from mlorch.lang.expressions import ExpressionError, NotKnownYet
from mlorch.model import events as ev
from mlorch.model.attempt import AttemptDone
from mlorch.model.errors import FileError, SpecError
from mlorch.model.spec import SideEffects, Write
from mlorch.model.states import Action, Reason, StepState
from mlorch.runner.attempts import (
    Attempt,
    AttemptError,
    examine,
    failed_check,
    make_places,
    prepare,
    request_of,
    success_of,
)
from mlorch.runner.commit import Closing, Publication
from mlorch.runner.leavings import Leavings
from mlorch.runner.recorder import Recorder
from mlorch.runner.slots import SlotQueue
from mlorch.runner.tries import Tries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlorch.engine.context import Context
    from mlorch.model.attempt import AttemptRequest
    from mlorch.model.history import RunRecord
    from mlorch.model.spec import Check, Step
    from mlorch.model.states import RunState
    from mlorch.runner.adoption import Adoptables
    from mlorch.runner.commit import SharedJournal
    from mlorch.runner.ports import Ports
    from mlorch.runner.recorder import RunFacts


@dataclass(slots=True)
class Run:
    """The run of one partition while it goes on.

    `start_ready` starts what may start, `ended` takes the end of an attempt, `published` that of a publication,
    `timers` starts what has waited long enough; when all have ended comes `close`, and then `closed`. All of them append to the journal before they act. `limit` is how many attempts
    the executor may run at once, over all runs.
    """

    run_id: str
    context: Context
    journal: SharedJournal
    ports: Ports
    forced: frozenset[str]
    secrets: Mapping[str, str]
    lends: tuple[int, ...]
    limit: int
    facts: RunFacts
    adoptable: Adoptables
    fail_fast: bool = False
    rerun_unsafe: bool = False
    patience: float | None = None
    skip_busy: bool = False
    queue: ReadyQueue = field(init=False)
    recorder: Recorder = field(init=False)
    slots: SlotQueue = field(init=False)
    leavings: Leavings = field(init=False)
    running: dict[str, Attempt] = field(default_factory=dict)
    publishing: dict[str, Attempt] = field(default_factory=dict)
    tries: Tries = field(default_factory=Tries)
    deadline: float | None = None
    stopped: str = ""
    hurried: bool = False
    signal: int = 0

    def __post_init__(self) -> None:
        context = self.context
        ways = priorities(context.graph, durations_of(context.state))
        self.recorder = Recorder(self.run_id, context, self.journal, self.ports, self.secrets)
        self.queue = ReadyQueue(context.graph, context.selected, ways)
        name = f"{context.pipeline.name} {context.key}".rstrip()
        self.slots = SlotQueue(self.ports, self.run_id, name, self.facts.pid, self.patience)
        self.leavings = Leavings(self.recorder, self.adoptable.folders())

    @property
    def record(self) -> RunRecord:
        """This run, as the journal has it so far."""
        return self.recorder.record

    @property
    def finished(self) -> bool:
        """Every selected step has ended."""
        return not self.queue.left

    @property
    def waiting(self) -> bool:
        """Some of its steps are ready, or wait for slots of pools."""
        return bool(self.queue) or bool(self.slots)

    def start(self) -> None:
        """Record that the run begins."""
        self.recorder.start(self.facts, self.ports.folders)
        self.context.begin()
        if self.context.pipeline.timeout is not None:
            self.deadline = self.ports.clock.monotonic() + self.context.pipeline.timeout
        self.ports.observer.run_started(
            self.record, [s for s in self.context.graph.order if s in self.context.selected]
        )

    def start_ready(self, free: int, ahead: int) -> int:
        """Start ready steps in `free` slots, and hand over up to `ahead` more that begin as slots become free.

        Returns how many were handed over.
        """
        requests: list[tuple[Attempt, AttemptRequest]] = []
        events: list[ev.Event] = []
        reused: list[str] = []
        flush = False
        # An adopted attempt whose checks run takes a slot as well.
        before = len(self.running)
        while not self.stopped:
            taken = len(self.running) - before + len(requests)
            ready = self._next(early=taken >= free) if taken < free + ahead else None
            if ready is None:
                break
            step = self.context.by_id[ready]
            considered = self._consider(step)
            if considered.action is not Action.RUN:
                self._without_attempt(step, considered, reused, events)
                continue
            if step.pool and not self._admitted(step):
                continue
            started = self._attempt(step, considered)
            if started is None:
                continue
            attempt, request, event = started
            events.append(event)
            flush = flush or bool(event.aside) or event.external
            requests.append((attempt, request))
        if reused:
            events.append(ev.StepsReused(self.run_id, self.recorder.now(), tuple(reused)))
        self.recorder.append(*events)
        if flush:
            self.journal.flush()
        for attempt, request in requests:
            self.running[attempt.token] = attempt
            try:
                make_places(self.context.files, attempt)
            except FileError as error:
                self._failed(attempt, AttemptDone(attempt.token, "output"), StepState.FAILED, "output", error.told)
                continue
            self.ports.executor.submit(request)
        return len(requests)

    def _next(self, *, early: bool) -> str | None:
        """The step to start next; `early`: before a slot is free, where nothing outside changes until it really begins."""
        if not early:
            return self.slots.pop(self.record) or (self.queue.pop() if self.queue else None)
        if not self.queue:
            return None
        step = self.context.by_id[self.queue.first()]
        try:
            outputs = self.context.outputs(step)
        except SpecError:
            return None
        external = step.side_effects is SideEffects.EXTERNAL
        if external or step.pool or any(output.write is Write.IN_PLACE for output in outputs):
            return None
        return self.queue.pop()

    def _admitted(self, step: Step) -> bool:
        """Whether it has the slots of pools that it wants; one whose result is adopted runs nothing but its checks."""
        adopted = step.id in self.adoptable and not any(check.run for check in step.checks)
        return adopted or self.slots.admit(self.record, step)

    def _consider(self, step: Step) -> Considered:
        try:
            considered = consider(self.context, step, forced=step.id in self.forced)
            return self._with_history(step, considered) if considered.action is Action.RUN else considered
        except (SpecError, FileError) as error:
            return Considered(Action.SKIP, Reason.NEVER_DONE, error.message, StepState.FAILED)

    def _with_history(self, step: Step, considered: Considered) -> Considered:
        """A step that is to run: what an interrupted run left of it is kept for adoption, or undone if it does not count."""
        if step.id in self.adoptable:
            self.adoptable.settle(step, considered.reason, _digest(considered))
        if self.rerun_unsafe or step.id in self.adoptable:
            return considered
        return unless_unsafe(self.context, step, considered)

    def _without_attempt(self, step: Step, considered: Considered, reused: list[str], events: list[ev.Event]) -> None:
        state = considered.state or StepState.NOT_READY
        if state is StepState.CACHED:
            reused.append(step.id)
            self._end(step, state)
            self.leavings.remove_temps(step)
            return
        events.append(
            ev.StepEnded(
                self.run_id, self.recorder.now(), step.id, state.value, considered.reason.value, considered.detail
            )
        )
        self._end(step, state)

    def _end(self, step: Step, state: StepState) -> None:
        self.slots.release(step.id)
        self.context.settle(step.id, state)
        self.queue.ended(step.id)
        if self.fail_fast and (state.bad or state is StepState.BLOCKED):
            self.stop("fail_fast")
        elif self.stopped:  # what became ready by this end does not start any more
            self._cancel_unstarted()

    def _attempt(self, step: Step, considered: Considered) -> tuple[Attempt, AttemptRequest, ev.AttemptStarted] | None:
        """The attempt that comes next; None if it was adopted or could not be made."""
        assessment = considered.assessment
        assert assessment is not None  # noqa: S101 - a step that runs was assessed
        number = self.tries.next_number(step.id)
        digest = _digest(considered)
        attempt = prepare(self.context, step, assessment, self.run_id, number, digest)
        adopted = self.adoptable.take(attempt, self.recorder.now())
        if adopted is not None:
            event, done = adopted
            self.recorder.append(event)
            self.running[attempt.token] = attempt
            self.ended(done)
            return None
        try:
            lends = (*self.lends, *self.slots.lent(step.id))
            request, command = request_of(self.context, attempt, self.ports.folders, self.secrets, lends, self.limit)
        except (ExpressionError, CommandError, SpecError, FileError, NotKnownYet) as error:
            detail = f"the state of {error} is not known here" if isinstance(error, NotKnownYet) else error.message
            self.recorder.append(
                ev.StepEnded(self.run_id, self.recorder.now(), step.id, "failed", considered.reason.value, detail)
            )
            self._end(step, StepState.FAILED)
            return None
        self.leavings.expect(attempt)
        event = ev.AttemptStarted(
            self.run_id,
            self.recorder.now(),
            step.id,
            number,
            *self.tries.first_reason(step.id, considered),
            self.recorder.masked(command),
            self.ports.folders.relative(request.log),
            digest,
            attempt.staging,
            attempt.aside,
            step.side_effects is SideEffects.EXTERNAL,
        )
        return attempt, request, event

    def ended(self, done: AttemptDone) -> None:
        """An attempt, or one of its check commands, ended."""
        token = done.token.removesuffix("/check")
        attempt = self.running[token]
        try:
            if token != done.token:
                self._check_ended(attempt, done)
            elif done.exit_code == 0 and done.cause == "exit":
                attempt.done = done
                examine(self.context, attempt, self.ports.folders, self.secrets)
            elif state_of(done) is StepState.SKIPPED:
                attempt.done = done
                self._skipped(attempt)
                return
            else:
                self._failed(attempt, done, state_of(done), done.cause, in_words(done, attempt.step))
                return
            if self._next_check(attempt):
                return
        except (AttemptError, FileError) as error:
            cause = error.cause if isinstance(error, AttemptError) else "output"
            state = StepState.CANCELLED if cause == "cancelled" else StepState.FAILED
            told = error.told if isinstance(error, FileError) else error.message
            self._failed(attempt, attempt.done or done, state, cause, told)
            return
        self._publish(attempt)

    def _check_ended(self, attempt: Attempt, done: AttemptDone) -> None:
        check = attempt.checks_left.pop(0)
        if done.cause == "cancelled":
            raise AttemptError("cancelled", "cancelled while its checks ran")
        if done.exit_code != 0 or done.cause != "exit":
            happened = f"{_named(check)} failed: {in_words(done, attempt.step)}"
            failed_check(self.context, attempt, check, happened)

    def _next_check(self, attempt: Attempt) -> bool:
        """Start the next check that is a command; False if none is left. One that cannot be started does not hold."""
        while attempt.checks_left:
            if self.stopped in ("cancel", "timeout"):
                raise AttemptError("cancelled", "cancelled before its checks ran")
            check = attempt.checks_left[0]
            try:
                lends = (*self.lends, *self.slots.lent(attempt.step.id))
                request, _ = request_of(
                    self.context, attempt, self.ports.folders, self.secrets, lends, self.limit, check=check
                )
            except (ExpressionError, CommandError, SpecError) as error:
                attempt.checks_left.pop(0)
                failed_check(self.context, attempt, check, f"{_named(check)} cannot be started: {error.message}")
                continue
            self.ports.executor.submit(request)
            return True
        return False

    def _over(self, attempt: Attempt) -> None:
        """No process of the attempt lives any more."""
        del self.running[attempt.token]
        self.slots.release(attempt.step.id)

    def _skipped(self, attempt: Attempt) -> None:
        """It asked to be skipped: it would ask again while nothing changes, so that counts as its result."""
        self._over(attempt)
        assert attempt.done is not None  # noqa: S101 - `ended` set it
        detail = in_words(attempt.done, attempt.step) + self.leavings.undone(attempt) + self.leavings.scrubbed(attempt)
        success = success_of(attempt, attempt.done, self.recorder.now())._replace(
            exit_code=SKIP_ME, state="skipped", how="skipped", detail=detail
        )
        self.publishing[attempt.token] = attempt
        self.ports.committer.submit(Publication(self, self.journal, (), (), success))

    def _publish(self, attempt: Attempt) -> None:
        self._over(attempt)
        done = attempt.done
        assert done is not None  # noqa: S101 - `ended` set it
        moves = []
        in_place = []
        folders = False
        for output in attempt.outputs:
            staged = attempt.staged[output.name]
            folders = folders or (output.is_folder and staged != output.path)
            if staged == output.path:
                in_place.append((output.path, output.name))
            else:
                moves.append((staged, output.path, output.name))
        warnings = "; ".join(attempt.warnings) + self.leavings.scrubbed(attempt)
        success = success_of(attempt, done, self.recorder.now())._replace(detail=warnings)
        self.publishing[attempt.token] = attempt
        kept = tuple(kept for _, kept in attempt.aside if kept)
        self.ports.committer.submit(
            Publication(self, self.journal, tuple(moves), tuple(in_place), success, kept, folders)
        )

    def published(self, success: ev.StepSucceeded) -> None:
        """A publication became durable: the step is done."""
        attempt = self.publishing.pop(f"{self.run_id}/{success.step}/{success.attempt}")
        self.recorder.apply(success)
        self._end(attempt.step, StepState(success.state))
        self.leavings.remove_temps(attempt.step)

    def not_published(self, success: ev.StepSucceeded, error: FileError) -> None:
        """The outputs could not be put in place: the attempt failed after all."""
        attempt = self.publishing.pop(f"{self.run_id}/{success.step}/{success.attempt}")
        self.running[attempt.token] = attempt
        assert attempt.done is not None  # noqa: S101 - it was published
        self._failed(attempt, attempt.done, StepState.FAILED, "output", error.told)

    def _failed(self, attempt: Attempt, done: AttemptDone, state: StepState, cause: str, detail: str) -> None:
        """An attempt ended without its result: undo, record, and let another one follow or not."""
        step = attempt.step
        self._over(attempt)
        detail += self.leavings.undone(attempt) + self.leavings.scrubbed(attempt)
        if self.stopped == "timeout" and state is StepState.CANCELLED:
            detail = "cancelled: the run timed out"
        pause = None if self.stopped else self.tries.pause(step, attempt.number, state, done)
        tolerated = pause is None and state in (StepState.FAILED, StepState.TIMED_OUT) and allowed(step, done)
        event = ev.AttemptEnded(
            self.run_id,
            self.recorder.now(),
            step.id,
            attempt.number,
            (StepState.WARNING if tolerated else state).value,
            cause,
            self.recorder.masked(detail),
            exit_code_of_attempt(done),
            done.signal,
            done.duration_s,
            done.peak_rss_bytes,
            done.cpu_s,
            "" if pause is None else self.recorder.later(pause),
        )
        self.recorder.append(event)
        if pause is not None:
            self.tries.wait(step.id, self.ports.clock.monotonic() + pause)
        else:
            self._end(step, StepState.WARNING if tolerated else state)

    def timers(self, now: float) -> None:
        """Make ready what waited for its next attempt; end the run that took too long."""
        if self.deadline is not None and now >= self.deadline and not self.stopped:
            self.stop("timeout")
        if not self.slots and not self.tries:
            return
        events: list[ev.Event] = []
        for step, detail in self.slots.given_up(now):
            busy = Considered(Action.SKIP, Reason.BUSY, detail, StepState.NOT_READY)
            self._without_attempt(self.context.by_id[step], busy, [], events)
        self.recorder.append(*events)
        for step_id in self.tries.due(now):
            self.queue.push(step_id)

    def next_timer(self) -> float | None:
        """When `timers` has something to do, by the monotonic clock."""
        deadline = None if self.stopped else self.deadline
        due = self.tries.next_due() if self.tries else None
        return due if deadline is None or (due is not None and due < deadline) else deadline

    def stop(self, why: str, signal: int = 0, *, hurry: bool = False) -> None:
        """Start nothing more. `fail_fast` lets what runs end by itself; `cancel` and `timeout` end it."""
        if why != "fail_fast" or not self.stopped:
            self.stopped = why
            self.signal = signal or self.signal
        if why != "fail_fast":
            self.hurried = self.hurried or hurry
            self.end_running(hurry=hurry)
        self._cancel_unstarted()

    def end_running(self, *, hurry: bool = False) -> None:
        """Ask the executor to end every attempt that runs, or the check that runs for it."""
        for attempt in self.running.values():
            self.ports.executor.cancel(attempt.current, hurry=hurry)

    def _cancel_unstarted(self) -> None:
        """What has not started ends here, and all that waits for it."""
        words = {
            "fail_fast": "another step failed (--fail-fast)",
            "timeout": "the run timed out",
            "cancel": "cancelled",
        }
        events: list[ev.Event] = []
        for step_id in (*self.tries.due(inf), *self.slots.drain()):
            self.queue.push(step_id)
        while ready := self.queue.drain():
            for step_id in ready:
                self.slots.release(step_id)
                self.context.settle(step_id, StepState.CANCELLED)
                self.queue.ended(step_id)
                events.append(
                    ev.StepEnded(
                        self.run_id,
                        self.recorder.now(),
                        step_id,
                        "cancelled",
                        Reason.CANCELLED.value,
                        words[self.stopped],
                    )
                )
        self.recorder.append(*events)

    def close(self) -> RunState:
        """All its steps have ended: hand over what is left to do, and say how it ended. `closed` follows when that is on record.

        No staging folder of it is left, and of those before it only what is told.
        """
        kept = self.adoptable.leave(self.record, self.ports.observer.note)
        steps = tuple(self.record.steps.values())
        end = end_of(steps, self.context.graph.needs, self.stopped, self.signal, skip_busy=self.skip_busy)
        event = ev.RunEnded(self.run_id, self.recorder.now(), end.state.value, end.exit_code, end.reason)
        folders = tuple(sorted(self.leavings.folders - kept))
        self.ports.committer.end(Closing(self, self.journal, folders, event))
        return end.state

    def closed(self, end: ev.RunEnded, problems: Iterable[str]) -> RunRecord:
        """Its end is durable."""
        for problem in problems:
            self.leavings.not_removed(problem)
        self.recorder.apply(end)
        self.ports.observer.run_ended(self.record)
        return self.record


def _named(check: Check) -> str:
    return f"the check `{check.run if isinstance(check.run, str) else ' '.join(check.run)}`"


def _digest(considered: Considered) -> str:
    """The fingerprint of a step that is to run."""
    return fingerprint((considered.assessment.manifest if considered.assessment is not None else None) or ())
