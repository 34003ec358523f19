"""`python -m tests.faults [short|long]`: plays all faults and prints what they did. Exit code 1 when a promise was broken."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from tests.faults.injections import Injections
from tests.faults.kills import TITLES, Campaign
from tests.faults.others import Others
from tests.faults.place import Tally
from tests.faults.powercut import PowerCuts
from tests.faults.project import Worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SIZES = {"long": (520, 280, 160), "short": (10, 10, 2)}
"""Kills, injected faults and power cuts."""

Rows = list[tuple[str, Tally | str]]


def kills(worlds: Worlds, seed: int, count: int) -> Iterator[tuple[str, Tally | str]]:
    """Two campaigns at a time: each waits most of its time."""
    strikes = (1, 1) if count < 100 else (4, 8)
    halves = [Campaign(worlds, seed, strikes), Campaign(worlds, seed + 1, strikes)]
    together([partial(half.run, count // 2) for half in halves])
    for mode, tally in halves[1].tallies.items():
        halves[0].tallies[mode].add(tally)
    yield from ((TITLES[mode], tally) for mode, tally in halves[0].tallies.items())


def injections(worlds: Worlds, seed: int, count: int) -> Iterator[tuple[str, Tally | str]]:
    """A generator, so that setting up counts to the part, too."""
    yield from Injections(worlds, seed).run(count).items()


def power_cuts(worlds: Worlds, seed: int, count: int) -> Iterator[tuple[str, Tally | str]]:
    """In a used project and in a new one."""
    yield "power cut (played from a trace), outputs from before", PowerCuts(worlds, seed, used=True).run(count // 2)
    yield "power cut in a new project", PowerCuts(worlds, seed, used=False).run(count // 2)


def together(calls: list[Callable[[], object]]) -> None:
    """Call each in a thread of its own; what one of them raises is raised here."""
    raised: list[BaseException] = []

    def guarded(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def show(rows: Rows) -> None:
    """The table."""
    names = ("times", "lost", "repeated", "half", "left", "unclear", "allowed")
    width = max(len(title) for title, _ in rows)
    print(f"{'fault':{width}}  " + "  ".join(f"{name:>8}" for name in names))
    for title, tally in rows:
        if isinstance(tally, str):
            print(f"{title:{width}}  not tried: {tally}")
        else:
            print(f"{title:{width}}  " + "  ".join(f"{getattr(tally, name):8}" for name in names))


def main(size: str, seed: int) -> int:
    """Play them all."""
    count_kills, count_faults, count_cuts = SIZES[size]
    began = time.monotonic()
    worlds = Worlds()
    rows: Rows = []
    times: list[str] = []

    def part(name: str, found: Iterable[tuple[str, Tally | str]]) -> None:
        since = time.monotonic()
        rows.extend(found)
        times.append(f"{name} {time.monotonic() - since:.0f} s")
        print(times[-1], file=sys.stderr, flush=True)

    part("kills", kills(worlds, seed, count_kills))
    part("failing calls", injections(worlds, seed, count_faults))
    part("power cuts", power_cuts(worlds, seed, count_cuts))
    part("others", Others(worlds, seed, long=size == "long").rows())
    total = Tally()
    for _, tally in rows:
        if isinstance(tally, Tally):
            total.add(tally)
    show([*rows, ("all", total)])
    print("\nlost: a result, or its record. repeated: finished work done again. half: output seen that was not whole.")
    print(
        "left: process, lock, staging folder or open run. unclear: a message or exit code that does not help, or a hang."
    )
    print("allowed: steps run again whose end no record had reached when the supervisor was killed.")
    for note in total.notes:
        print(f"- {note}")
    print(
        f"seed {seed}, {time.monotonic() - began:.0f} s ({', '.join(times)}), "
        + ("all promises held" if total.good else f"kept: {worlds.folder}")
    )
    if total.good:
        worlds.remove()
    return 0 if total.good else 1


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["long"]
    sys.exit(main(arguments[0], int(arguments[1]) if len(arguments) > 1 else int(time.time())))
