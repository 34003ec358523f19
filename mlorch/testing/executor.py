"""An executor without processes: a script says how each attempt ends, and when, by a clock wound by hand."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlorch.model.attempt import AttemptDone, AttemptRequest, AttemptRunning, ExecutorEvent
from mlorch.model.times import iso_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

_FIRST_PID = 1000


class HandWound(Protocol):
    """A clock that moves when told to (`mlorch.testing.clock.HandClock`)."""

    def wall(self) -> datetime:
        """The time, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt does if nobody ends it: it runs for `lasts` seconds (None: until `ScriptedExecutor.finish`), then ends.

    `exit_code`, `signal`, `spawn_error` with `errno`, and `cause` as in `AttemptDone`; a `spawn_error` needs no time.
    `stubborn`: it does not end at TERM. `act` is called when it starts: here it writes its files.
    """

    exit_code: int = 0
    lasts: float | None = 0.0
    signal: str = ""
    spawn_error: str = ""
    errno: int = 0
    cause: str = ""
    stubborn: bool = False
    act: Callable[[AttemptRequest], None] | None = None
    peak_rss_bytes: int = 0
    cpu_s: float = 0.0

    def _cause(self) -> str:
        return self.cause or ("spawn" if self.spawn_error else "signal" if self.signal else "exit")

    def done(self, token: str) -> AttemptDone:
        """The end, without its times."""
        failed = bool(self.spawn_error or self.signal) or self.cause == "lost"
        return AttemptDone(
            token,
            self._cause(),
            exit_code=None if failed else self.exit_code,
            signal=self.signal,
            spawn_error=self.spawn_error,
            errno=self.errno,
            peak_rss_bytes=self.peak_rss_bytes,
            cpu_s=self.cpu_s,
        )


@dataclass(slots=True)
class _Running:
    request: AttemptRequest
    outcome: Outcome
    pid: int
    began: float
    began_at: str


class ScriptedExecutor:
    """An `Executor` that asks `script` for the outcome of each request. `poll` winds `clock` forward instead of waiting.

    `requests` are all that were submitted, `cancelled` the tokens that were cancelled, both in order.
    """

    def __init__(self, clock: HandWound, script: Callable[[AttemptRequest], Outcome] | None = None) -> None:
        self._clock = clock
        self._script = script or (lambda _: Outcome())
        self._queue: dict[str, AttemptRequest] = {}
        self._running: dict[str, _Running] = {}
        # (when, order, token, end): an end that came too late, after another one, is passed over.
        self._ahead: list[tuple[float, int, str, AttemptDone]] = []
        self._events: list[ExecutorEvent] = []
        self._count = 0
        self._woken = False
        self._closed = False
        self.requests: list[AttemptRequest] = []
        self.cancelled: list[str] = []

    def prepare(self) -> None:
        """Nothing takes a moment here."""

    def submit(self, request: AttemptRequest) -> None:
        """Hand over one attempt; its end comes from `poll`. Raises `ValueError` after `close`."""
        if self._closed:
            raise ValueError("this executor is closed")
        self.requests.append(request)
        self._queue[request.token] = request
        self._next()

    def _next(self) -> None:
        for request in list(self._queue.values()):
            if request.slots and len(self._running) >= request.slots:
                return
            del self._queue[request.token]
            self._start(request)

    def _start(self, request: AttemptRequest) -> None:
        outcome = self._script(request)
        now, at = self._clock.monotonic(), iso_utc(self._clock.wall())
        running = _Running(request, outcome, _FIRST_PID + self.requests.index(request), now, at)
        self._running[request.token] = running
        if outcome.spawn_error:
            self._plan(now, outcome.done(request.token))
            return
        self._events.append(AttemptRunning(request.token, running.pid, running.pid, at))
        if outcome.act is not None:
            outcome.act(request)
        if outcome.lasts is not None:
            self._plan(now + outcome.lasts, outcome.done(request.token))
        for bound, cause in ((request.timeout, "timeout"), (request.heartbeat, "heartbeat")):
            if bound is not None:
                self._end(running, now + bound, cause)

    def poll(self, timeout: float | None) -> Sequence[ExecutorEvent]:
        """What happened since; winds the clock up to `timeout` seconds on, to the next end if there is one before.

        Raises `AssertionError` when asked to wait without bound for what never comes.
        """
        if self._closed:
            return ()
        if not self._events and not self._woken:
            self._wind(timeout)
        self._woken = False
        now = self._clock.monotonic()
        while self._ahead and self._ahead[0][0] <= now:
            _, _, token, done = heapq.heappop(self._ahead)
            if token in self._running:
                self._ended(self._running.pop(token), done)
                self._next()
        events, self._events = self._events, []
        return events

    def cancel(self, token: str, *, hurry: bool = False) -> None:
        """End an attempt: TERM, KILL after its grace (at once when `hurry`); its end comes from `poll`."""
        self.cancelled.append(token)
        running = self._running.get(token)
        if running is not None:
            self._end(running, self._clock.monotonic(), "cancelled", hurry=hurry)
        elif self._queue.pop(token, None) is not None:
            at = iso_utc(self._clock.wall())
            self._events.append(AttemptDone(token, "cancelled", signal="SIGTERM", started_at=at, ended_at=at))

    def wake(self) -> None:
        """Make the next `poll` return without winding the clock."""
        self._woken = True

    def close(self) -> None:
        """No further attempts, and no further events."""
        self._closed = True

    # What a test does beside.

    def finish(self, token: str, outcome: Outcome | None = None) -> None:
        """End a running attempt now, as scripted or as `outcome` says. Raises `KeyError` if it does not run."""
        running = self._running[token]
        self._plan(self._clock.monotonic(), (outcome or running.outcome).done(token))

    def running(self) -> tuple[str, ...]:
        """Tokens of what runs, in the order of their start."""
        return tuple(self._running)

    def _wind(self, timeout: float | None) -> None:
        now = self._clock.monotonic()
        while self._ahead and self._ahead[0][2] not in self._running:
            heapq.heappop(self._ahead)
        until = self._ahead[0][0] if self._ahead else None
        if timeout is not None:
            until = now + timeout if until is None else min(until, now + timeout)
        if until is None:
            raise AssertionError(f"poll(None) would wait for ever; running: {', '.join(self._running) or 'nothing'}")
        self._clock.advance(max(until - now, 0.0))

    def _plan(self, when: float, done: AttemptDone) -> None:
        self._count += 1
        heapq.heappush(self._ahead, (when, self._count, done.token, done))

    def _end(self, running: _Running, when: float, cause: str, *, hurry: bool = False) -> None:
        killed = hurry or running.outcome.stubborn
        if killed and not hurry:
            when += running.request.grace
        self._plan(when, AttemptDone(running.request.token, cause, signal="SIGKILL" if killed else "SIGTERM"))

    def _ended(self, running: _Running, done: AttemptDone) -> None:
        took = self._clock.monotonic() - running.began
        self._events.append(
            AttemptDone(
                done.token,
                done.cause,
                exit_code=done.exit_code,
                signal=done.signal,
                spawn_error=done.spawn_error,
                errno=done.errno,
                started_at=running.began_at,
                ended_at=iso_utc(self._clock.wall()),
                duration_s=took,
                peak_rss_bytes=done.peak_rss_bytes,
                cpu_s=done.cpu_s,
            )
        )
