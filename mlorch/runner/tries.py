"""The attempts of a run's steps: how many there were, whether another follows, and what waits for its next one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlorch.engine.retry import delay, retried
from mlorch.model.spec import SideEffects
from mlorch.model.states import StepState

if TYPE_CHECKING:
    from mlorch.engine.consider import Considered
    from mlorch.model.attempt import AttemptDone
    from mlorch.model.spec import Step

LOST_LIMIT = 2
"""So often in a run a step whose supervisor was killed is started again: what kills it may be the step itself."""


@dataclass(slots=True)
class Tries:
    """Counts and waits for one run. Times are those of the monotonic clock, in seconds."""

    _attempts: dict[str, int] = field(default_factory=dict)
    _lost: dict[str, int] = field(default_factory=dict)
    _reasons: dict[str, tuple[str, str]] = field(default_factory=dict)
    _waiting: list[tuple[float, str]] = field(default_factory=list)
    _random: random.Random = field(default_factory=random.Random)

    def __bool__(self) -> bool:
        """Whether a step waits for its next attempt."""
        return bool(self._waiting)

    def next_number(self, step_id: str) -> int:
        """The number of the attempt that comes next, from 1."""
        number = self._attempts[step_id] = self._attempts.get(step_id, 0) + 1
        return number

    def first_reason(self, step_id: str, considered: Considered) -> tuple[str, str]:
        """Why the step runs in this run: of a further attempt the reason of the first."""
        return self._reasons.setdefault(step_id, (considered.reason.value, considered.detail))

    def pause(self, step: Step, number: int, state: StepState, done: AttemptDone) -> float | None:
        """After so many seconds another attempt follows number `number`; None: none does.

        One that was lost with its supervisor goes back to ready and costs no retry.
        """
        if step.side_effects is SideEffects.EXTERNAL:
            return None
        lost = self._lost.get(step.id, 0)
        if state is StepState.LOST:
            self._lost[step.id] = lost + 1
            return 0.0 if lost < LOST_LIMIT else None
        if not retried(step.retry, number - lost, state, done):
            return None
        return delay(step.retry, number - lost, self._random.random())

    def wait(self, step_id: str, until: float) -> None:
        """The next attempt of a step waits for its time."""
        self._waiting.append((until, step_id))

    def due(self, now: float) -> list[str]:
        """The steps whose time has come; they wait no longer."""
        found = [step_id for until, step_id in self._waiting if until <= now]
        if found:
            self._waiting = [item for item in self._waiting if item[0] > now]
        return found

    def next_due(self) -> float | None:
        """When the next one's time comes."""
        return min((until for until, _ in self._waiting), default=None)
