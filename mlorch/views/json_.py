"""The one document of `-o json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlorch.views.rows import Row, problem_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.diagnostics import Diagnostic
    from mlorch.model.errors import MlorchError

SCHEMA = 1
_NOTHING: dict[str, dict[str, Any]] = {
    "run": {"runs": []},
    "show": {"runs": []},
    "runs": {"runs": []},
    "tick": {"runs": []},
    "plan": {"pipelines": []},
    "status": {"pipelines": []},
    "backfill": {"partitions": [], "counts": {"total": 0}, "upstream": []},
    "graph": {"graphs": []},
    "validate": {"files": [], "ok": False},
    "next": {"ticks": []},
}


def nothing(command: str) -> dict[str, Any]:
    """The `data` of a command that could not do its work: a list without items, where its list would be."""
    return _NOTHING.get(command, {})


def document(command: str, exit_code: int, data: dict[str, Any], problems: Iterable[Row] = ()) -> str:
    """The text of the document, one line end at its end. It is ASCII: bytes of file names that are no text stay escapes."""
    whole = {
        "schema": SCHEMA,
        "command": command,
        "exit_code": exit_code,
        "data": data,
        "problems": list(problems),
    }
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def diagnostics(problems: Iterable[Diagnostic]) -> list[Row]:
    """Rows of the `problems` list, in the order of their places."""
    return [problem_row(problem) for problem in sorted(problems, key=lambda item: item.sort_key)]


def error_problems(error: MlorchError) -> list[Row]:
    """What stopped mlorch as problems; an error that is no diagnostic has no code."""
    found: tuple[Diagnostic, ...] = getattr(error, "diagnostics", ())
    return diagnostics(found) if found else [plain_problem(error.message, error.hint)]


def plain_problem(message: str, hint: str = "") -> Row:
    """A problem that has no place in a file."""
    return {
        "code": None,
        "severity": "error",
        "file": None,
        "line": None,
        "column": None,
        "message": message,
        "hint": hint or None,
    }
