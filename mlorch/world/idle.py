"""That nothing is due before some time, kept by a tick that found it so: the next one need not read every spec and journal to say it.

The file may be deleted at any time. It counts only while every spec, the project file and every schedule's journal are the very files
that the tick saw, and only for projects whose pipelines have no triggers: those must be looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from mlorch import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_NAME = "cache/idle.json"
_PROJECT_FILE = "mlorch.yaml"


def is_idle(root: str, now: datetime) -> bool:
    """Whether nothing can be due at `now` in the project at `root`. False where that is not known for sure."""
    from mlorch.model.times import parse_iso
    from mlorch.world.project import pipeline_files

    try:
        with open(f"{root}/.mlorch/{_NAME}", encoding="utf-8") as file:
            kept = json.load(file)
        if kept["version"] != __version__ or (kept["until"] is not None and now >= parse_iso(kept["until"])):
            return False
        if any(_stamp(path) != stamp for path, stamp in kept["stamps"].items()):
            return False
        return bool(list(pipeline_files(root, kept["patterns"])) == kept["specs"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def keep(
    root: str,
    state: str,
    patterns: Iterable[str],
    specs: Iterable[str],
    journals: Iterable[str],
    until: datetime | None,
) -> None:
    """Keep that nothing is due before `until`. That it cannot be kept is no error."""
    from mlorch.model.times import iso_utc

    if state != f"{root}/.mlorch":
        return  # whoever looks for it does not know where the state lies before the project file is read
    specs = list(specs)
    watched = [
        f"{root}/{_PROJECT_FILE}",
        *(path if path.startswith("/") else f"{root}/{path}" for path in specs),
        *journals,
    ]
    kept: dict[str, Any] = {
        "version": __version__,
        "until": iso_utc(until) if until is not None else None,
        "patterns": list(patterns),
        "specs": specs,
        "stamps": {path: _stamp(path) for path in watched},
    }
    path = f"{state}/{_NAME}"
    temporary = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.rename(temporary, path)


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]
