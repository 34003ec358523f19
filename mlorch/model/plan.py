"""What a run would do, step by step, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlorch.model.spec import Wanted
    from mlorch.model.states import Action, Reason, Verdict


class Difference(NamedTuple):
    """One thing that differs between a checkpoint and today; `old` and `new` are texts for people ("" for absent)."""

    what: str
    old: str
    new: str


class StepPlan(NamedTuple):
    """One step of a plan. `command` is for people, with its values. `in_place` names outputs written at their final path.

    `expected_s` is the median duration of its former successes in seconds, None without history.
    """

    id: str
    action: Action
    verdict: Verdict
    reason: Reason
    detail: str = ""
    needs: tuple[str, ...] = ()
    command: str = ""
    outputs: tuple[tuple[str, str], ...] = ()
    in_place: tuple[str, ...] = ()
    expected_s: float | None = None
    differs: tuple[Difference, ...] = ()
    pool: Wanted = ()


class Plan(NamedTuple):
    """What `run` would do with one partition of one pipeline."""

    pipeline: str
    partition: str
    order: tuple[str, ...]
    steps: tuple[StepPlan, ...]
