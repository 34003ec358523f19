from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlorch.model.spec import Secret
from mlorch.world.secrets import LONGEST, resolve

if TYPE_CHECKING:
    from pathlib import Path

LONG = "s3cret-value"


def one(tmp_path: Path, source: str, value: str, **env: str) -> tuple[str | None, str]:
    found = resolve([Secret("TOKEN", source, value)], {"PATH": os.environ["PATH"], **env}, str(tmp_path), timeout=20)
    return found.values.get("TOKEN"), "; ".join(text for _, text in found.problems)


def test_from_a_variable(tmp_path: Path) -> None:
    assert one(tmp_path, "env", "THEIRS", THEIRS=LONG) == (LONG, "")


def test_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(LONG.encode() + b"\r\n")
    assert one(tmp_path, "file", "token") == (LONG, "")
    assert one(tmp_path, "file", str(tmp_path / "token")) == (LONG, "")


def test_from_a_command_that_runs_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(LONG + "\n")
    assert one(tmp_path, "command", "cat token") == (LONG, "")


@pytest.mark.parametrize(
    ("source", "value", "problem"),
    [
        ("env", "GONE", "not set"),
        ("env", "EMPTY", "is empty"),
        ("env", "SHORT", "shorter than 6"),
        ("file", "gone", "No such file"),
        ("file", ".", "Is a directory"),
        ("file", "binary", "not UTF-8"),
        ("file", "large", "longer than"),
        ("command", "echo s3cret-value; exit 3", "exited with 3"),
        ("command", "kill -9 $$", "signal 9"),
        ("command", "true", "shorter than 6"),
        ("command", "printf 'abc\\0defgh'", "NUL"),
    ],
)
def test_what_is_wrong_is_said_without_the_value(tmp_path: Path, source: str, value: str, problem: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd\xfc\xfb\xfa\xf9")
    (tmp_path / "large").write_bytes(b"x" * (LONGEST + 1))
    found, text = one(tmp_path, source, value, EMPTY="", SHORT="tiny7")
    assert found is None
    assert problem in text
    assert LONG not in text and "tiny7" not in text


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    found = resolve(
        [Secret("TOKEN", "command", "sleep 600 & sleep 600")], dict(os.environ), str(tmp_path), timeout=0.05
    )
    assert "took longer" in found.problems[0][1]


def test_all_problems_come_at_once_and_only_of_what_is_wanted(tmp_path: Path) -> None:
    secrets = [Secret("A", "env", "NO_A"), Secret("B", "env", "NO_B"), Secret("C", "env", "NO_C")]
    assert [name for name, _ in resolve(secrets, {}, str(tmp_path)).problems] == ["A", "B", "C"]
    found = resolve(secrets, {}, str(tmp_path), wanted=["B"])
    assert [name for name, _ in found.problems] == ["B"]
    assert found.hidden == {"NO_A", "NO_B", "NO_C"}


def test_no_value_is_shown_by_accident(tmp_path: Path) -> None:
    assert LONG not in repr(resolve([Secret("A", "env", "X")], {"X": LONG}, str(tmp_path)))
