from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest

from mlorch.model.errors import StateError
from mlorch.world.locks import LockFile

if TYPE_CHECKING:
    from pathlib import Path

CHILD = "import sys; print('there', flush=True); sys.stdin.read()"


def child(fd: int | None = None, code: str = CHILD, *args: str) -> subprocess.Popen[str]:
    """A process that has `fd` open and lives until its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=() if fd is None else (fd,),
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert out(process).readline() == "there\n"
    return process


def out(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("")


def is_free(path: Path) -> bool:
    lock = LockFile(str(path))
    free = lock.acquire(wait=0, note="")
    lock.release()
    return free


def test_a_child_that_it_was_lent_to_keeps_it_after_our_release(tmp_path: Path) -> None:
    lock = LockFile(str(tmp_path / "lock"))
    lock.acquire(wait=0, note="")
    process = child(lock.fileno())
    lock.release()
    assert not is_free(tmp_path / "lock")
    end(process)
    assert is_free(tmp_path / "lock")


def test_an_explicit_unlock_would_take_it_from_the_child(tmp_path: Path) -> None:
    """What `release` must never do; if this fails, the system has changed and the module's reasons are to be read again."""
    lock = LockFile(str(tmp_path / "lock"))
    lock.acquire(wait=0, note="")
    process = child(lock.fileno())
    fcntl.flock(lock.fileno(), fcntl.LOCK_UN)
    assert is_free(tmp_path / "lock")
    end(process)
    lock.release()


def test_children_get_it_only_when_it_is_lent(tmp_path: Path) -> None:
    lock = LockFile(str(tmp_path / "lock"))
    lock.acquire(wait=0, note="")
    process = child()
    lock.release()
    assert is_free(tmp_path / "lock")
    end(process)


HOLDER = """
import sys
from mlorch.world.locks import LockFile
lock = LockFile(sys.argv[1])
assert lock.acquire(wait=0, note="the other")
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_nothing_is_left_to_unlock_when_its_holder(tmp_path: Path, how: str) -> None:
    path = tmp_path / "lock"
    process = child(None, HOLDER, str(path))
    assert not is_free(path)
    assert LockFile(str(path)).holder() == "the other"
    if how == "is killed":
        process.send_signal(signal.SIGKILL)
    end(process)
    assert is_free(path)


def test_waiting_ends_when_the_holder_does(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = child(None, HOLDER, str(path))
    asked = []

    def let_go() -> bool:
        asked.append(True)
        if len(asked) == 2:
            end(process)
        return False

    lock = LockFile(str(path), interrupted=let_go)
    assert lock.acquire(wait=None, note="mine")
    assert lock.holder() == "mine"
    lock.release()


def test_waiting_for_ever_can_be_interrupted(tmp_path: Path) -> None:
    first = LockFile(str(tmp_path / "lock"))
    first.acquire(wait=0, note="")
    assert not LockFile(str(tmp_path / "lock"), interrupted=lambda: True).acquire(wait=None, note="")
    first.release()


def test_two_spellings_of_a_path_are_one_lock(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    first = LockFile(str(tmp_path / "real/lock"))
    first.acquire(wait=0, note="")
    assert not is_free(tmp_path / "link/lock")
    assert not is_free(tmp_path / "link/../real/./lock")
    first.release()


def test_the_file_stays(tmp_path: Path) -> None:
    lock = LockFile(str(tmp_path / "lock"))
    lock.acquire(wait=0, note="")
    lock.release()
    assert (tmp_path / "lock").exists()


def test_a_lock_on_a_file_that_somebody_deleted_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    class Deleting(LockFile):
        deleted = False

        def _is_current(self, fd: int) -> bool:
            if not self.deleted:
                self.deleted = True
                path.unlink()
            return super()._is_current(fd)

    lock = Deleting(str(path))
    assert lock.acquire(wait=5, note="")
    assert os.fstat(lock.fileno()).st_ino == path.stat().st_ino
    lock.release()


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"[1]", b'{"note": 7}', b'{"note": "x"'])
def test_a_damaged_note_is_no_note(tmp_path: Path, note: bytes) -> None:
    (tmp_path / "lock").write_bytes(note)
    lock = LockFile(str(tmp_path / "lock"))
    assert lock.holder() == ""
    assert lock.acquire(wait=0, note="x")
    assert lock.holder() == "x"
    lock.release()


def test_a_note_may_be_shorter_than_the_one_before(tmp_path: Path) -> None:
    lock = LockFile(str(tmp_path / "lock"))
    for note in ("a long note", "short"):
        assert lock.acquire(wait=0, note=note)
        assert (lock.holder(), LockFile(str(tmp_path / "lock")).holder()) == (note, note)
        lock.release()
    assert (tmp_path / "lock").read_text("utf-8").count("\n") == 1


@pytest.mark.parametrize("what", ["folder", "link", "nothing above"])
def test_what_cannot_be_locked_is_a_state_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "lock"
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to("elsewhere")
    else:
        path = tmp_path / "none/lock"
    with pytest.raises(StateError, match=str(path)):
        LockFile(str(path)).acquire(wait=0, note="")
    assert not (tmp_path / "elsewhere").exists()


def test_a_handler_that_raises_while_it_is_taken_leaves_it_free(tmp_path: Path) -> None:
    class Interrupted(LockFile):
        def _is_current(self, fd: int) -> bool:
            raise KeyboardInterrupt(fd)

    with pytest.raises(KeyboardInterrupt):
        Interrupted(str(tmp_path / "lock")).acquire(wait=0, note="")
    assert is_free(tmp_path / "lock")
