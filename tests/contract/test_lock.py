"""What every lock holds to, the real one and the fake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from mlorch.testing.locks import LockTable, MemoryLock
from mlorch.world.locks import LockFile

if TYPE_CHECKING:
    from pathlib import Path

    from mlorch.model.ports import Lock


class Make(Protocol):
    def __call__(self, name: str) -> Lock: ...


@pytest.fixture(params=["file", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    table = LockTable()

    def file(name: str) -> Lock:
        return LockFile(str(tmp_path / name))

    def memory(name: str) -> Lock:
        return MemoryLock(table, name)

    return file if request.param == "file" else memory


def test_one_at_a_time(make: Make) -> None:
    first, second = make("a"), make("a")
    assert first.acquire(wait=0, note="first")
    assert not second.acquire(wait=0, note="second")
    assert not second.acquire(wait=0.03, note="second")
    first.release()
    assert second.acquire(wait=0, note="second")


def test_others_do_not_wait(make: Make) -> None:
    assert make("a").acquire(wait=0, note="")
    assert make("b").acquire(wait=0, note="")


def test_the_note_of_the_holder_can_be_read(make: Make) -> None:
    first, second = make("a"), make("a")
    assert second.holder() == ""
    first.acquire(wait=0, note="run 1 of dana")
    second.acquire(wait=0, note="run 2")
    assert second.holder() == "run 1 of dana"
    first.release()
    assert second.holder() == "run 1 of dana"


def test_releasing_twice_frees_nobody_elses(make: Make) -> None:
    first, second = make("a"), make("a")
    first.acquire(wait=0, note="")
    first.release()
    second.acquire(wait=0, note="")
    first.release()
    assert not make("a").acquire(wait=0, note="")
    second.release()


def test_the_descriptor_is_there_while_it_is_held(make: Make) -> None:
    lock = make("a")
    with pytest.raises(ValueError, match="not held"):
        lock.fileno()
    lock.acquire(wait=0, note="")
    assert lock.fileno() >= 0
    lock.release()
    with pytest.raises(ValueError, match="not held"):
        lock.fileno()


def test_taking_it_twice_with_one_object_is_a_bug(make: Make) -> None:
    lock = make("a")
    lock.acquire(wait=0, note="")
    with pytest.raises(RuntimeError, match="already held"):
        lock.acquire(wait=0, note="")
