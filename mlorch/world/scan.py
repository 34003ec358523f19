"""Reading a journal that may be damaged, or too large for the memory: line by line, telling good ones from bad.

Takes no lock and changes nothing. `rewrite` makes a journal of what is left.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

from mlorch.model.errors import StateError
from mlorch.model.events import event
from mlorch.world.journal import SCHEMA, encode_line, is_whole
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from mlorch.model.events import Event

LONGEST = 256 * 1024 * 1024
"""Bytes of a line that are read at most; no event comes near it, and a file without line ends must not fill the memory."""

_HEAD = b'{"schema":%d,"seq":' % SCHEMA
_BEGIN = b'{"schema":'
_TAIL = len(b',"crc":"01234567"}')


@dataclass(frozen=True, slots=True)
class Good:
    """A line that can be believed. `number` counts from 1; `data` is without its newline."""

    number: int
    data: bytes
    event: Event


@dataclass(slots=True)
class Damage:
    """Lines that are bad or missing, before a good line or in place of a whole journal.

    `line` is the number of the first bad line (of the next good one when lines are only missing), `bad` how many there are,
    `lost` how many events are missing by the numbers of their neighbours, `what` is for people.
    """

    line: int
    bad: int
    lost: int
    what: str


@dataclass(slots=True)
class Survey:
    """Filled in while the lines are read: what was wrong, and what a crash left at the end (`torn` bytes from `sound` on)."""

    damages: list[Damage] = field(default_factory=list)
    lines: int = 0
    sound: int = 0
    torn: int = 0


def believed(path: str, survey: Survey) -> Iterator[Good | Damage]:
    """The good lines of the journal at `path` with the damages between them, in order; nothing if there is no file.

    Holds one line at a time. Raises `StateError`: not readable, or written in a newer schema.
    """
    try:
        with open(path, "rb") as file:
            yield from _judged(path, file, survey)
    except FileNotFoundError:
        return
    except OSError as error:
        raise state_error(error, path, "read") from error


def _judged(path: str, file: BinaryIO, survey: Survey) -> Iterator[Good | Damage]:
    last = number = offset = 0
    waiting: Damage | None = None
    crash_only = zeros = True
    ours = False
    for data, length, ended in _pieces(file):
        number += 1
        offset += length
        found = _good(path, data, number) if ended else "is not whole"
        if isinstance(found, str):
            crash_only = crash_only and not is_whole(data)
            ours = ours or (number == 1 and bool(data) and _BEGIN.startswith(data[: len(_BEGIN)]))
            zeros = zeros and not data.strip(b"\0")
            waiting = waiting or Damage(number, 0, 0, f"line {number} {found}")
            waiting.bad += 1
            continue
        seq, good = found
        if seq <= last:
            crash_only = False
            waiting = waiting or Damage(number, 0, 0, f"line {number} repeats number {seq}")
            waiting.bad += 1
            continue
        if waiting is not None or seq != last + 1:
            damage = waiting or Damage(number, 0, 0, f"{seq - last - 1} lines are missing before line {number}")
            damage.lost = seq - last - 1
            survey.damages.append(damage)
            yield damage
        waiting, crash_only = None, True
        last = seq
        survey.lines += 1
        survey.sound = offset
        yield good
    if waiting is None:
        return
    if crash_only and (last or ours or zeros):  # the end of a write that was cut off
        survey.torn = offset - survey.sound
        return
    waiting.lost = waiting.bad
    survey.damages.append(waiting)
    yield waiting


def _pieces(file: BinaryIO) -> Iterator[tuple[bytes, int, bool]]:
    """Each line without its newline, the bytes it takes, and whether it had one; of a line that is too long the beginning."""
    while data := file.readline(LONGEST):
        if data.endswith(b"\n"):
            yield data[:-1], len(data), True
            continue
        length = len(data)
        while more := file.readline(LONGEST):
            length += len(more)
            if more.endswith(b"\n"):
                break
        yield data, length, False


def _good(path: str, data: bytes, number: int) -> tuple[int, Good] | str:
    """The number and the event of a line, or what is wrong with it."""
    if not is_whole(data):
        return "cannot be read (its checksum does not match)"
    try:
        found = json.loads(data)
        schema, seq = found["schema"], found["seq"]
    except (ValueError, KeyError, TypeError):
        return "is no event"
    if schema != SCHEMA:
        raise StateError(
            f"{path}, line {number}: written in schema {schema} by a newer mlorch (this one knows {SCHEMA})",
            "upgrade mlorch",
        )
    try:
        return int(seq), Good(number, data, event(found))
    except (KeyError, TypeError, ValueError) as error:
        return f"has not the shape of its type ({error!r})"


def renumbered(data: bytes, seq: int) -> bytes:
    """The line of a good line under another number, newline included; keys that we do not know are kept."""
    comma = data.find(b",", len(_HEAD))
    if data.startswith(_HEAD) and data[len(_HEAD) : comma].isdigit():
        body = b"%s%d%s" % (_HEAD, seq, data[comma:-_TAIL])
        return b'%s,"crc":"%08x"}\n' % (body, crc32(body))
    found = json.loads(data)
    for name in ("schema", "seq", "crc"):
        found.pop(name, None)
    return encode_line(found, seq)


def rewrite(path: str, lines: Iterable[bytes], *, keep_as: str = "") -> None:
    """Put a journal of `lines` in place of the one at `path`; a reader meets the old one or the new one, whole.

    For the holder of the lock. The old file stays as `keep_as` unless that is "". Raises `StateError`; nothing has changed then.
    """
    new = f"{path}.new"
    try:
        with open(new, "wb", opener=_private) as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        if keep_as:
            _keep(path, keep_as)
        os.rename(new, path)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise state_error(error, path, "rewrite") from error


def keep_torn(path: str, sound: int) -> None:
    """Add what stands after the first `sound` bytes to `PATH.torn`, as evidence, before it is cut off. Raises `StateError`."""
    try:
        with open(path, "rb") as file, open(f"{path}.torn", "ab", opener=_private) as kept:
            file.seek(sound)
            while block := file.read(1 << 20):
                kept.write(block)
            kept.flush()
            os.fsync(kept.fileno())
    except OSError as error:
        raise state_error(error, path, "copy the end of") from error


def cut(path: str, sound: int) -> None:
    """Cut off what stands after the first `sound` bytes. For the holder of the lock. Raises `StateError`."""
    try:
        with open(path, "rb+") as file:
            file.truncate(sound)
            os.fsync(file.fileno())
    except OSError as error:
        raise state_error(error, path, "mend") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _keep(path: str, name: str) -> None:
    """A second name for the file: no room is needed for it, and nobody writes to it any more."""
    try:
        os.link(path, name)
    except OSError:
        import shutil

        shutil.copy2(path, name)
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable. Raises `OSError`."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
