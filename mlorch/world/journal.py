"""The journal of a partition: one JSON object a line, each with its number and a checksum; only ever appended to.

A line is `{"schema":1,"seq":7,"type":…,"crc":"0a1b2c3d"}`: the checksum is CRC-32 over the bytes before `,"crc"`.
What a crash leaves (a last line that is not whole) is passed over by readers and cut off by the next writer. A bad line that good
ones follow is damage: it stops with `StateError`, since what it said is not known.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
from typing import TYPE_CHECKING, Any
from zlib import crc32

from mlorch.model.errors import StateError
from mlorch.model.events import event, record
from mlorch.world.flushing import MANY, flush_paths
from mlorch.world.layout import RESERVE_BYTES
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlorch.model.events import Event

SCHEMA = 1
_START = b'{"schema":'
_TAIL = len(b',"crc":"01234567"}')
_AT_ONCE = 500
"""Lines that are parsed together."""
_BLOCK = 1 << 20

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode_line(data: dict[str, Any], seq: int) -> bytes:
    """The line of one event's JSON object, newline included."""
    body = f'{{"schema":{SCHEMA},"seq":{seq},{_encode(data)[1:-1]}'.encode("ascii")
    return b'%s,"crc":"%08x"}\n' % (body, crc32(body))


def is_whole(line: bytes) -> bool:
    """Whether a line (without its newline) has a matching checksum."""
    body = line[:-_TAIL]
    return bool(body) and line[-_TAIL:] == b',"crc":"%08x"}' % crc32(body)


class Scan:
    """What a journal's bytes hold: the whole lines, how many bytes they take, and what is wrong with the rest.

    `bad` is the number (from 1) of the first line that is damaged although good ones follow or none precedes it; 0 for none.
    """

    __slots__ = ("bad", "lines", "size", "torn")

    def __init__(self, data: bytes) -> None:
        lines = data.split(b"\n")
        tail = lines.pop()
        good = 0
        for line in lines:
            if not is_whole(line):
                break
            good += 1
        rest = lines[good:]
        self.lines = lines[:good]
        self.size = sum(map(len, self.lines)) + good
        self.torn = data[self.size :]
        self.bad = 0
        if any(map(is_whole, rest)) or (not good and self.torn and not _could_be_ours(rest, tail)):
            self.bad = good + 1


def _could_be_ours(rest: list[bytes], tail: bytes) -> bool:
    """Whether a file without any whole line is a first append cut off, and not some other file."""
    first = rest[0] if rest else tail
    begin = first[: len(_START)].partition(b"\0")[0]
    if _START.startswith(begin) and begin:
        return True
    return not any(line.strip(b"\0") for line in (*rest, tail))  # a file made longer whose bytes never reached the disk


class FileJournal:
    """The `Journal` port on a file. `reserve` is a file kept on disk, given up when the disk is full ("" for none).

    `mended` says what `open` had to cut, for people; "" if nothing.
    """

    def __init__(self, path: str, *, reserve: str = "") -> None:
        self.path = path
        self.mended = ""
        self._reserve = reserve
        self._fd = -1
        self._seq = 0
        self._size = 0
        self._broken = ""
        self._new_names = False

    def read(self) -> tuple[Event, ...]:
        """All whole events, oldest first; takes no lock and repairs nothing. Raises `StateError` on damage."""
        scan = Scan(self._bytes())
        if scan.bad:  # a writer may have taken back a failed write while we read: only what stays is damage
            scan = Scan(self._bytes())
        return self._events(scan)

    def open(self) -> tuple[Event, ...]:
        """For the holder of the lock: cut a torn tail, make ready to append, return all events. Raises `StateError`."""
        self.close()
        self.mended = ""
        scan = Scan(self._bytes())
        events = self._events(scan)
        self._seq = len(scan.lines)
        self._size = scan.size
        self._broken = ""
        if scan.torn:
            self._cut(scan)
        return events

    def append(self, events: Iterable[Event]) -> None:
        """Hand the events to the system in one write: all of them, or none and a `StateError`."""
        self.check_usable()
        seq = self._seq
        lines = []
        for item in events:
            seq += 1
            lines.append(encode_line(record(item), seq))
        if not lines:
            return
        if self._fd < 0:
            self._create()
        data = b"".join(lines)
        try:
            written = self._write(data)
            while written < len(data):  # the system takes less than all just before it says why
                written += self._write(data[written:])
        except OSError as error:
            self._take_back(error)
            raise state_error(error, self.path, "write") from error
        except BaseException as error:
            self._take_back(error)  # a signal handler raised between two writes
            raise
        self._seq = seq
        self._size += len(data)

    def flush(self) -> None:
        """Make what was appended durable. A flush that failed is final: a second one might lie. Raises `StateError`."""
        self.check_usable()
        if self._fd < 0:
            return
        try:
            os.fdatasync(self._fd)
            if self._new_names:
                self._flush_names()
                self._new_names = False
        except OSError as error:
            self._broken = f"an earlier flush of {self.path} failed ({error.strerror})"
            raise state_error(error, self.path, "flush") from error

    def names(self) -> list[str]:
        """What is to be flushed with it: the file, and while its name is new the folders up to the state folder (three levels)."""
        above = [self.path]
        for _ in range(4 if self._new_names else 0):
            above.append(os.path.dirname(above[-1]))
        return above

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _write(self, data: bytes) -> int:
        """One call of the system; a place of its own so that a test can play a full disk."""
        return os.write(self._fd, data)

    def check_usable(self) -> None:
        """Raises `StateError` after a failure that leaves open what the disk holds."""
        if self._broken:
            raise StateError(
                self._broken,
                "what the disk holds is not known: look at `dmesg` and `df -h`, then run the command again",
            )

    def _bytes(self) -> bytes:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise state_error(error, self.path, "read") from error
        try:
            size = os.fstat(fd).st_size
            parts = []
            while block := os.read(fd, max(size, _BLOCK)):
                parts.append(block)
            return b"".join(parts)
        except OSError as error:
            raise state_error(error, self.path, "read") from error
        finally:
            os.close(fd)

    def _events(self, scan: Scan) -> tuple[Event, ...]:
        if scan.bad:
            raise self._damage(scan.bad, "cannot be read")
        if not scan.lines:
            return ()
        collecting = gc.isenabled()
        gc.disable()  # nothing becomes garbage here, and looking for it would take as long as the parsing
        try:
            return self._decode(scan.lines)
        finally:
            if collecting:
                gc.enable()

    def _decode(self, lines: list[bytes]) -> tuple[Event, ...]:
        events: list[Event] = []
        for start in range(0, len(lines), _AT_ONCE):
            # One parse of one array takes half the time of one parse a line; of all lines at once it would take much memory.
            for data in json.loads(b"[" + b",".join(lines[start : start + _AT_ONCE]) + b"]"):
                events.append(self._event(data, len(events) + 1))
        return tuple(events)

    def _event(self, data: dict[str, Any], number: int) -> Event:
        if data.get("seq") != number:
            raise self._damage(
                number, f"should have number {number} and has {data.get('seq')}: lines are missing or repeated"
            )
        if data.get("schema") != SCHEMA:
            raise StateError(
                f"{self.path}, line {number}: written in schema {data.get('schema')} by a newer mlorch (this one knows {SCHEMA})",
                "upgrade mlorch",
            )
        try:
            return event(data)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damage(number, f"has not the shape of its type ({error!r})") from error

    def _damage(self, number: int, what: str) -> StateError:
        return StateError(
            f"{self.path} is damaged: line {number} {what}",
            "`mlorch doctor --repair` keeps a copy and goes on; what the damage covers counts as not done",
        )

    def _cut(self, scan: Scan) -> None:
        """Cut off what a crash left; whole lines among it (a checksum that does not match) are kept beside, as evidence."""
        kept = ""
        try:
            if b"\n" in scan.torn:
                kept = f"{self.path}.torn"
                fd = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                try:
                    os.write(fd, scan.torn)
                    os.fsync(fd)
                finally:
                    os.close(fd)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.ftruncate(self._fd, scan.size)
            os.fdatasync(self._fd)
        except OSError as error:
            raise state_error(error, self.path, "mend") from error
        self.mended = (
            f"{self.path}: cut {len(scan.torn)} bytes of a record that was not whole (after line {len(scan.lines)})"
            + (f"; kept in {kept}" if kept else "")
        )

    def _create(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        try:
            try:
                self._fd = os.open(self.path, flags)
            except FileNotFoundError:
                if not os.path.isdir(folder := os.path.dirname(self.path)):
                    os.makedirs(folder, 0o700, exist_ok=True)
                self._fd = os.open(self.path, flags | os.O_CREAT, 0o600)
                self._new_names = True
        except OSError as error:
            raise state_error(error, self.path, "open") from error
        self._keep_reserve()

    def flushed(self, error: StateError | None) -> None:
        """Somebody else flushed `names`, or could not."""
        if error is None:
            self._new_names = False
        else:
            self._broken = f"an earlier flush of {self.path} failed ({error.message})"

    def _flush_names(self) -> None:
        for folder in self.names()[1:]:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _take_back(self, error: BaseException) -> None:
        """After a write that failed: leave no half line behind, and give the reserve to the records that follow."""
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and self._reserve:
            with contextlib.suppress(OSError):
                os.unlink(self._reserve)
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as second:
            self._broken = f"{self.path} may end in half a line, which could not be taken back ({second.strerror})"

    def _keep_reserve(self) -> None:
        """See that the reserve is there. That it cannot be made is no error: the records before it still fit."""
        if not self._reserve:
            return
        with contextlib.suppress(OSError):
            if not os.path.exists(self._reserve):
                make_reserve(self._reserve)


def flush_journals(journals: Sequence[FileJournal]) -> None:
    """As `flush` of each; many are flushed together, with their names. Raises `StateError`: none of them is to be used again."""
    if len(journals) < MANY:
        for journal in journals:
            journal.flush()
        return
    for journal in journals:
        journal.check_usable()
    error = None
    try:
        flush_paths(list(dict.fromkeys(name for journal in journals for name in journal.names())), below=False)
    except StateError as failed:
        error = failed
        raise
    finally:
        for journal in journals:
            journal.flushed(error)


def make_reserve(path: str) -> bool:
    """Make the reserve, or make it whole; False if there is no room for it. Raises `OSError` if it cannot be opened."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, RESERVE_BYTES)
    except OSError:
        os.unlink(path)
        return False
    finally:
        os.close(fd)
    return True
