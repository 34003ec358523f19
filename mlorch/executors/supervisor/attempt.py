"""One attempt while the supervisor watches it."""

from __future__ import annotations

import os
import time

from mlorch.executors.supervisor.light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage

    from mlorch.executors.supervisor.logs import LogGuard
    from mlorch.executors.supervisor.masking import Masker

NEVER = float("inf")
_SHELL_KILLED = 128 + signal.SIGKILL
_PIPE_READS = 64
_PIPE_CHUNK = 1 << 16

_second = 0
_second_text = ""


def stamp() -> str:
    """The time of day: ISO 8601 UTC with milliseconds."""
    global _second, _second_text  # noqa: PLW0603 - a calendar computed once a second, not once an event
    now = time.time()
    second = int(now)
    if second != _second:
        _second = second
        _second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_second_text}.{int((now - second) * 1000):03d}Z"


def quoted(text: str) -> str:
    """The JSON of a text, in ASCII."""
    # Nearly all that we write is plain, and without `json` (with `re` and `enum`) the supervisor starts in half the time.
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    import json

    return json.dumps(text)


class Attempt:
    """Its process, its bounds, and how it ended. Times are those of the monotonic clock, `NEVER` for none."""

    __slots__ = (
        "baseline",
        "began",
        "began_at",
        "done",
        "end",
        "grace",
        "guard",
        "heartbeat",
        "hopeless_at",
        "kill_at",
        "lends",
        "lingers",
        "log_fd",
        "marks",
        "masker",
        "pid",
        "pipe_fd",
        "quiet_since",
        "quoted_token",
        "reason",
        "record",
        "record_error",
        "start_ticks",
        "term_at",
        "termed",
        "termed_group",
        "timeout_at",
        "token",
    )

    def __init__(self, token: str, record: str) -> None:
        self.token = token
        self.quoted_token = quoted(token)
        self.record = record
        self.record_error = ""
        self.pid = self.start_ticks = 0
        self.began = self.quiet_since = 0.0
        self.began_at = ""
        self.marks: list[bytes] = []
        self.lends: list[int] = []
        self.log_fd = -1
        self.pipe_fd = -1
        self.guard: LogGuard | None = None
        self.masker: Masker | None = None
        self.grace = 0.0
        self.heartbeat = NEVER
        self.timeout_at = self.term_at = self.kill_at = self.hopeless_at = NEVER
        # Why we end it ("": we do not), and whether its processes (its whole group) were told.
        self.reason = ""
        self.termed = self.termed_group = False
        # Whether its command is over while something that it left behind still lives.
        self.lingers = False
        self.baseline = 0
        # How it ended: the line of its record, and the same for the other end (the fields of `AttemptDone`, but for the last).
        self.end = b""
        self.done: tuple[object, ...] = ()

    def begin(self) -> None:
        """Its turn has come: its time counts from now."""
        self.began = self.quiet_since = time.monotonic()
        self.began_at = stamp()

    @property
    def due(self) -> float:
        """When something has to be done about it next, the log apart."""
        return min(self.timeout_at, self.term_at, self.kill_at, self.quiet_since + self.heartbeat)

    def send(self, number: int) -> None:
        """Signal the group that the command leads; for its process only while nobody has waited for that."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def ended(self, status: int, usage: struct_rusage, *, out_of_memory: bool) -> None:
        """Note how the process ended. `status` is that of `wait`."""
        code = os.waitstatus_to_exitcode(status)
        killed = code in (-signal.SIGKILL, _SHELL_KILLED)
        if self.reason:
            cause = self.reason
        elif killed and out_of_memory:
            cause = "oom"
        else:
            cause = "exit" if code >= 0 else "signal"
        exit_code, name = (code, "") if code >= 0 else (None, _signal_name(-code))
        at, took = stamp(), round(time.monotonic() - self.began, 6)
        rss, cpu = usage.ru_maxrss * 1024, round(usage.ru_utime + usage.ru_stime, 6)
        self.done = (self.token, cause, exit_code, name, "", 0, self.began_at, at, took, rss, cpu)
        self.end = (
            f'{{"type":"end","token":{self.quoted_token},"cause":"{cause}","exit_code":{"null" if exit_code is None else exit_code},'
            f'"signal":"{name}","started_at":"{self.began_at}","ended_at":"{at}","duration_s":{took:.6f},'
            f'"peak_rss_bytes":{rss},"cpu_s":{cpu:.6f}}}\n'
        ).encode("ascii")

    def not_started(self, text: str, code: int) -> None:
        """Note that the command could not be started, and why."""
        at = stamp()
        self.done = (self.token, "spawn", None, "", text, code, self.began_at, at, 0.0, 0, 0.0)
        self.end = (
            f'{{"type":"end","token":{self.quoted_token},"cause":"spawn","spawn_error":{quoted(text)},"errno":{code},'
            f'"started_at":"{self.began_at}","ended_at":"{at}"}}\n'
        ).encode("ascii")

    def withdrawn(self) -> None:
        """Note that it was cancelled while it waited for its turn."""
        at = stamp()
        self.done = (self.token, "cancelled", None, "SIGTERM", "", 0, at, at, 0.0, 0, 0.0)
        self.end = (
            f'{{"type":"end","token":{self.quoted_token},"cause":"cancelled","signal":"SIGTERM","started_at":"{at}","ended_at":"{at}"}}\n'
        ).encode("ascii")

    def pump(self) -> bool:
        """Move what the step wrote into its log, masked. False when nobody can write any more.

        Takes a bounded number of pieces, so that one loud step cannot keep us from the others.
        """
        if self.masker is None:
            return False
        for _ in range(_PIPE_READS):
            try:
                data = os.read(self.pipe_fd, _PIPE_CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._write(self.masker.feed(data))
        return True

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.log_fd, view) :]
        except OSError as error:
            # The pipe must be emptied all the same, or the step would stand still.
            self.record_error = self.record_error or f"log: {os.strerror(error.errno or 0)}"

    def close(self) -> None:
        """After its last process: bring the log into shape, give everything back."""
        if self.masker is not None:
            self.pump()
            self._write(self.masker.flush())
        if self.guard is not None:
            try:
                self.guard.finish()
            except OSError as error:
                self.record_error = self.record_error or f"log: {os.strerror(error.errno or 0)}"
        for fd in (self.log_fd, self.pipe_fd, *self.lends):
            if fd >= 0:
                os.close(fd)
        self.log_fd = self.pipe_fd = -1
        self.lends = []


def _signal_name(number: int) -> str:
    from signal import Signals

    try:
        return Signals(number).name
    except ValueError:
        return f"SIG{number}"  # real-time signals have no names
