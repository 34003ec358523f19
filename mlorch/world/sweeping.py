"""Staging folders that a power cut left, and that no run comes back to: their names reached the disk, the journal did not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mlorch.model.errors import MlorchError
from mlorch.world.machine import boot_id
from mlorch.world.publish import remove

if TYPE_CHECKING:
    from mlorch.world.layout import StateLayout


class Sweeper:
    """Looks at each folder once. `prefix` is what the names of staging folders begin with; the rest is the run's id."""

    def __init__(self, layout: StateLayout, prefix: str) -> None:
        self._layout = layout
        self._prefix = prefix
        self._seen: set[str] = set()

    def sweep(self, folder: str) -> None:
        """Remove what was forgotten in `folder` (absolute). What cannot be removed stays, and is no error."""
        if folder in self._seen:
            return
        self._seen.add(folder)
        try:
            with os.scandir(folder) as entries:
                found = [entry.name for entry in entries if entry.name.startswith(self._prefix)]
        except OSError:
            return
        for name in found:
            if self._forgotten(name.removeprefix(self._prefix)):
                try:
                    remove(f"{folder}/{name}")
                except MlorchError:
                    continue

    def _forgotten(self, run_id: str) -> bool:
        """Whether no run will come back to it. Those of this boot have all their records, and are cleared by them."""
        try:
            with open(f"{self._layout.run(run_id)}/run.json", "rb") as file:
                facts = json.loads(file.read())
            boot, journal = facts["boot_id"], self._layout.journal(facts["pipeline"], facts["partition"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return True  # written before the staging folder was made: only a power cut takes it away
        except OSError:
            return False
        if boot in ("", boot_id()):
            return False
        try:
            with open(journal, "rb") as file:
                lines = [line for line in file if run_id.encode() in line]
        except FileNotFoundError:
            return True
        except OSError:
            return False
        ends = (b'"type":"run_ended"', b'"type":"run_lost"')
        return not lines or any(end in line for line in lines for end in ends)
