"""Rules about when a pipeline is due: its schedule and its triggers, looked at as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.spec.places import Map, Seq

if TYPE_CHECKING:
    from collections.abc import Iterator

Problem = tuple[str, str, int, str]
"""(code, message, offset, hint)."""
_FIELDS = "minute, hour, day of month, month, day of week: `15 6 * * *`"
_TIMES = "write a date such as 2026-01-31, or a time such as 2026-01-31T06:00"


def cron_problem(text: str) -> str:
    """What is wrong with a cron line; "" if nothing is."""
    from mlorch.lang.cron import parse_cron

    try:
        parse_cron(text)
    except ValueError as error:
        return str(error)
    return ""


def check_schedule(data: Map) -> list[Problem]:
    """Problems of `schedule` and `triggers`."""
    return [*_schedule(data), *_triggers(data)]


def _schedule(data: Map) -> Iterator[Problem]:
    schedule = data.get("schedule")
    line, offset = schedule, data.mark("schedule")[1] if "schedule" in data else 0
    if isinstance(schedule, Map):
        line, offset = schedule.get("cron"), schedule.mark("cron")[1] if "cron" in schedule else 0
        yield from _zone(schedule)
        yield from _span(schedule)
        yield from _excluded(schedule)
        if "catchup_limit" in schedule and schedule.get("catchup") in ("none", "latest"):
            message = f"`catchup_limit` means nothing with `catchup: {schedule['catchup']}`"
            yield "E209", message, schedule.mark("catchup_limit")[0], "it belongs to `catchup: all`"
    if isinstance(line, str) and (problem := cron_problem(line)):
        yield "E707", problem, offset, _FIELDS


def _zone(schedule: Map) -> Iterator[Problem]:
    name = schedule.get("timezone")
    if isinstance(name, str) and name != "UTC":
        from mlorch.lang.zones import zone

        try:
            zone(name)
        except ValueError as error:
            yield "E703", str(error), schedule.mark("timezone")[1], "write a name such as Europe/Berlin or UTC"


def _span(schedule: Map) -> Iterator[Problem]:
    from mlorch.lang.schedules import moment

    ends = {}
    for key in ("start", "end"):
        if not isinstance(schedule.get(key), str):
            continue
        try:
            ends[key] = moment(schedule[key], "UTC", last=key == "end")
        except ValueError as error:
            yield "E704", str(error), schedule.mark(key)[1], _TIMES
    if len(ends) == 2 and ends["end"] < ends["start"]:
        yield "E704", "`end` of the schedule comes before its `start`", schedule.mark("end")[1], "swap them"


def _excluded(schedule: Map) -> Iterator[Problem]:
    exclude = schedule.get("exclude")
    items = [(exclude, schedule.mark("exclude")[1])] if isinstance(exclude, str) else []
    if isinstance(exclude, Seq):
        items = list(zip(exclude, exclude.marks, strict=True))
    from mlorch.lang.schedules import is_date

    for text, offset in items:
        if not is_date(text) and (problem := cron_problem(text)):
            yield (
                "E707",
                f"{problem}; nor is it a date",
                offset,
                "exclude takes cron lines and dates such as 2026-12-25",
            )


def _triggers(data: Map) -> Iterator[Problem]:
    triggers = data.get("triggers")
    if not isinstance(triggers, Seq):
        return
    for trigger in triggers:
        command = trigger.get("command") if isinstance(trigger, Map) else None
        if not isinstance(command, Map):
            continue
        said = [key for key in ("above", "below", "changed") if key in command]
        if len(said) != 1:
            what = f"both `{said[0]}` and `{said[1]}`" if said else "neither `above`, `below` nor `changed`"
            hint = "say when its number makes the pipeline due: one of the three"
            yield "E209", f"this trigger has {what}", trigger.mark("command")[0], hint
        elif command.get("changed") is False:
            yield "E206", "`changed: false` never makes the pipeline due", command.mark("changed")[1], "write true"
