"""How fast mlorch is, held against other tools in the same minutes on the same machine: `make bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rows import LARGE, USUAL, Bench, Row
from tools import FOLDER, install


def main() -> int:
    """Measure and print; exit code 1 if `--strict` and a budget is missed."""
    options = _parser().parse_args()
    wanted = options.only or [*USUAL, *(LARGE if options.large else ())]
    began = time.monotonic()
    _say("making the environment of the benchmarks in .bench/")
    FOLDER.mkdir(exist_ok=True)
    tools = install(doit="large" in wanted)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="work-", dir=FOLDER) as folder:
        bench = Bench(tools, Path(folder), quick=options.quick)
        for name in wanted:
            _say(f"measuring: {name}")
            rows += (USUAL | LARGE)[name](bench)
    if options.json:
        print(
            json.dumps(
                {"machine": _machine(), "rows": [asdict(row) | {"verdict": row.verdict} for row in rows]}, indent=1
            )
        )
    else:
        print(table(rows))
        print(f"\n{_machine()}; medians of interleaved repetitions, {time.monotonic() - began:.0f} s in all")
    return int(options.strict and any(row.verdict == "OVER" for row in rows))


def table(rows: list[Row]) -> str:
    """The rows as text, columns aligned."""
    cells = [("what", "held against", "measured", "budget", "dream", "", "median times")]
    cells += [
        (
            row.what,
            row.against,
            _number(row.value, row.unit),
            _number(row.budget, row.unit),
            _number(row.dream, row.unit),
            row.verdict,
            row.note,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = []
    for line in cells:
        text = (
            cell.rjust(width) if column in {2, 3, 4} else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join(text).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument(
        "--large", action="store_true", help="also 10,000 steps and an input of 1 GB (some minutes, 1 GB of disk)"
    )
    parser.add_argument("--only", action="append", choices=[*USUAL, *LARGE], help="only this group of rows; repeatable")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that all of it works")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a budget is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
