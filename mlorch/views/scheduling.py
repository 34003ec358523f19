"""`cron` and `github`: what stands where cron and GitHub look, and how it differs from what the project needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.views.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlorch.views.rows import Row


def drift_row(what: str, wanted: str, found: str) -> Row:
    """A difference for JSON."""
    return {"what": what, "wanted": wanted or None, "found": found or None}


def drift_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Each difference, with the line as it is (`-`) and as it should be (`+`)."""
    for row in rows:
        yield visible(row["what"])
        for mark, value in (("-", row["found"]), ("+", row["wanted"])):
            if value:
                yield f"  {mark} {visible(value)}"
