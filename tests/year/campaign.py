"""One backfill that is killed again and again and called again, and what it must have come to."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.faults.kills import children, kill, supervisor_of, tree
from tests.year.project import BACKFILL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.place import Tally
    from tests.year.project import Flights

MODES = ("mlorch", "supervisor", "step", "both", "tree")
TITLES = {
    "mlorch": "kill -9 of mlorch",
    "supervisor": "kill -9 of its supervisor",
    "step": "kill -9 of a step",
    "both": "kill -9 of mlorch and supervisor",
    "tree": "kill -9 of mlorch, supervisor and steps",
}
EXPECTED = (0, 1, -9)
"""How a backfill may end here: well, with a step that was killed, or killed itself."""
CALLS_IN_VAIN = 5
LAST_KILL = 0.95
"""The share of the work that is done when the last one is killed."""


class Campaign:
    """The backfill of one project. `say` is told now and then how far it is."""

    def __init__(self, place: Flights, name: str, say: Callable[[str], None]) -> None:
        self._place = place
        self._name = name
        self._say = say
        self._wanted = sum(place.steps().values())
        self._began = time.monotonic()
        self._told = 0.0
        self.kills: Counter[str] = Counter()
        self.calls = 0

    def undisturbed(self) -> str:
        """Run it once, to its end; "" or what went wrong."""
        return self._call(lambda _: None)

    def killed(self, seed: int, kills: int) -> str:
        """Kill so many times, at random moments spread over the work, then let it end; "" or what went wrong."""
        rng = random.Random(seed)
        # By what is done and not by the clock: how fast it is depends on what else the machine does.
        moments = sorted(rng.uniform(0.0, LAST_KILL) * self._wanted for _ in range(kills))
        modes = [MODES[number % len(MODES)] for number in range(kills)]
        rng.shuffle(modes)
        plan = list(zip(moments, modes, strict=True))

        def strike(process: subprocess.Popen[bytes]) -> None:
            while plan:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(rng.uniform(0.05, 1.0))
                    return
                self._tell()
                if self._place.published_count() >= plan[0][0] and self._kill(process.pid, plan[0][1], rng):
                    plan.pop(0)

        vain = 0
        while True:
            hits = self.kills.total()
            said = self._call(strike)
            if not said:
                return f"all was done with {len(plan)} kills still to come" if plan else ""
            vain = vain + 1 if self.kills.total() == hits else 0
            if vain >= CALLS_IN_VAIN:
                return said

    def _call(self, meanwhile: Callable[[subprocess.Popen[bytes]], None]) -> str:
        self.calls += 1
        process = self._place.start(*BACKFILL)
        meanwhile(process)
        while True:
            try:
                code = process.wait(2)
                break
            except subprocess.TimeoutExpired:
                self._tell()
        if code == 0:
            return ""
        said = f"`mlorch {' '.join(BACKFILL)}` ends with {code}: {self._place.said()[-1500:]}"
        if code not in EXPECTED:
            self._say(f"{self._name}: {said}")
        return said

    def _kill(self, pid: int, mode: str, rng: random.Random) -> bool:
        supervisor = supervisor_of(pid)
        steps = [below for child in children(supervisor) for below in tree(child)] if supervisor else []
        pids = {
            "mlorch": [pid],
            "supervisor": [supervisor],
            "step": [rng.choice(steps)] if steps else [],
            "both": [pid, supervisor] if supervisor else [],
            "tree": tree(pid) if steps else [],
        }[mode]
        rng.shuffle(pids)
        if not kill(*pids):
            return False
        self.kills[mode] += 1
        return True

    def _tell(self) -> None:
        if time.monotonic() - self._told < 15:
            return
        self._told = time.monotonic()
        self._say(
            f"{self._name}: {self._place.published_count()} files of {self._wanted} steps, {self.kills.total()} kills, {self.calls} calls, "
            f"{time.monotonic() - self._began:.0f} s"
        )


def check(place: Flights, tally: Tally, what: str) -> None:
    """Hold a project to the promises after its backfill ended well."""
    ran = {event["run_id"]: name for name, events in place.journals().items() for event in events if event["type"] == "run_started"}  # fmt: skip
    ends = Counter(f"{ran.get(run_id, '?')}/{step}" for run_id, step, _ in place.recorded_ends())
    successes = Counter(
        f"{name}/{event['step']}"
        for name, events in place.journals().items()
        for event in events
        if event["type"] == "step_succeeded"
    )
    for kind, counted in (("its command ended well", ends), ("it was published", successes)):
        for name, count in counted.items():
            if count > 1:
                tally.note("repeated", f"{what}: {name}: {kind} {count} times")
    done = Counter(name.split("/", 1)[0] for name in successes)
    for name, wanted in place.steps().items():
        if done[name] != wanted:
            tally.note("lost", f"{what}: {done[name]} steps of {name} are done, not {wanted}")
    place.check_left(tally, what)
    _same_again(place, tally, what)


def _same_again(place: Flights, tally: Tally, what: str) -> None:
    """The same command has nothing to do, and the table says that all is done."""
    before = {path: path.read_bytes() for path in place.folder.glob(".mlorch/state/*/*/journal.jsonl")}
    code, said = place.run(*BACKFILL)
    after = {path: path.read_bytes() for path in place.folder.glob(".mlorch/state/*/*/journal.jsonl")}
    if code or before != after:
        tally.note("repeated", f"{what}: the same command again did something, or ended with {code}: {said[-1000:]}")
    _, said = place.run("status", "-o", "json")
    rows = json.loads(said)["data"]["pipelines"]
    for row in rows:
        counts = row["partitions"]
        # The month of the last day may be over or not; either way no prediction reads it.
        if counts["done"] + counts["missing"] != counts["total"] or (counts["missing"] and row["kind"] != "training"):
            tally.note("lost", f"{what}: {row['name']} counts {counts}")


def compare(one: dict[str, bytes], other: dict[str, bytes], tally: Tally) -> int:
    """Note each file that is not the same on both sides; how many files there are."""
    for path in sorted(one.keys() | other.keys()):
        if one.get(path) != other.get(path):
            side = (
                "only without kills" if path not in other else "only with kills" if path not in one else "other bytes"
            )
            tally.note("lost", f"{path}: {side}")
    return len(one)
