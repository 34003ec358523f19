from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlorch.model.errors import ExitCode, StateError
from mlorch.model.events import RunLost
from mlorch.world import journal as journal_module
from mlorch.world.flushing import MANY
from mlorch.world.journal import FileJournal, Scan, encode_line, flush_journals
from mlorch.world.layout import RESERVE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

AT = "2026-01-05T12:00:00.000Z"


def events(count: int, first: int = 0) -> list[RunLost]:
    return [RunLost(f"r{first + number}", AT) for number in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "journal.jsonl"
    journal = FileJournal(str(file))
    journal.open()
    journal.append(events(5))
    journal.flush()
    journal.close()
    return file


def damage(path: Path, line: int, new: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = new
    path.write_bytes(b"".join(lines))


def refused(path: Path) -> StateError:
    before = path.read_bytes() if path.is_file() else b""
    errors = []
    for use in (FileJournal(str(path)).read, FileJournal(str(path)).open):
        with pytest.raises(StateError) as caught:
            use()
        errors.append(caught.value)
    assert errors[0].message == errors[1].message
    assert errors[0].exit_code == ExitCode.STATE
    assert str(path) in errors[0].message
    assert path.read_bytes() == before if path.is_file() else True
    return errors[0]


def test_a_line_is_a_json_object_with_its_number_and_checksum() -> None:
    assert (
        encode_line({"type": "run_lost", "n": 1}, 7)
        == b'{"schema":1,"seq":7,"type":"run_lost","n":1,"crc":"b1c4e868"}\n'
    )


@pytest.mark.parametrize(
    "new", [b"", b"garbage\n", b"\n", b"\0" * 80 + b"\n", b'{"schema":1,"seq":3,"crc":"00000000"}\n']
)
def test_a_bad_line_followed_by_good_ones_stops_and_names_the_repair(path: Path, new: bytes) -> None:
    damage(path, 3, new)
    error = refused(path)
    assert "line 3" in error.message
    assert "doctor --repair" in error.hint


def test_one_flipped_bit_is_noticed(path: Path) -> None:
    good = path.read_bytes()
    damage(path, 2, good.splitlines(keepends=True)[1].replace(b'"r1"', b'"r9"'))
    assert "line 2" in refused(path).message


def test_a_line_that_is_missing_is_noticed(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert "line 3" in refused(path).message
    path.write_bytes(b"".join(lines[1:]))
    assert "line 1" in refused(path).message


def test_a_line_that_stands_twice_is_noticed(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[-1]]))
    assert "line 6" in refused(path).message


def test_a_newer_schema_is_refused_with_its_own_message(path: Path) -> None:
    from zlib import crc32

    body = b'{"schema":2,"seq":6,"type":"run_lost","run_id":"r","at":"t"'
    path.write_bytes(path.read_bytes() + body + b',"crc":"%08x"}\n' % crc32(body))
    assert "newer mlorch" in refused(path).message


def test_an_event_without_its_fields_is_damage(path: Path) -> None:
    with path.open("ab") as file:
        file.write(encode_line({"type": "run_lost"}, 6))
    assert "shape" in refused(path).message


def test_an_event_type_of_a_newer_version_is_passed_over(path: Path) -> None:
    with path.open("ab") as file:
        file.write(encode_line({"type": "moon_landed", "run_id": "r", "at": AT}, 6))
    assert len(FileJournal(str(path)).read()) == 6


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, b"hello\nworld\n", b"{}\n", b"x"])
def test_another_file_in_its_place_is_not_taken_for_a_torn_one(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_bytes(content)
    assert "line 1" in refused(file).message


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    assert "irectory" in refused(tmp_path / "journal.jsonl").message


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b'{"sch', b'{"sch' + b"\0" * 99, b'{"schema":1,"seq":1,"ty'])
def test_what_a_crash_leaves_of_the_first_append_is_mended(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_bytes(content)
    journal = FileJournal(str(file))
    assert journal.read() == ()
    assert file.read_bytes() == content
    assert journal.open() == ()
    assert bool(journal.mended) == bool(content)
    journal.append(events(1))
    assert len(journal.read()) == 1


def test_a_torn_tail_is_cut_only_by_open_and_told(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    journal = FileJournal(str(path))
    assert len(journal.read()) == 4
    assert path.read_bytes() == whole[:-7]
    assert len(journal.open()) == 4
    assert str(path) in journal.mended and "after line 4" in journal.mended
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:4])
    assert len(journal.open()) == 4
    assert journal.mended == ""


def test_a_last_line_with_a_wrong_checksum_is_cut_and_kept_as_evidence(path: Path) -> None:
    damage(path, 5, path.read_bytes().splitlines(keepends=True)[4].replace(b"r4", b"r7"))
    journal = FileJournal(str(path))
    assert len(journal.open()) == 4
    assert b'"r7"' in path.with_name("journal.jsonl.torn").read_bytes()
    assert "journal.jsonl.torn" in journal.mended


class FullDisk(FileJournal):
    """Takes `room` more bytes, then says that the disk is full, for as long as the reserve is there."""

    room = 0

    def _write(self, data: bytes) -> int:
        if len(data) > self.room and os.path.exists(self._reserve):
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.room]
            self.room = 0
        return super()._write(data)


@pytest.mark.parametrize("room", [0, 1, 60, 200])
def test_on_a_full_disk_nothing_half_stays_and_the_last_record_fits(tmp_path: Path, room: int) -> None:
    journal = FullDisk(str(tmp_path / "j"), reserve=str(tmp_path / "reserve"))
    journal.room = 10**6
    journal.open()
    journal.append(events(2))
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES
    journal.room = room
    with pytest.raises(StateError, match=r"cannot write .*No space left") as caught:
        journal.append(events(3, first=2))
    assert "df -h" in caught.value.hint
    assert journal.read() == tuple(events(2))
    assert not Scan((tmp_path / "j").read_bytes()).torn
    journal.append([RunLost("last", AT)])  # the reserve was given up for it
    journal.flush()
    assert FileJournal(str(tmp_path / "j")).read() == (*events(2), RunLost("last", AT))


LIMITED = """
import resource, sys
from mlorch.model.errors import StateError
from mlorch.model.events import RunLost
from mlorch.world.journal import FileJournal
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
journal = FileJournal(sys.argv[1])
journal.open()
done = 0
try:
    while True:
        journal.append([RunLost(f"r{done}", "t")])
        done += 1
except StateError as error:
    print(done, "ulimit" in error.hint)
"""


def test_a_write_that_the_system_cuts_short_leaves_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(file)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    count = int(done.stdout.split()[0])
    assert done.stdout.split()[1] == "True"
    assert count > 3
    scan = Scan(file.read_bytes())
    assert (len(scan.lines), scan.torn) == (count, b"")


def test_a_flush_that_failed_is_final(tmp_path: Path) -> None:
    journal = FileJournal(str(tmp_path / "j"))
    journal.open()
    journal.append(events(1))
    reading, writing = os.pipe()
    os.dup2(writing, journal._fd)  # a pipe cannot be flushed
    with pytest.raises(StateError, match="cannot flush"):
        journal.flush()
    for use in (journal.flush, lambda: journal.append(events(1))):
        with pytest.raises(StateError, match="earlier flush"):
            use()
    journal.close()
    os.close(reading)
    os.close(writing)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = FileJournal(str(tmp_path / "file/p/journal.jsonl"))
    with pytest.raises(StateError, match=r"file/p"):
        journal.open()


@pytest.fixture
def interruptible() -> Iterator[None]:
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell begins without it
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_handler_that_raises_leaves_whole_lines(tmp_path: Path) -> None:
    class Interrupted(FileJournal):
        def _write(self, data: bytes) -> int:
            super()._write(data[: len(data) // 2])
            signal.raise_signal(signal.SIGINT)
            raise AssertionError

    journal = Interrupted(str(tmp_path / "j"))
    journal.open()
    with pytest.raises(KeyboardInterrupt):
        journal.append(events(3))
    assert (tmp_path / "j").read_bytes() == b""


def test_a_reader_beside_a_writer_sees_whole_events_only(tmp_path: Path) -> None:
    writer, reader = FileJournal(str(tmp_path / "j")), FileJournal(str(tmp_path / "j"))
    writer.open()
    for count in range(1, 20):
        writer.append(events(1, first=count - 1))
        assert reader.read() == tuple(events(count))


def test_what_is_not_json_is_refused_before_it_is_written(tmp_path: Path) -> None:
    journal = FileJournal(str(tmp_path / "j"))
    journal.open()
    journal.append(events(1))
    with pytest.raises(ValueError, match="JSON"):
        journal.append([RunLost("r", float("nan"))])  # type: ignore[arg-type]
    journal.append(events(1, first=1))
    assert journal.read() == tuple(events(2))


def test_many_journals_are_flushed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journals = [FileJournal(str(tmp_path / "state" / "p" / f"k{n}" / "journal.jsonl")) for n in range(MANY)]
    flushed: list[list[str]] = []

    def flush(paths: Sequence[str], *, below: bool) -> None:
        assert not below
        flushed.append(list(paths))

    monkeypatch.setattr(journal_module, "flush_paths", flush)
    for journal in journals:
        journal.open()
        journal.append(events(1))
    flush_journals(journals)
    for journal in journals:
        journal.append(events(1))
    flush_journals(journals)
    first, second = flushed
    # The names of new ones, too, each folder once.
    above = [str(tmp_path / "state" / "p"), str(tmp_path / "state"), str(tmp_path)]
    assert first.count(above[0]) == first.count(above[1]) == first.count(above[2]) == 1
    assert {os.path.dirname(journal.path) for journal in journals} <= set(first)
    assert second == [journal.path for journal in journals]


def test_few_journals_are_flushed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    journals = [FileJournal(str(tmp_path / f"k{n}" / "journal.jsonl")) for n in range(MANY - 1)]
    for journal in journals:
        journal.open()
        journal.append(events(1))
    flush_journals(journals)
    assert len(flushed) == MANY - 1


def test_a_common_flush_that_failed_is_final_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journals = [FileJournal(str(tmp_path / f"k{n}" / "journal.jsonl")) for n in range(MANY)]
    for journal in journals:
        journal.open()
        journal.append(events(1))

    def fail(_paths: Sequence[str], *, below: bool) -> None:
        assert not below
        raise StateError("the disk is gone")

    monkeypatch.setattr(journal_module, "flush_paths", fail)
    with pytest.raises(StateError, match="the disk is gone"):
        flush_journals(journals)
    for journal in journals:
        with pytest.raises(StateError, match="earlier flush"):
            journal.append(events(1))
    with pytest.raises(StateError, match="earlier flush"):
        flush_journals(journals)
