"""What is remembered of a pipeline's schedule: a fold over its journal.

The words of `ScheduleNoted.what`, with their facts:

- `ticked`: a tick was taken account of. `tick` and `covered` (ISO UTC), `due` (keys), `again` (keys done before that are
  looked at once more), `missed` ([first, last, count, why] of windows left to backfill).
- `triggered`: a trigger saw something: `name`, `cursor` (what changes of its memory; null takes an entry away), `due` (keys), `now`,
  `missed` as above.
- `taken`: somebody began to work on `key` for the tick `slot`: `pid`, `start_ticks`, `boot_id`.
- `ended`: that work ended for `slot` as `state`: `done`, `failed` or `not_ready`.
- `dropped`: `keys` are no longer tried, `why`; `missed` as above, `now`.
- `paused`, `resumed`: `reason`.
- `kept`: all that came before it and was given up, added up: the fields of `Agenda`.
- `marked`: `key` counts `as` `done` or `missing`, `reason`; `as` may be `none` to take that back.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mlorch.model.events import ScheduleNoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.events import Event

DONE = "done"
FAILED = "failed"
NOT_READY = "not_ready"
SCHEDULE = "schedule"
LOOKBACK = "lookback"
_WORDS = frozenset({"ticked", "triggered", "taken", "ended", "dropped", "paused", "resumed", "marked", "kept"})
_MISSED_KEPT = 100
"""Of what was missed so many are remembered when the beginning of the journal is given up."""


@dataclass(slots=True)
class Pending:
    """A key that is due and not done. `tried` is the slot of the tick for which it was last tried, `ended` how.

    `claim` is (slot, pid, start ticks, boot id) of who works on it. `due_at` ISO UTC. `why` is `schedule`, `lookback` or a trigger,
    of which `event` is the number among all that its triggers saw.
    """

    due_at: str
    why: str = SCHEDULE
    event: int = 0
    tried: str = ""
    ended: str = ""
    claim: tuple[str, int, int, str] | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """Windows that no tick will make due any more: `count` from `first` to `last`. `at` is when that was found."""

    first: str
    last: str
    count: int
    why: str
    at: str


class Mark(NamedTuple):
    """What a person said of a key: `state` is `done` or `missing`. `at` is the wall clock's time, ISO UTC."""

    state: str
    reason: str
    at: str


@dataclass(slots=True)
class Agenda:
    """All that is known of when one pipeline is due. `tick`: the newest one taken account of; windows closed by `covered` are dealt with.

    `seen` is false before its first tick call; `paused` is the reason, None while it is not.
    """

    seen: bool = False
    tick: str = ""
    covered: str = ""
    pending: dict[str, Pending] = field(default_factory=dict)
    missed: list[Missed] = field(default_factory=list)
    paused: str | None = None
    paused_at: str = ""
    marks: dict[str, Mark] = field(default_factory=dict)
    cursors: dict[str, Any] = field(default_factory=dict)
    events: int = 0


def agenda_of(events: Iterable[Event]) -> Agenda:
    """The fold."""
    agenda = Agenda()
    for event in events:
        if isinstance(event, ScheduleNoted):
            apply(agenda, event)
    return agenda


def apply(agenda: Agenda, event: ScheduleNoted) -> None:  # noqa: C901, PLR0912 - one case for each word
    """Add one event, in place."""
    facts = dict(event.facts)
    # What was kept holds a list of all that was missed: `_restore` takes that.
    if event.what != "kept" and (missed := facts.get("missed")):
        first, last, count, why = missed
        agenda.missed.append(Missed(first, last, count, why, facts.get("tick") or facts["now"]))
    match event.what:
        case "ticked":
            agenda.seen = True
            agenda.tick, agenda.covered = facts["tick"], facts["covered"]
            for name, why in (("due", SCHEDULE), ("again", LOOKBACK)):
                for key in facts.get(name, ()):
                    agenda.pending.setdefault(key, Pending(facts["tick"], why))
        case "triggered":
            cursor = agenda.cursors.setdefault(facts["name"], {})
            for entry, value in facts["cursor"].items():
                if value is None:
                    cursor.pop(entry, None)
                else:
                    cursor[entry] = value
            agenda.events += 1
            for key in facts.get("due", ()):
                agenda.pending[key] = Pending(facts.get("now", event.at), facts["name"], agenda.events)
        case "taken":
            if event.key in agenda.pending:
                claim = (facts["slot"], facts["pid"], facts["start_ticks"], facts["boot_id"])
                agenda.pending[event.key].claim = claim
        case "ended":
            _ended(agenda, event.key, facts)
        case "dropped":
            for key in facts["keys"]:
                agenda.pending.pop(key, None)
        case "paused":
            agenda.paused, agenda.paused_at = facts.get("reason", ""), event.at
        case "resumed":
            agenda.paused = None
        case "marked":
            agenda.marks.pop(event.key, None)
            if facts["as"] != "none":
                agenda.marks[event.key] = Mark(facts["as"], facts.get("reason", ""), event.at)
        case "kept":
            _restore(agenda, facts)
        case _:
            return  # a newer version wrote it


def _ended(agenda: Agenda, key: str, facts: dict[str, Any]) -> None:
    pending = agenda.pending.get(key)
    if pending is None:
        return
    if facts["state"] == DONE:
        del agenda.pending[key]
        return
    pending.claim = None
    pending.tried, pending.ended = facts["slot"], facts["state"]


def kept(events: Iterable[Event], at: str) -> ScheduleNoted | None:
    """The event that can take the place of these; None if a newer version, which may need them, wrote some."""
    agenda = Agenda()
    for event in events:
        if isinstance(event, ScheduleNoted):
            if event.what not in _WORDS:
                return None
            apply(agenda, event)
    facts = {
        "seen": agenda.seen,
        "tick": agenda.tick,
        "covered": agenda.covered,
        "pending": {key: list(astuple(pending)) for key, pending in agenda.pending.items()},
        "missed": [list(astuple(missed)) for missed in agenda.missed[-_MISSED_KEPT:]],
        "paused": agenda.paused,
        "paused_at": agenda.paused_at,
        "marks": {key: list(mark) for key, mark in agenda.marks.items()},
        "cursors": agenda.cursors,
        "events": agenda.events,
    }
    return ScheduleNoted("", at, "kept", "", tuple(facts.items()))


def _restore(agenda: Agenda, facts: dict[str, Any]) -> None:
    agenda.seen, agenda.tick, agenda.covered = facts["seen"], facts["tick"], facts["covered"]
    agenda.pending = {}
    for key, (due_at, why, event, tried, ended, claim) in facts["pending"].items():
        agenda.pending[key] = Pending(due_at, why, event, tried, ended, tuple(claim) if claim is not None else None)
    agenda.missed = [Missed(*fields) for fields in facts["missed"]]
    agenda.paused, agenda.paused_at = facts["paused"], facts["paused_at"]
    agenda.marks = {key: Mark(*fields) for key, fields in facts["marks"].items()}
    agenda.cursors = {name: dict(cursor) for name, cursor in facts["cursors"].items()}
    agenda.events = facts["events"]
