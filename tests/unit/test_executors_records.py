"""Records: whole lines count, torn ones do not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from mlorch.executors.records import StartRecord, read_records
from mlorch.executors.supervisor.records import Records
from mlorch.model.attempt import AttemptDone

if TYPE_CHECKING:
    from pathlib import Path

START = {
    "type": "start",
    "token": "r/s/1",
    "pid": 7,
    "start_ticks": 8,
    "boot_id": "b",
    "at": "2026-01-01T00:00:00.000Z",
    "supervisor_pid": 5,
    "supervisor_ticks": 6,
    "marks": ["MLORCH_RUN_ID=r"],
}
END = {"type": "end", "token": "r/s/1", "cause": "exit", "exit_code": 0, "signal": "", "duration_s": 0.5}


def lines(*data: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in data)


def test_no_file(tmp_path: Path) -> None:
    assert read_records(str(tmp_path / "none")) == {}


def test_a_folder_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_records(str(tmp_path))


def test_start_and_end(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(lines(START, END))
    start, end = read_records(str(path))["r/s/1"]
    assert start == StartRecord("r/s/1", 7, 8, "b", "2026-01-01T00:00:00.000Z", 5, 6, ("MLORCH_RUN_ID=r",))
    assert end == AttemptDone("r/s/1", "exit", exit_code=0, duration_s=0.5)


def test_cut_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    whole = lines(START, END)
    first = len(lines(START))
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = read_records(str(path))
        assert ("r/s/1" in found) == (cut >= first - 1)
        if found:
            start, end = found["r/s/1"]
            assert start is not None
            assert (end is not None) == (cut >= len(whole) - 1)


@pytest.mark.parametrize(
    "bad", [b"\xff\xfe", b"[1]", b"null", b'"x"', b'{"token": "t", "type": "start"}', b'{"type": "end"}', b"\0" * 9]
)
def test_a_bad_line_hides_no_other(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(lines(START) + bad + b"\n" + lines(END))
    assert all(read_records(str(path))["r/s/1"])


def test_what_waited_is_written_when_it_can_be(tmp_path: Path) -> None:
    records = Records()
    folder = tmp_path / "later"
    path = str(folder / "records.jsonl")
    assert "No such file" in records.append(path, b"one\n")
    assert "No such file" in records.append(path, b"two\n")
    folder.mkdir()
    records.retry()
    assert records.append(path, b"three\n") == ""
    assert (folder / "records.jsonl").read_bytes() == b"one\ntwo\nthree\n"
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_many_files(tmp_path: Path) -> None:
    records = Records()
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(2):
        for number in range(100):
            assert records.append(str(tmp_path / f"{number}.jsonl"), f"{turn}\n".encode()) == ""
    assert {(tmp_path / f"{number}.jsonl").read_bytes() for number in range(100)} == {b"0\n1\n"}
    assert len(os.listdir("/proc/self/fd")) - before == 64
