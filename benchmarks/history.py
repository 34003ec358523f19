"""History of very many partitions, made from the one that was run: to run them all would take longer than anything that is measured."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from mlorch.world.digests import signature
from mlorch.world.journal import encode_line
from mlorch.world.layout import StateLayout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LINE = ("schema", "seq", "crc")


def multiply(project: Path, pipeline: str, first: str, others: Iterable[str]) -> None:
    """Let the partitions `others` look as if they had been run as `first` was: the same journal, and empty outputs of their own."""
    layout = StateLayout(str(project / ".mlorch"))
    with open(layout.journal(pipeline, first), encoding="ascii") as file:
        template = json.dumps([_bare(json.loads(line)) for line in file])
    for key in others:
        events = json.loads(template.replace(first, key))
        for event in events:
            for output in event.get("outputs", ()):
                output.pop("racy", None)
                output["signature"] = _touch(project / output["path"])
        path = layout.journal(pipeline, key)
        os.makedirs(os.path.dirname(path))
        with open(path, "wb") as journal:
            journal.writelines(encode_line(event, number) for number, event in enumerate(events, 1))


def _bare(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in _LINE}


def _touch(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return signature(path.stat())
