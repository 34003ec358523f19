"""Slots of pools: what is said of those that cannot be had."""

from __future__ import annotations

from typing import NamedTuple


class Holder(NamedTuple):
    """Who holds a slot, as it noted itself: words for people, its run, and the identity of the mlorch that started it."""

    note: str
    run_id: str = ""
    pid: int = 0
    start_ticks: int = 0
    boot_id: str = ""


class Shortage(NamedTuple):
    """Slots that could not be had: the pool that had too few. `holders` are other commands (the first few); none if it is only us."""

    pool: str
    holders: tuple[Holder, ...] = ()
