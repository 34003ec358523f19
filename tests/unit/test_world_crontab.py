"""What is done when the `crontab` program says no, or says something else. The real one is called in `tests/e2e/cron`."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from mlorch.model.errors import BusyError, MachineError
from mlorch.world import crontab as module
from mlorch.world.crontab import Crontab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a `crontab` into the PATH that does what a few lines of shell say; its table is `$T`."""

    def make(body: str) -> Path:
        path = tmp_path / "crontab"
        path.write_text(f"#!/bin/sh\nT={tmp_path}/table\n{body}\n", "utf-8")
        path.chmod(0o755)
        return path

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return make


WORKS = 'case "$1" in -l) cat "$T" 2>/dev/null || { echo "no crontab for dana" >&2; exit 1; };; -r) rm "$T";; -) cat > "$T";; esac'


def test_written_and_read(program: Callable[[str], Path]) -> None:
    program(WORKS)
    crontab = Crontab()
    assert crontab.read() == ""
    text = "# \udcff é\n0 5 * * * x\n"
    crontab.write(text)
    assert crontab.read() == text
    crontab.write("")
    assert crontab.read() == ""


def test_what_could_not_be_read_is_never_taken_for_empty(program: Callable[[str], Path]) -> None:
    program('echo "You (dana) are not allowed to use this program (crontab)" >&2; exit 1')
    with pytest.raises(MachineError, match="not allowed to use"):
        Crontab().read()
    program("exit 3")
    with pytest.raises(MachineError, match="crontab ended with 3"):
        Crontab().read()


def test_a_table_that_is_refused_is_told(program: Callable[[str], Path]) -> None:
    program('echo "bad minute" >&2; exit 1')
    with pytest.raises(MachineError, match="could not be changed: bad minute"):
        Crontab("dana").write("x\n")


def test_somebody_else_wrote_at_the_same_time(program: Callable[[str], Path]) -> None:
    program('case "$1" in -l) echo theirs;; esac')
    with pytest.raises(MachineError, match="at the same time"):
        Crontab().write("ours\n")


def test_one_mlorch_at_a_time(program: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(WORKS)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(BusyError), Crontab().held():
        pass
    os.close(descriptor)
    with Crontab().held():
        pass


def test_the_user_is_named_to_the_program(program: Callable[[str], Path], tmp_path: Path) -> None:
    program('echo "$@" >> "$T.log"; exit 0')
    Crontab("dana").read()
    assert (tmp_path / "table.log").read_text("utf-8") == "-u dana -l\n"


def test_an_escaped_carriage_return_is_asked_for_again(program: Callable[[str], Path]) -> None:
    program(r"""case "$1" in -l) printf 'a\\r \\r\n';; -e) printf 'a\r \\r\n';; esac""")
    assert Crontab().read() == "a\r \\r\n"
    program(r"""case "$1" in -l) printf 'a\\r\n';; -e) exit 1;; esac""")
    assert Crontab().read() == "a\\r\n"
    program(r"""case "$1" in -l) printf 'a\\r\n';; -e) echo something else;; esac""")
    assert Crontab().read() == "a\\r\n"


def test_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MachineError, match="no `crontab` program") as caught:
        Crontab()
    assert "apt-get install cron" in caught.value.hint
