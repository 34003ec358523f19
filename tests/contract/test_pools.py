"""What all pools hold to, the real ones and the fake: slots are taken all or none, and counted over all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from mlorch.model.pools import Shortage
from mlorch.testing.pools import MemoryPools
from mlorch.world.pools import FilePools

if TYPE_CHECKING:
    from pathlib import Path

    from mlorch.model.pools import Holder
    from mlorch.model.ports import Pools, Slots

SIZES = {"gpu": 1, "warehouse": 4}


class Make(Protocol):
    def __call__(self, **sizes: int) -> Pools: ...


@pytest.fixture(params=["file", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Each call is a command of its own on the same machine."""
    held: list[tuple[str, Holder, object]] = []

    def file(**sizes: int) -> Pools:
        return FilePools(str(tmp_path / "pools"), SIZES | sizes)

    def memory(**sizes: int) -> Pools:
        return MemoryPools(SIZES | sizes, held)

    return file if request.param == "file" else memory


def took(pools: Pools, *wanted: tuple[str, int], run: str = "r1") -> Slots:
    found = pools.take(wanted, run, f"note of {run}")
    assert not isinstance(found, Shortage), found
    return found


def lacked(pools: Pools, *wanted: tuple[str, int]) -> Shortage:
    found = pools.take(wanted, "r9", "note of r9")
    assert isinstance(found, Shortage)
    return found


def test_as_many_as_there_are_over_all_commands(make: Make) -> None:
    one, two = make(), make()
    slots = [took(one, ("warehouse", 1)), took(two, ("warehouse", 1)), took(one, ("warehouse", 2))]
    assert lacked(one, ("warehouse", 1)).pool == "warehouse"
    assert lacked(two, ("warehouse", 1)).pool == "warehouse"
    slots[1].release()
    took(one, ("warehouse", 1))


def test_other_pools_do_not_wait(make: Make) -> None:
    one, two = make(), make()
    took(one, ("gpu", 1))
    took(two, ("warehouse", 4))


def test_all_or_none(make: Make) -> None:
    one, two = make(), make()
    held = took(one, ("warehouse", 4))
    assert lacked(two, ("gpu", 1), ("warehouse", 1)).pool == "warehouse"
    took(one, ("gpu", 1)).release()
    held.release()
    took(two, ("gpu", 1), ("warehouse", 4))


def test_slots_are_lent_each_by_its_descriptor(make: Make) -> None:
    assert len(set(took(make(), ("gpu", 1), ("warehouse", 3)).descriptors)) == 4


def test_who_holds_them_is_told(make: Make) -> None:
    one, two = make(), make()
    took(one, ("gpu", 1), run="r7")
    short = lacked(two, ("gpu", 1))
    assert [(holder.run_id, holder.note) for holder in short.holders] in ([("r7", "note of r7")], [("", "somebody")])


def test_nobody_else_is_blamed_for_what_this_command_holds(make: Make) -> None:
    one, two = make(), make()
    took(one, ("warehouse", 3))
    took(two, ("warehouse", 1))
    assert lacked(one, ("warehouse", 2)).holders == ()
    assert lacked(two, ("warehouse", 2)).holders != ()


def test_giving_back_twice_frees_nobody_elses(make: Make) -> None:
    one, two = make(), make()
    first = took(one, ("gpu", 1))
    first.release()
    took(two, ("gpu", 1))
    first.release()
    lacked(one, ("gpu", 1))


def test_giving_back_is_a_change(make: Make) -> None:
    pools = make()
    before = pools.changes
    slots = took(pools, ("gpu", 1))
    assert pools.changes == before
    slots.release()
    assert pools.changes > before


def test_a_pool_made_smaller_counts_what_is_still_held(make: Make) -> None:
    before, after = make(warehouse=4), make(warehouse=2)
    last = [took(before, ("warehouse", 1)) for _ in range(4)]
    last[0].release()
    last[1].release()
    lacked(after, ("warehouse", 1))
    last[2].release()
    took(after, ("warehouse", 1))
    lacked(after, ("warehouse", 1))


def test_a_pool_made_larger_has_more_at_once(make: Make) -> None:
    before, after = make(), make(gpu=2)
    took(before, ("gpu", 1))
    took(after, ("gpu", 1))
    lacked(after, ("gpu", 1))
