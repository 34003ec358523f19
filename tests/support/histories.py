"""Journals as the runner writes them: one run at a time, steps side by side, any end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from mlorch.model import events as ev
from mlorch.model.manifest import Artifact, Fact

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = ("a", "b", "c", "d")


@dataclass
class Writer:
    """Writes what the runner would: a step is reused only while its checkpoint stands."""

    draw: st.DrawFn
    done: set[str]
    minute: int = 0
    serial: int = 0

    def at(self) -> str:
        self.minute += 1
        return f"2026-01-{1 + self.minute // 1440:02}T{self.minute // 60 % 24:02}:{self.minute % 60:02}:00.000Z"

    def run(self, number: int, *, last: bool) -> Iterator[ev.Event]:
        run_id = f"r{number:03}"
        yield ev.RunStarted(run_id, self.at(), "p", "", steps=len(STEPS))
        chosen = self.draw(st.lists(st.sampled_from(STEPS), unique=True, max_size=len(STEPS)))
        threads = [list(self.step(run_id, step)) for step in chosen]
        cut = self.draw(st.integers(0, 30))
        while (open_threads := [thread for thread in threads if thread]) and cut:
            cut -= 1
            event = self.draw(st.sampled_from(open_threads)).pop(0)
            self.learn(event)
            yield event
        if not any(threads):
            yield ev.RunEnded(run_id, self.at(), "succeeded", 0)
        elif not last or self.draw(st.booleans()):
            yield ev.RunLost(run_id, self.at())

    def step(self, run_id: str, step: str) -> Iterator[ev.Event]:
        if step in self.done and self.draw(st.booleans()):
            yield ev.StepsReused(run_id, self.at(), (step,))
            return
        for attempt in range(1, self.draw(st.integers(1, 2)) + 1):
            aside = ((f"{step}.out", self.draw(st.sampled_from(("", f".mlorch-{run_id}/{step}.out")))),)
            yield ev.AttemptStarted(
                run_id, self.at(), step, attempt, "forced", aside=aside, staging=(f".mlorch-{run_id}/x",)
            )
            if attempt == 1 and self.draw(st.booleans()):
                state = self.draw(st.sampled_from(("failed", "cancelled", "skipped")))
                yield ev.AttemptEnded(run_id, self.at(), step, attempt, state, "exit", exit_code=1)
                continue
            self.serial += 1
            success = self.success(run_id, step, attempt)
            if self.draw(st.booleans()):
                yield ev.PublishIntended(run_id, self.at(), step, attempt, (("s", f"{step}.out"),), {"names": []})
            yield success
            if self.draw(st.booleans()):
                yield ev.OutputRemoved(run_id, self.at(), step, f"{step}.out")
            return

    def success(self, run_id: str, step: str, attempt: int) -> ev.StepSucceeded:
        name = f"{step}{self.serial}"
        return ev.StepSucceeded(
            run_id, self.at(), step, attempt, name, (Fact("command", "", name),), (Artifact(f"{step}.out", name, name),)
        )

    def learn(self, event: ev.Event) -> None:
        if isinstance(event, ev.StepSucceeded):
            self.done.add(event.step)
        elif isinstance(event, ev.AttemptStarted):
            self.done.discard(event.step)


@st.composite
def histories(draw: st.DrawFn, most: int = 5) -> tuple[ev.Event, ...]:
    """The events of up to `most` runs; only the newest may have no end."""
    writer = Writer(draw, set())
    count = draw(st.integers(1, most))
    return tuple(event for number in range(count) for event in writer.run(number, last=number == count - 1))
