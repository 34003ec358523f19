from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mlorch.model.states import Reason
from mlorch.spec.codes import CODES

DOCS = Path(__file__).parents[2] / "docs"
MAKER = runpy.run_path(str(DOCS / "make_spec_reference.py"))
PAGE = (DOCS / "spec.md").read_text("utf-8")
# Reasons of things that do not work yet, and of steps that do not run (those stand in the table of states).
ELSEWHERE = {"due", "model_changed", "accepted", "marked", "condition_false", "trigger_rule", "upstream_skipped",
             "upstream_failed", "input_missing", "not_selected", "cancelled", "unsafe"}  # fmt: skip


def test_the_tables_are_what_the_schemas_say() -> None:
    assert MAKER["render"](PAGE) == PAGE, "run: python docs/make_spec_reference.py"


def test_a_page_without_one_of_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        MAKER["render"](PAGE.replace("<!-- made: names -->", ""))


def test_every_reason_is_told() -> None:
    assert [reason for reason in Reason if reason not in ELSEWHERE and f"`{reason.value}`" not in PAGE] == []


def test_every_reason_that_is_told_exists() -> None:
    table = PAGE.partition("## When a step runs again")[2].partition("\n\n## ")[0]
    told = {
        word.strip("`") for line in table.splitlines() if line.startswith("| `") for word in line.split("|")[1].split()
    }
    assert told - {reason.value for reason in Reason} - {"policy", "version", "ttl", "ignore"} == set()


def test_codes_on_the_page_exist() -> None:
    import re

    assert set(re.findall(r"\b[EW][0-9]{3}\b", PAGE)) <= CODES.keys()
