"""What a run needs from outside, handed to it in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlorch.model.ports import Clock, Executor, Observer, Orphans, Pools, RunFolders
    from mlorch.runner.commit import Committer

ORPHAN_GRACE = 5.0
"""Seconds between TERM and KILL for what outlived its mlorch."""


class Ports(NamedTuple):
    """The ports of one command, shared by all its runs."""

    executor: Executor
    folders: RunFolders
    clock: Clock
    observer: Observer
    committer: Committer
    orphans: Orphans
    pools: Pools
