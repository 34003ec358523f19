"""What triggers wait for, and what is due, in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlorch.views.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SHOWN = 3
_STATES = {"not_tried": "not tried yet", "running": "running", "failed": "failed", "not_ready": "awaits its data"}


def awaited_lines(row: dict[str, Any]) -> Iterator[str]:
    """A line for each trigger, one for all that is due. `row` has `triggers` and `due` as `rows.awaited_row` makes them."""
    for trigger in row["triggers"]:
        watches = one_line(trigger["watches"])
        if trigger["kind"] == "command":
            said = f"it said {one_line(trigger['said'])}" if trigger["said"] else "no tick has called it yet"
            yield f"trigger command {watches}: {said}"
            continue
        parts = [f"{trigger['counted']:,} counted"]
        if trigger["new"]:
            parts.append(f"there for the next tick: {_some(trigger['new'])}")
        if trigger["awaited"]:
            waits = [f"{item['what']} ({item['reason']})" for item in trigger["awaited"]]
            parts.append(f"awaited: {_some(waits)}")
        if len(parts) == 1:
            parts.append("nothing new" if trigger["counted"] else "nothing is there yet")
        yield f"trigger {trigger['kind']} {watches}: {'; '.join(parts)}"
    if row["due"]:
        due = [f"{item['key']} since {item['since'][:16]}Z ({_STATES[item['state']]})".lstrip() for item in row["due"]]
        yield f"due: {_some(due)}"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return ", ".join(one_line(text) for text in texts[:_SHOWN]) + more
