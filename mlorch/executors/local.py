"""Runs attempts on this machine, through one supervisor process that is started with the first of them, or just before."""

from __future__ import annotations

import array
import contextlib
import errno
import marshal
import math
import os
import select
import socket
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from mlorch.executors.records import Ending, StartRecord, read_records
from mlorch.model.attempt import AttemptDone, AttemptRunning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlorch.model.attempt import AttemptRequest, ExecutorEvent

_SUPERVISOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervisor", "__main__.py")
_SUPERVISOR_FD = 3
_RECEIVE = 1 << 16
_SIZE = 4
"""A message, in either direction, is its length in so many bytes, then the message."""
_ROUND_MS = 20
_DRAIN = 4096
_AT_ONCE = 64
_DESCRIPTORS = 250
"""So many messages, and descriptors with them, go in one call at most; the kernel takes 253 descriptors."""


class LocalExecutor:
    """An `Executor` for this machine. Linux only; used from one thread, `wake` apart.

    `env` is what steps inherit (ours, unless given) and is taken when the supervisor starts. `oom_source` is the file that
    counts the kernel's kills for want of memory; found by itself unless given.
    """

    def __init__(self, env: Mapping[str, str] | None = None, oom_source: str = "") -> None:
        self._env = env
        self._oom_source = oom_source
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poller = select.poll()
        self._poller.register(self._wake_read, select.POLLIN)
        self._channel: socket.socket | None = None
        self._supervisor = 0
        self._inbox = b""
        self._outbox: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._writing = False
        self._requests: dict[str, AttemptRequest] = {}
        self._pids: dict[str, int] = {}
        self._events: list[ExecutorEvent] = []
        self._endings: dict[str, tuple[Ending, AttemptDone]] = {}
        self._fate = ""
        self._bug = ""
        self._closed = False

    # What the port asks for.

    def prepare(self) -> None:
        """Start the supervisor, which takes some 20 ms; that it cannot be started is told by `submit`."""
        if self._channel is None and not self._closed:
            with contextlib.suppress(OSError):
                self._channel = self._start_supervisor()

    def submit(self, request: AttemptRequest) -> None:
        """Hand over one attempt; its end comes from `poll`. Raises `ValueError` after `close`."""
        if self._closed:
            raise ValueError("this executor is closed")
        self._requests[request.token] = request
        if self._channel is None:
            try:
                self._channel = self._start_supervisor()
            except OSError as error:
                text = f"cannot start the supervisor of steps: {os.strerror(error.errno or 0)}"
                self._ended(AttemptDone(request.token, "spawn", spawn_error=text, errno=error.errno or errno.EAGAIN))
                return
        # What the supervisor cannot begin at once goes with what follows, at the next `poll` at the latest: one wake-up for all.
        self._send(_message(request), request.lends, later=0 < request.slots < len(self._requests))

    def poll(self, timeout: float | None) -> Sequence[ExecutorEvent]:
        """What happened since; waits up to `timeout` seconds (None: until something does, or `wake`)."""
        if self._closed:
            return ()
        wait = None if timeout is None else max(0, math.ceil(timeout * 1000))
        if self._events:
            wait = 0
        elif self._endings:
            wait = _ROUND_MS if wait is None else min(wait, _ROUND_MS)
        if self._outbox and not self._writing:
            self._flush()
        for fd, ready in self._poller.poll(wait):
            if fd == self._wake_read:
                self._drain()
            else:
                if ready & select.POLLOUT:
                    self._flush()
                if ready & ~select.POLLOUT:
                    self._receive()
        if self._endings:
            self._end_lost()
        events, self._events = self._events, []
        return events

    def cancel(self, token: str, *, hurry: bool = False) -> None:
        """End an attempt: TERM, KILL after its grace (at once when `hurry`); its end comes from `poll`."""
        if token in self._endings:
            if hurry:
                self._endings[token][0].hurry()
        elif token in self._requests and self._channel is not None:
            self._send(_packed({"op": "cancel", "token": token, "hurry": hurry}), ())

    def wake(self) -> None:
        """Make `poll` return early; may be called from a thread or a signal handler."""
        try:
            os.write(self._wake_write, b"\0")
        except (BlockingIOError, OSError):
            return  # a full pipe wakes as well, and after `close` there is nobody to wake

    def close(self) -> None:
        """No further attempts; what still runs goes on, watched by the supervisor. May be called twice.

        When nothing runs, the supervisor (and what daemons may be left) is gone when this returns.
        """
        if self._closed:
            return
        self._closed = True
        for ending, _ in self._endings.values():
            ending.hurry()
            ending.step()
        if self._channel is not None:
            busy = bool(self._requests)
            if not busy:
                self._channel.shutdown(socket.SHUT_WR)
                self._channel.setblocking(True)
                while self._channel.recv(_RECEIVE):
                    pass
            self._channel.close()
            if not busy:
                self._reap_supervisor()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_write = -1

    # What is more.

    @property
    def wake_fd(self) -> int:
        """A descriptor for `signal.set_wakeup_fd`: what is written to it makes `poll` return."""
        return self._wake_write

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's process; 0 while there is none."""
        return self._supervisor

    def pids(self) -> dict[str, int]:
        """The processes of the attempts that run, by token."""
        return dict(self._pids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The supervisor.

    def _start_supervisor(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        # Isolated, so that no variable and no site of the user runs code in it; the encoding of names must be ours, though.
        argv = [sys.executable, "-I", "-S", "-X", f"utf8={int(sys.flags.utf8_mode)}", _SUPERVISOR, str(_SUPERVISOR_FD)]
        if self._oom_source:
            argv.append(self._oom_source)
        # stderr too: a supervisor that outlives us must not hold the pipe that our output goes to.
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in range(3)
        ]
        actions.append((os.POSIX_SPAWN_DUP2, theirs.fileno(), _SUPERVISOR_FD))
        env = os.environ if self._env is None else self._env
        try:
            self._supervisor = os.posix_spawn(sys.executable, argv, env, file_actions=actions, setsid=True)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._poller.register(ours.fileno(), select.POLLIN)
        return ours

    def _send(self, data: bytes, lends: tuple[int, ...], *, later: bool = False) -> None:
        self._outbox.append((data, lends))
        if not self._writing and not later:
            self._flush()

    def _flush(self) -> None:
        channel = self._channel
        if channel is None:
            return
        try:
            while self._outbox:
                self._send_some(channel)
        except BlockingIOError:
            pass
        except OSError:
            self._outbox.clear()  # it is gone, and reading will tell
        if self._writing != bool(self._outbox):
            self._writing = not self._writing
            self._poller.modify(channel.fileno(), select.POLLIN | (select.POLLOUT if self._writing else 0))

    def _send_some(self, channel: socket.socket) -> None:
        """One call of the system for as many messages as it takes."""
        parts: list[bytes] = []
        lends: list[int] = []
        for data, own in self._outbox:
            if parts and (len(parts) == _AT_ONCE or len(lends) + len(own) > _DESCRIPTORS):
                break
            parts.append(data)
            lends += own
        # Descriptors go with the first byte.
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", lends))] if lends else []
        sent = channel.sendmsg(parts, extra)
        for _ in parts:
            self._outbox.popleft()
        if rest := b"".join(parts)[sent:]:
            self._outbox.appendleft((rest, ()))

    def _receive(self) -> None:
        if self._channel is None:
            return
        try:
            data = self._channel.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        data = self._inbox + data
        at = 0
        while len(data) >= at + _SIZE and len(data) >= (
            end := at + _SIZE + int.from_bytes(data[at : at + _SIZE], "little")
        ):
            self._told(*marshal.loads(data[at + _SIZE : end]))  # noqa: S302 - from the one that we started
            at = end
        self._inbox = data[at:]

    def _told(self, what: str, about: Any, start: tuple[str, int, int, str] | None = None) -> None:
        if what == "end":
            if start is not None:  # it was over before its start was told
                self._events.append(AttemptRunning(*start))
            self._ended(AttemptDone(*about))
        elif what == "start":
            self._pids[about[0]] = about[1]
            self._events.append(AttemptRunning(*about))
        else:
            self._bug = about

    def _ended(self, done: AttemptDone) -> None:
        self._requests.pop(done.token, None)
        self._pids.pop(done.token, None)
        self._events.append(done)

    def _drain(self) -> None:
        try:
            while len(os.read(self._wake_read, _DRAIN)) == _DRAIN:
                pass
        except BlockingIOError:
            return

    # Its loss.

    def _lost(self) -> None:
        """The supervisor is gone: take the ends that it recorded, and end what it left running."""
        if self._channel is not None:
            self._poller.unregister(self._channel.fileno())
            self._channel.close()
        self._channel = None
        self._inbox = b""
        self._outbox.clear()
        self._writing = False
        self._reap_supervisor()
        records: dict[str, dict[str, tuple[StartRecord | None, AttemptDone | None]]] = {}
        for token, request in list(self._requests.items()):
            if token in self._endings:
                continue
            if request.record not in records:
                records[request.record] = _read(request.record)
            start, end = records[request.record].get(token, (None, None))
            # A recorded end counts; something that the command left behind may live even so.
            done = end or AttemptDone(token, "lost", spawn_error=f"{self._fate}\n{self._bug}".strip())
            self._endings[token] = (Ending(start, _marks(request), request.grace), done)

    def _end_lost(self) -> None:
        for token in [token for token, (ending, _) in self._endings.items() if ending.step()]:
            self._ended(self._endings.pop(token)[1])

    def _reap_supervisor(self) -> None:
        if self._supervisor:
            # Unless somebody waits for all our children, or SIGCHLD is ignored.
            with contextlib.suppress(ChildProcessError):
                _, status = os.waitpid(self._supervisor, 0)
                code = os.waitstatus_to_exitcode(status)
                how = f"by signal {-code}" if code < 0 else f"with status {code}"
                self._fate = f"the supervisor of the step (process {self._supervisor}) ended {how}"
        self._supervisor = 0


def _packed(message: dict[str, object]) -> bytes:
    """For the supervisor, which is the same Python as we: `marshal` needs no imports there, and a fifth of the time."""
    data = marshal.dumps(message)
    return len(data).to_bytes(_SIZE, "little") + data


def _message(request: AttemptRequest) -> bytes:
    message: dict[str, object] = {
        "op": "run",
        "token": request.token,
        "argv": [str(word) for word in request.argv],
        "env": {name: str(value) for name, value in request.env},
        "cwd": request.cwd,
        "log": request.log,
        "record": request.record,
        "log_limit": request.log_limit,
        "grace": request.grace,
    }
    if request.timeout is not None:
        message["timeout"] = request.timeout
    if request.heartbeat is not None:
        message["heartbeat"] = request.heartbeat
    if request.slots:
        message["slots"] = request.slots
    if request.lends:
        message["lends"] = len(request.lends)
    if request.unset:
        message["unset"] = request.unset
    if request.masks:
        message["masks"] = list(request.masks)
    return _packed(message)


def _read(path: str) -> dict[str, tuple[StartRecord | None, AttemptDone | None]]:
    try:
        return read_records(path)
    except OSError:
        return {}  # without a record the marks have to do


def _marks(request: AttemptRequest) -> tuple[str, ...]:
    known = dict(request.env)
    if "MLORCH_RUN_ID" not in known:
        return ()
    return tuple(
        f"{name}={known[name]}" for name in ("MLORCH_RUN_ID", "MLORCH_STEP", "MLORCH_ATTEMPT") if name in known
    )
