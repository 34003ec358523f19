"""`python -m tests.year [year|weeks] [SEED]`: the flights pipelines, backfilled without and with kills; 1 if that makes a difference."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from tests.faults.place import ROOT, Tally
from tests.year.campaign import TITLES, Campaign, check, compare
from tests.year.project import Flights

SIZES = {
    "year": (date(2013, 1, 1), date(2013, 12, 31), 60),
    "weeks": (date(2013, 1, 19), date(2013, 2, 6), 8),
}
"""First day, last day, kills."""


def deliver(folder: Path, first: date, last: date) -> None:
    """The raw files of the span."""
    script = str(ROOT / "pipelines" / "flights" / "deliver.py")
    words = [sys.executable, script, "--from", str(first), "--to", str(last), "--to-folder", str(folder)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def main(size: str, seed: int) -> int:
    """Both, and the table."""
    first, last, kills = SIZES[size]
    began = time.monotonic()
    base = Path(tempfile.mkdtemp(prefix="mlorch-year-"))

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    places = {name: Flights(base / name, first, last) for name in ("undisturbed", "killed")}
    for place in places.values():
        deliver(place.folder / "data" / "raw", first, last)
    calm, killed = (Campaign(place, name, say) for name, place in places.items())
    tally = Tally(times=kills)
    since = time.monotonic()
    stopped = calm.undisturbed()
    length = time.monotonic() - since
    if not stopped:
        stopped = killed.killed(seed, kills)
    if stopped:
        tally.note("lost", stopped)
    files = 0
    if not stopped:
        for name, place in places.items():
            check(place, tally, name)
        files = compare(places["undisturbed"].published(), places["killed"].published(), tally)
    show(places["killed"], killed, files, tally)
    print(
        f"seed {seed}, {length:.0f} s without kills, {time.monotonic() - began:.0f} s in all; "
        + ("the same bytes, each window done once, nothing left" if tally.good else f"kept: {base}")
    )
    if tally.good:
        shutil.rmtree(base)
    return 0 if tally.good else 1


def show(place: Flights, campaign: Campaign, files: int, tally: Tally) -> None:
    """What was done, what was killed, what came of it."""
    rows = [
        *((f"steps of {name}", count) for name, count in place.steps().items()),
        *((TITLES[mode], campaign.kills[mode]) for mode in TITLES),
        ("calls of the same command", campaign.calls),
        ("files compared", files),
        ("lost or other bytes", tally.lost),
        ("finished work repeated", tally.repeated),
        ("left behind", tally.left),
    ]
    width = max(len(title) for title, _ in rows)
    for title, count in rows:
        print(f"{title:{width}}  {count:6}")
    for note in tally.notes:
        print(f"- {note}")


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["year"]
    sys.exit(main(arguments[0], int(arguments[1]) if len(arguments) > 1 else int(time.time())))
