"""What `mlorch doctor` finds, and what `mlorch gc` gives up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much something matters: `ok` is told so that people know it was looked at."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Area(StrEnum):
    """What it is about; a problem of the state has an exit code of its own."""

    MACHINE = "machine"
    PROJECT = "project"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` says how to mend it, `mended` what `--repair` did about it.

    `file` and `line` are where it is, if it is in a file (0: no line). `damage`: state that cannot be believed.
    """

    area: Area
    level: Level
    message: str
    remedy: str = ""
    file: str = ""
    line: int = 0
    mended: str = ""

    @property
    def damage(self) -> bool:
        """Whether the state cannot be used as it is."""
        return self.area is Area.STATE and self.level is Level.PROBLEM and not self.mended


@dataclass(frozen=True, slots=True)
class Collected:
    """What retention gave up (or would) of one partition. Sizes in bytes; `skipped` says why nothing could be done."""

    pipeline: str
    partition: str
    runs: tuple[str, ...]
    kept: int
    journal_before: int
    journal_after: int
    skipped: str = ""
