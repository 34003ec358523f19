"""The supervisor's one loop: requests in, processes started and watched, ends recorded and told."""

from __future__ import annotations

import errno
import gc
import marshal
import os
import select
import time

from mlorch.executors.supervisor import launch, linux, proc
from mlorch.executors.supervisor.attempt import NEVER, Attempt, quoted
from mlorch.executors.supervisor.leftovers import HOPELESS, Leftovers
from mlorch.executors.supervisor.light import signal, socket
from mlorch.executors.supervisor.logs import LogGuard
from mlorch.executors.supervisor.records import Records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MARKS = ("MLORCH_RUN_ID", "MLORCH_STEP", "MLORCH_ATTEMPT")
_LINGER = 0.5
"""Seconds that what a step left behind has to end by itself: a `tee` that still writes its last lines."""
_ROUND = 0.05
_FIRST_LOOK = 0.05
_TELL_LATER = 0.015
"""A start is told after so many seconds, and that of a shorter step with its end: half as many wake-ups and words for who listens."""
_OOM_FRESH = 1.0
_RECEIVE = 1 << 16
_SIZE = 4
"""A message is its length in so many bytes, then the message."""
_ANCILLARY = socket.CMSG_SPACE(253 * 4)


class Supervisor:
    """Serves the one that holds the other end of `channel`, and goes on without it until the last attempt has ended."""

    def __init__(self, channel: socket.socket, oom_source: str) -> None:
        self._channel = channel
        self._connected = True
        self._inbox = b""
        self._outbox = bytearray()
        self._tell_at = NEVER
        self._starts: dict[str, tuple[str, int, int, str]] = {}
        self._received_fds: list[int] = []
        self._environment = dict(os.environ)
        ticks = proc.start_ticks(os.getpid())
        self._identity = f'"boot_id":"{proc.boot_id()}","supervisor_pid":{os.getpid()},"supervisor_ticks":{ticks}'
        self._birthdays = proc.Birthdays()
        self._records = Records()
        self._leftovers = Leftovers()
        self._unowned_at = NEVER
        # Those that wait their turn, with their requests, in order.
        self._queue: dict[str, tuple[Attempt, dict[str, Any]]] = {}
        # All attempts not yet told as ended; those whose command still runs, by process; those read through a pipe.
        self._attempts: dict[str, Attempt] = {}
        self._running: dict[int, Attempt] = {}
        self._pipes: dict[int, Attempt] = {}
        self._due = self._look_at = NEVER
        self._looked = 0.0
        self._oom_source = oom_source or proc.oom_source()
        self._oom_count = 0
        self._oom_read = -_OOM_FRESH
        self._signals = linux.signal_fd(signal.SIGCHLD, signal.SIGTERM)
        self._poller = select.epoll()
        self._poller.register(self._signals, select.EPOLLIN)
        self._poller.register(channel.fileno(), select.EPOLLIN)
        self._writing = False

    # The loop.

    def run(self) -> None:
        """Until nobody is connected and nothing is left to watch."""
        while self._connected or self._attempts or self._leftovers:
            ready = self._poller.poll(self._pause())
            # Ends first: an attempt that is over by itself is not cancelled, and has not timed out.
            for fd, _ in ready:
                if fd == self._signals:
                    self._on_signals()
            for fd, events in ready:
                if fd == self._signals:
                    continue
                if fd in self._pipes:
                    self._pump(self._pipes[fd])
                else:
                    self._on_channel(events)
            self._on_time(time.monotonic())
        self._records.retry()

    def _pause(self) -> float | None:
        self._due = min([attempt.due for attempt in self._attempts.values()], default=NEVER)
        due = min(self._due, self._look_at, self._tell_at, self._unowned_at)
        return None if due == NEVER else max(due - time.monotonic(), 0.0)

    def _on_time(self, now: float) -> None:
        if now >= self._look_at:
            self._look(now)
        if now >= self._due:
            for attempt in [one for one in self._attempts.values() if one.due <= now]:
                self._overdue(attempt, now)
        if now >= self._unowned_at:
            self._unowned_at = self._leftovers.end_unowned(self._attempts.keys() | set(), now)
        if now >= self._tell_at:
            self._send()

    # The other end.

    def _on_channel(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._send()
        if not events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return
        try:
            data, ancillary, _, _ = self._channel.recvmsg(_RECEIVE, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        for _, kind, payload in ancillary:
            if kind == socket.SCM_RIGHTS:
                self._received_fds += memoryview(payload).cast("i").tolist()
        if not data:
            self._disconnect()
            return
        self._inbox += data
        while len(self._inbox) >= _SIZE and len(self._inbox) >= (
            end := _SIZE + int.from_bytes(self._inbox[:_SIZE], "little")
        ):
            message = self._inbox[_SIZE:end]
            self._inbox = self._inbox[end:]
            self._handle(marshal.loads(message))  # noqa: S302 - from the one that started us, over a socket of its own

    def _handle(self, message: dict[str, Any]) -> None:
        token = message["token"]
        if message["op"] == "run":
            attempt = Attempt(token, message["record"])
            count = message.get("lends", 0)
            attempt.lends, self._received_fds = self._received_fds[:count], self._received_fds[count:]
            self._queue[token] = (attempt, message)
            self._next()
        elif token in self._attempts:
            self._end(self._attempts[token], "cancelled", hurry=message["hurry"])
        elif token in self._queue:
            self._withdraw(token)

    def _disconnect(self) -> None:
        if self._connected:
            self._connected = False
            self._poller.unregister(self._channel.fileno())
            self._channel.close()
            self._outbox.clear()
            self._starts.clear()
            self._tell_at = NEVER
            for attempt, _ in self._queue.values():
                attempt.close()
            self._queue.clear()  # nobody waits for their ends: nothing is begun any more

    def _tell(self, *message: object) -> None:
        if self._connected:
            self._outbox += _packed(message)
            self._tell_at = 0.0

    def _tell_start(self, attempt: Attempt) -> None:
        if self._connected:
            self._starts[attempt.token] = (attempt.token, attempt.pid, attempt.start_ticks, attempt.began_at)
            self._tell_at = min(self._tell_at, time.monotonic() + _TELL_LATER)

    def _send(self) -> None:
        self._tell_at = NEVER
        for start in self._starts.values():
            self._outbox += _packed(("start", start))
        self._starts.clear()
        try:
            while self._outbox:
                del self._outbox[: self._channel.send(self._outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self._disconnect()
            return
        if self._writing != bool(self._outbox):
            self._writing = not self._writing
            self._poller.modify(self._channel.fileno(), select.EPOLLIN | (select.EPOLLOUT if self._writing else 0))

    # Starting.

    def _next(self) -> None:
        """Start those whose turn it is."""
        while self._queue:
            token, (attempt, message) = next(iter(self._queue.items()))
            slots = message.get("slots", 0)
            if slots and len(self._attempts) >= slots:
                return
            del self._queue[token]
            self._start(attempt, message)

    def _withdraw(self, token: str) -> None:
        attempt, _ = self._queue.pop(token)
        attempt.withdrawn()
        self._finish(attempt)

    def _start(self, attempt: Attempt, message: dict[str, Any]) -> None:
        attempt.begin()
        try:
            self._launch(attempt, message)
        except launch.SpawnError as error:
            attempt.not_started(error.text, error.code)
            self._finish(attempt)
            return
        except (OSError, ValueError) as error:
            attempt.not_started(f"cannot start a process: {error}", getattr(error, "errno", None) or errno.EINVAL)
            self._finish(attempt)
            return
        self._attempts[attempt.token] = self._running[attempt.pid] = attempt
        marks = ",".join([quoted(os.fsdecode(mark)) for mark in attempt.marks])
        data = (
            f'{{"type":"start","token":{attempt.quoted_token},"pid":{attempt.pid},"start_ticks":{attempt.start_ticks},'
            f'"at":"{attempt.began_at}","marks":[{marks}],{self._identity}}}\n'
        ).encode("ascii")
        attempt.record_error = self._records.append(attempt.record, data)
        self._tell_start(attempt)
        if self._look_at == NEVER:
            self._look_at = attempt.began + _FIRST_LOOK
            self._looked = attempt.began

    def _launch(self, attempt: Attempt, message: dict[str, Any]) -> None:
        env = self._environment.copy()
        for name in message.get("unset", ()):
            env.pop(name, None)
        given = message["env"]
        env.update(given)
        if _MARKS[0] in given:
            attempt.marks = [os.fsencode(f"{name}={given[name]}") for name in _MARKS if name in given]
        attempt.log_fd = launch.open_log(message["log"])
        attempt.guard = LogGuard(attempt.log_fd, message["log_limit"])
        launch.enter(message["cwd"])
        out = attempt.log_fd
        if message.get("masks"):
            out = self._open_pipe(attempt, message["masks"])
        if attempt.began - self._oom_read > _OOM_FRESH:
            self._oom_read, self._oom_count = attempt.began, proc.oom_kills(self._oom_source)
        attempt.baseline = self._oom_count
        before = self._birthdays.now()
        try:
            attempt.pid = launch.spawn(message["argv"], env, out, attempt.lends)
        finally:
            if out != attempt.log_fd:
                os.close(out)
        attempt.start_ticks = self._birthdays.of(attempt.pid, before)
        attempt.grace = message["grace"]
        attempt.timeout_at = attempt.began + message["timeout"] if "timeout" in message else NEVER
        attempt.heartbeat = message.get("heartbeat", NEVER)

    def _open_pipe(self, attempt: Attempt, masks: list[bytes]) -> int:
        from mlorch.executors.supervisor.masking import Masker

        attempt.masker = Masker(masks)
        attempt.pipe_fd, out = os.pipe2(os.O_CLOEXEC)
        # Only our end: the step's end is its stdout, and programs do not expect that to refuse a write.
        os.set_blocking(attempt.pipe_fd, False)
        self._poller.register(attempt.pipe_fd, select.EPOLLIN)
        self._pipes[attempt.pipe_fd] = attempt
        return out

    def _pump(self, attempt: Attempt) -> None:
        if not attempt.pump():
            # Unregistered, not closed: what the end of the attempt does is the same with and without this.
            self._poller.unregister(attempt.pipe_fd)
            del self._pipes[attempt.pipe_fd]

    # Watching.

    def _look(self, now: float) -> None:
        """Look at the logs: are they too long, do they still grow?"""
        elapsed, self._looked = now - self._looked, now
        pause = NEVER
        for attempt in self._attempts.values():
            if attempt.guard is None:
                continue
            changed, again = attempt.guard.look(elapsed)
            if changed:
                attempt.quiet_since = now
            pause = min(pause, again)
        self._look_at = now + pause
        self._records.retry()

    def _overdue(self, attempt: Attempt, now: float) -> None:
        if now >= attempt.timeout_at:
            attempt.timeout_at = NEVER
            self._end(attempt, "timeout")
        if now >= attempt.quiet_since + attempt.heartbeat:
            attempt.heartbeat = NEVER
            self._end(attempt, "heartbeat")
        if now >= attempt.term_at:
            attempt.term_at = NEVER
            self._terminate(attempt, now)
        if now >= attempt.kill_at:
            attempt.kill_at = now + _ROUND
            self._kill(attempt)
        if now >= attempt.hopeless_at:
            self._leftovers.give_up(attempt)
            self._finish(attempt)

    def _end(self, attempt: Attempt, reason: str, *, hurry: bool = False) -> None:
        """End what of `attempt` lives. One whose command is over keeps the cause that it has."""
        now = time.monotonic()
        attempt.reason = attempt.reason or reason
        if hurry:
            attempt.kill_at = now + _ROUND
            self._kill(attempt)
        elif not attempt.termed:
            self._terminate(attempt, now)

    def _terminate(self, attempt: Attempt, now: float) -> None:
        attempt.termed = True
        attempt.term_at = NEVER
        attempt.kill_at = min(attempt.kill_at, now + attempt.grace)
        if not attempt.end:
            attempt.termed_group = True
            attempt.send(signal.SIGTERM)
            attempt.send(signal.SIGCONT)
        else:
            self._leftovers.end(attempt, signal.SIGTERM)

    def _kill(self, attempt: Attempt) -> None:
        if not attempt.end:
            attempt.send(signal.SIGKILL)
        else:
            attempt.hopeless_at = min(attempt.hopeless_at, time.monotonic() + HOPELESS)
            self._leftovers.end(attempt, signal.SIGKILL)

    # Ending.

    def _on_signals(self) -> None:
        try:
            data = os.read(self._signals, 4096)
        except BlockingIOError:
            return
        # struct signalfd_siginfo: 128 bytes, the first four the number.
        numbers = {int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 128)}
        self._reap()
        if signal.SIGTERM in numbers:
            for token in list(self._queue):
                self._withdraw(token)
            for attempt in list(self._attempts.values()):
                self._end(attempt, "cancelled")

    def _reap(self) -> None:
        ended = []
        childless = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                childless = True
                break
            if not pid:
                break
            attempt = self._running.pop(pid, None)
            if attempt is None:
                self._leftovers.gone(pid)
                continue
            attempt.ended(status, usage, out_of_memory=self._out_of_memory(attempt, status))
            self._record_end(attempt)
            ended.append(attempt)
        if childless:
            self._leftovers.all_gone()
        elif ended or self._leftovers:
            self._leftovers.census(self._running, self._attempts.values())
        for attempt in [one for one in self._attempts.values() if one.end]:
            self._settle(attempt)
        if self._leftovers:
            self._unowned_at = 0.0

    def _out_of_memory(self, attempt: Attempt, status: int) -> bool:
        if status == 0:
            return False
        self._oom_read, self._oom_count = time.monotonic(), proc.oom_kills(self._oom_source)
        return self._oom_count > attempt.baseline

    def _settle(self, attempt: Attempt) -> None:
        """The command is over: tell it if nothing of the attempt is left, else see to it that nothing will be."""
        if not self._leftovers.of(attempt):
            self._finish(attempt)
        elif not attempt.lingers:
            attempt.lingers = True
            attempt.timeout_at = attempt.heartbeat = NEVER
            if attempt.termed:
                self._leftovers.end(attempt, signal.SIGTERM)
            elif attempt.kill_at == NEVER:
                attempt.term_at = time.monotonic() + min(_LINGER, attempt.grace)

    def _record_end(self, attempt: Attempt) -> None:
        error = self._records.append(attempt.record, attempt.end)
        attempt.record_error = error or attempt.record_error

    def _finish(self, attempt: Attempt) -> None:
        if attempt.pipe_fd in self._pipes:
            self._poller.unregister(attempt.pipe_fd)
            del self._pipes[attempt.pipe_fd]
        attempt.close()
        if not attempt.pid:
            self._record_end(attempt)
        self._attempts.pop(attempt.token, None)
        self._next()
        if not self._attempts:
            self._look_at = NEVER
        # Whose start was not told yet is told of both at once.
        self._tell("end", (*attempt.done, attempt.record_error), self._starts.pop(attempt.token, None))

    def give_up(self) -> None:
        """A bug of ours: say it, and leave nothing behind that nobody watches."""
        import traceback

        self._tell("bug", traceback.format_exc())
        self._send()
        for attempt in self._attempts.values():
            if not attempt.end:
                attempt.send(signal.SIGKILL)
            self._leftovers.end(attempt, signal.SIGKILL)


def _packed(message: Any) -> bytes:
    data = marshal.dumps(message)
    return len(data).to_bytes(_SIZE, "little") + data


def _close_all_but(*kept: int) -> None:
    """Descriptors that whoever started mlorch left open are not for us, nor for steps."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:
                continue  # that of the listing itself


def main(fd: int, oom_source: str) -> None:
    """Serve the socket `fd` until there is nothing left to do, and end the process."""
    _close_all_but(0, 1, 2, fd)
    os.set_inheritable(fd, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD, signal.SIGTERM})
    # An ignored SIGCHLD (inherited) would have the system throw the ends of our children away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    linux.become_subreaper()
    gc.disable()  # nothing here makes circles, and looking for them costs a twentieth of all time
    channel = socket.socket(fileno=fd)
    channel.setblocking(False)
    supervisor = Supervisor(channel, oom_source)
    status = 0
    try:
        supervisor.run()
    except BaseException:  # noqa: BLE001 - whatever it is, the other end hears of it and no step is left unwatched
        supervisor.give_up()
        status = 70
    os._exit(status)
