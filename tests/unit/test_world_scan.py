"""Journals line by line: what is believed, what is damage, and what a crash left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlorch.model.errors import StateError
from mlorch.model.events import RunLost, RunStarted, record
from mlorch.world.journal import FileJournal, encode_line
from mlorch.world.scan import Damage, Good, Survey, believed, cut, keep_torn, renumbered, rewrite

if TYPE_CHECKING:
    from pathlib import Path

AT = "2026-01-05T12:00:00.000Z"


def lines(count: int, first: int = 1) -> list[bytes]:
    return [encode_line(record(RunLost(f"r{seq}", AT)), seq) for seq in range(first, first + count)]


def judged(path: Path, data: bytes) -> tuple[list[int | str], Survey]:
    """The numbers of good lines, and what stands between them."""
    path.write_bytes(data)
    survey = Survey()
    found: list[int | str] = [
        item.number if isinstance(item, Good) else f"line {item.line}: {item.bad} bad, {item.lost} lost"
        for item in believed(str(path), survey)
    ]
    return found, survey


def test_sound(tmp_path: Path) -> None:
    found, survey = judged(tmp_path / "j", b"".join(lines(3)))
    assert (found, survey.damages, survey.torn, survey.lines) == ([1, 2, 3], [], 0, 3)


def test_no_file(tmp_path: Path) -> None:
    assert list(believed(str(tmp_path / "none"), Survey())) == []


def test_a_changed_byte(tmp_path: Path) -> None:
    given = lines(4)
    given[1] = given[1].replace(b"r2", b"rX")
    assert judged(tmp_path / "j", b"".join(given))[0] == [1, "line 2: 1 bad, 1 lost", 3, 4]


def test_lines_missing(tmp_path: Path) -> None:
    given = lines(5)
    assert judged(tmp_path / "j", b"".join(given[:1] + given[3:]))[0] == [1, "line 2: 0 bad, 2 lost", 2, 3]


def test_lines_repeated(tmp_path: Path) -> None:
    given = lines(3)
    found, _ = judged(tmp_path / "j", b"".join([*given[:2], given[1], given[2]]))
    assert found == [1, 2, "line 3: 1 bad, 0 lost", 4]


def test_repeated_at_the_end_is_no_trace_of_a_crash(tmp_path: Path) -> None:
    given = lines(2)
    found, survey = judged(tmp_path / "j", b"".join([*given, given[0]]))
    assert found == [1, 2, "line 3: 1 bad, 1 lost"]
    assert survey.torn == 0


def test_two_damages(tmp_path: Path) -> None:
    given = lines(5)
    given[1] = b"x\n"
    given[3] = b"\0\0\n"
    found, _ = judged(tmp_path / "j", b"".join(given))
    assert found == [1, "line 2: 1 bad, 1 lost", 3, "line 4: 1 bad, 1 lost", 5]


@pytest.mark.parametrize("tail", [b'{"schema":1,"se', b"\0" * 50, b"x\ny\n"])
def test_torn_after_good_lines(tmp_path: Path, tail: bytes) -> None:
    whole = b"".join(lines(2))
    found, survey = judged(tmp_path / "j", whole + tail)
    assert (found, survey.torn, survey.sound) == ([1, 2], len(tail), len(whole))


@pytest.mark.parametrize(("data", "torn"), [(b'{"sch', True), (b"\0\0", True), (b"hello\n", False), (b"hello", False)])
def test_without_a_good_line(tmp_path: Path, data: bytes, torn: bool) -> None:
    """As `FileJournal` judges it: a first write cut off, or some other file."""
    _, survey = judged(tmp_path / "j", data)
    assert bool(survey.torn) == torn
    assert bool(survey.damages) != torn
    journal = FileJournal(str(tmp_path / "j"))
    if torn:
        assert journal.read() == ()
    else:
        with pytest.raises(StateError):
            journal.read()


def test_a_good_checksum_over_nonsense(tmp_path: Path) -> None:
    nonsense = encode_line({"type": "run_lost"}, 2)
    found, survey = judged(tmp_path / "j", b"".join([*lines(1), nonsense, *lines(1, 3)]))
    assert found == [1, "line 2: 1 bad, 1 lost", 3]
    assert "shape" in survey.damages[0].what


def test_a_newer_schema_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "j"
    from zlib import crc32

    body = b'{"schema":2,"seq":1,"type":"run_lost"'
    path.write_bytes(b'%s,"crc":"%08x"}\n' % (body, crc32(body)))
    with pytest.raises(StateError, match="newer") as caught:
        list(believed(str(path), Survey()))
    assert caught.value.hint == "upgrade mlorch"


def test_a_renumbered_line_says_the_same(tmp_path: Path) -> None:
    event = RunStarted("r", AT, 'p"q', "é,1", (("n", [1]),))
    path = tmp_path / "j"
    path.write_bytes(renumbered(encode_line(record(event), 71)[:-1], 1))
    assert FileJournal(str(path)).read() == (event,)


def test_rewrite_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"old")
    rewrite(str(path), [b"new"], keep_as=f"{path}.damaged")
    assert path.read_bytes() == b"new"
    assert (tmp_path / "j.damaged").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["j", "j.damaged"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", ["fsync", "rename", "link"])
def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    if call == "link":  # a file system without a second name: copied
        rewrite(str(path), [b"new"], keep_as=f"{path}.damaged")
        assert (tmp_path / "j.damaged").read_bytes() == b"old"
        return
    with pytest.raises(StateError, match="rewrite"):
        rewrite(str(path), [b"new"])
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["j"]


def test_what_is_cut_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"good\nto")
    keep_torn(str(path), 5)
    cut(str(path), 5)
    assert path.read_bytes() == b"good\n"
    assert (tmp_path / "j.torn").read_bytes() == b"to"


def test_a_file_without_line_ends_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlorch.world.scan.LONGEST", 1000)
    given = lines(2)
    found, survey = judged(tmp_path / "j", given[0] + b"x" * 5000 + b"\n" + given[1])
    assert found == [1, "line 2: 1 bad, 0 lost", 3]
    assert isinstance(survey.damages[0], Damage)
