"""Sound data to frozen dataclasses. Lenient where shape has already complained: what is missing takes its default."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mlorch.lang.units import parse_duration, parse_size
from mlorch.model.spec import (
    CATCHUP_LIMIT,
    Backoff,
    Cache,
    CachePolicy,
    CatchUp,
    Check,
    Concurrency,
    Dimension,
    Input,
    Kind,
    Output,
    Owner,
    Param,
    Pipeline,
    Profile,
    Project,
    Retry,
    Schedule,
    Secret,
    SideEffects,
    Span,
    Step,
    TimeDimension,
    Track,
    Trigger,
    TriggerRule,
    UpstreamInput,
    ValueDimension,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.diagnostics import Place
    from mlorch.model.spec import Wanted

Data = dict[str, Any]
LOG_LIMIT = 64 * 1024 * 1024
LIST_INPUT = "all"
"""Name of the one input that a plain list of paths makes."""
ALL_RUNS = ""
"""The group that the project's `concurrency` is about; no group of a pipeline can be named so."""
_LAST = re.compile(r"last\(([0-9]+)\)")
_NO_RETRY = Retry()
_AUTO = Cache()


def pipeline(data: Data, project: Project, file: str, digest: str, places: Mapping[str, Place]) -> Pipeline:
    """A pipeline from settled data. `places` says where each step is described."""
    own = params(data.get("params") or {})
    names = {param.name for param in own}
    shared = tuple(param for param in params(dict(project.params)) if param.name not in names)
    kind = Kind(data.get("kind", "feature"))
    planned = data.get("schedule")
    zone = planned.get("timezone") if isinstance(planned, dict) else None
    dimensions = tuple(dimension(name, value, zone) for name, value in _items(data.get("partitions")))
    return Pipeline(
        name=data.get("name", ""),
        kind=kind,
        owner=owner(data.get("owner", "")),
        steps=tuple(step(name, value, places.get(name)) for name, value in (data.get("steps") or {}).items()),
        file=file,
        digest=digest,
        description=data.get("description", ""),
        runbook=data.get("runbook", ""),
        tags=tuple(data.get("tags", ())),
        params=own + shared,
        env=_env(data),
        secrets=secrets(data.get("secrets") or {}),
        partitions=dimensions,
        timeout=seconds(data.get("timeout")),
        schedule=schedule(planned, kind, dimensions) if planned else None,
        triggers=tuple(trigger(value) for value in data.get("triggers") or ()),
        deadline=seconds(data.get("deadline")),
        concurrency=concurrency(data.get("concurrency"), data.get("name", ""), project),
    )


def schedule(value: Any, kind: Kind, dimensions: tuple[Dimension, ...]) -> Schedule:
    """A schedule: a cron line, or a mapping. Its time zone is that of the partitions unless it has one."""
    data = value if isinstance(value, dict) else {"cron": value}
    zones = [item.timezone for item in dimensions if isinstance(item, TimeDimension)]
    exclude = data.get("exclude", ())
    usual = CatchUp.ALL if kind is Kind.FEATURE else CatchUp.LATEST
    return Schedule(
        data.get("cron", ""),
        data.get("timezone") or (zones[0] if zones else "UTC"),
        data.get("start", ""),
        data.get("end", ""),
        (exclude,) if isinstance(exclude, str) else tuple(exclude),
        CatchUp(data["catchup"]) if "catchup" in data else usual,
        data.get("catchup_limit", CATCHUP_LIMIT),
    )


def trigger(value: Data) -> Trigger:
    """One trigger."""
    if "data" in value:
        data = value["data"] if isinstance(value["data"], dict) else {"glob": value["data"]}
        return Trigger(
            glob=data.get("glob", ""), marker=data.get("marker", ""), quiet_for=seconds(data.get("quiet_for")) or 0.0
        )
    if "command" in value:
        data = value["command"]
        return Trigger(
            run=command(data.get("run", "")),
            above=data.get("above"),
            below=data.get("below"),
            changed=data.get("changed", False),
        )
    return Trigger(pipeline=value.get("pipeline", ""))


def project(data: Data, file: str, digest: str) -> Project:
    """A project from settled data."""
    defaults = {key: value for key, value in (data.get("defaults") or {}).items() if not key.startswith("x-")}
    if "log_limit" in data:
        defaults.setdefault("log_limit", data["log_limit"])
    retention = data.get("retention") or {}
    standard = Project()
    return Project(
        pipelines=tuple(data.get("pipelines", standard.pipelines)),
        state=data.get("state", standard.state),
        env=_env(data),
        params=tuple(_items(data.get("params"))),
        secrets=secrets(data.get("secrets") or {}),
        roots=tuple((name, path.rstrip("/") or "/") for name, path in _items(data.get("roots"))),
        pools=tuple(_items(data.get("pools"))),
        concurrency=_group(data.get("concurrency"), ALL_RUNS),
        retain_runs=retention.get("runs", standard.retain_runs),
        retain_days=retention.get("days", standard.retain_days),
        allow_network_state=data.get("allow_network_state", False),
        file=file,
        digest=digest,
        defaults=json.dumps(defaults, sort_keys=True) if defaults else "",
        profiles=tuple(_profile(name, value) for name, value in _items(data.get("profiles"))),
    )


def _profile(name: str, data: Data) -> Profile:
    return Profile(name, _env(data), tuple(_items(data.get("params"))), tuple(_items(data.get("pools"))))


def step(name: str, data: Data, place: Place | None) -> Step:
    """One step."""
    get = data.get
    when = get("when", "")
    return Step(
        id=name,
        run=command(get("run", "")),
        shell=get("shell", ""),
        needs=tuple(get("needs", ())),
        inputs=inputs(data["inputs"]) if "inputs" in data else (),
        outputs=tuple(output(key, value) for key, value in _items(data["outputs"])) if "outputs" in data else (),
        code=tuple(get("code", ())),
        values=tuple(_items(get("values"))),
        metrics=get("metrics", ""),
        checks=tuple(check(value) for value in get("checks", ())),
        when=when if isinstance(when, str) else str(when).lower(),
        trigger_rule=TriggerRule(get("trigger_rule", "all_success")),
        retry=retry(data["retry"]) if "retry" in data else _NO_RETRY,
        timeout=seconds(get("timeout")),
        grace=(seconds(data["grace"]) or 0.0) if "grace" in data else 10.0,
        cache=cache(data["cache"]) if "cache" in data else _AUTO,
        allow_failure=_failures(get("allow_failure", False)),
        side_effects=SideEffects(get("side_effects", "none")),
        log_limit=size(data["log_limit"]) if "log_limit" in data else LOG_LIMIT,
        pool=wanted(data["pool"]) if "pool" in data else (),
        env=_env(data) if "env" in data else (),
        secrets=tuple(get("secrets", ())),
        params=tuple(get("params", ())),
        working_dir=get("working_dir", ""),
        description=get("description", ""),
        place=place,
    )


def command(value: Any) -> str | tuple[str, ...]:
    """A shell text as it is, a list of words as a tuple."""
    return value if isinstance(value, str) else tuple(value)


def owner(value: Any) -> Owner:
    """An owner from an address, or from a mapping with `email`."""
    if isinstance(value, str):
        return Owner(value)
    contacts = tuple((key, text) for key, text in _items(value) if key not in ("email", "name"))
    return Owner(value.get("email", ""), value.get("name", ""), contacts)


def params(data: Data) -> tuple[Param, ...]:
    """Parameters; a mapping is always a schema."""
    found = []
    for name, value in _items(data):
        if not isinstance(value, dict):
            found.append(Param(name, default=value))
            continue
        fragment = {k: v for k, v in value.items() if k != "affects_cache" and not k.startswith("x-")}
        default = fragment.pop("default", None)
        found.append(
            Param(
                name,
                schema=json.dumps(fragment, sort_keys=True, ensure_ascii=False),
                default=default,
                has_default="default" in value,
                affects_cache=value.get("affects_cache") is not False,
                description=str(value.get("description", "")),
            )
        )
    return tuple(found)


def secrets(data: Data) -> tuple[Secret, ...]:
    """Secrets; a command given as a list is joined with shell quoting."""
    found = []
    for name, value in _items(data):
        for source, text in _items(value):
            if isinstance(text, list):
                from shlex import join

                found.append(Secret(name, source, join(str(word) for word in text)))
            else:
                found.append(Secret(name, source, text))
    return tuple(found)


def dimension(name: str, data: Data, zone: str | None) -> Dimension:
    """A dimension of partitions; one with `every` (or with none of the keys of values) is time."""
    if "values" in data or "glob" in data or "command" in data:
        return ValueDimension(
            name, tuple(data.get("values", ())), data.get("glob", ""), command(data.get("command", ""))
        )
    every = data.get("every", "day")
    is_cron = every not in ("hour", "day", "week", "month")
    return TimeDimension(
        name,
        every="" if is_cron else every,
        cron=every if is_cron else "",
        start=data.get("start", ""),
        end=data.get("end", ""),
        timezone=data.get("timezone") or zone or "UTC",
        lag=seconds(data.get("lag")) or 0.0,
        lookback=data.get("lookback", 0),
    )


def inputs(data: Any) -> tuple[Input, ...]:
    """Named inputs; a plain list is one input by the name `all`."""
    if isinstance(data, list):
        return (Input(LIST_INPUT, tuple(data), is_list=True),) if data else ()
    return tuple(one_input(name, value) for name, value in _items(data))


def one_input(name: str, value: Any) -> Input:
    """One input: a path, a list of paths, or a mapping."""
    if isinstance(value, str):
        return Input(name, (value,))
    if isinstance(value, list):
        return Input(name, tuple(value), is_list=True)
    path = value.get("path", ())
    return Input(
        name,
        paths=(path,) if isinstance(path, str) else tuple(path),
        is_list=isinstance(path, list),
        required=value.get("required", True),
        track=Track(value.get("track", "content")),
        max_age=seconds(value.get("max_age")),
        upstream=_upstream(value) if "pipeline" in value or "output" in value else None,
    )


def _upstream(value: Data) -> UpstreamInput:
    wanted = value.get("partitions", "same")
    span, count, first, last = Span.SAME, 0, "", ""
    if isinstance(wanted, dict):
        span, first, last = Span.RANGE, str(wanted.get("from", "")), str(wanted.get("to", ""))
    elif match := _LAST.fullmatch(wanted):
        span, count = Span.LAST, int(match[1])
    else:
        span = Span(wanted)
    return UpstreamInput(value.get("pipeline", ""), value.get("output", ""), span, count, first, last)


def output(name: str, value: Any) -> Output:
    """One output: a path, or a mapping."""
    if isinstance(value, str):
        return Output(name, value)
    return Output(
        name,
        value.get("path", ""),
        non_empty=value.get("check") == "non_empty",
        temp=value.get("temp", False),
        write=Write(value["write"]) if "write" in value else None,
    )


def check(value: Data) -> Check:
    """One check."""
    return Check(
        expr=value.get("expr", ""),
        run=command(value.get("run", "")),
        warn=value.get("severity") == "warn",
        message=value.get("message", ""),
    )


def retry(value: Any) -> Retry:
    """How often an attempt is repeated; a number counts the *further* attempts."""
    if isinstance(value, int):
        return Retry(attempts=value + 1)
    return Retry(
        attempts=value.get("attempts", 1),
        delay=seconds(value.get("delay")) or 0.0,
        backoff=Backoff(value.get("backoff", "constant")),
        max_delay=seconds(value.get("max_delay")),
        full_jitter=value.get("jitter") == "full",
        exit_codes=tuple(value.get("exit_codes", ())),
        signals=tuple(value["signals"]) if "signals" in value else None,
        on_timeout=value.get("on_timeout", True),
        never=tuple(value.get("never", ())),
    )


def cache(value: Any) -> Cache:
    """When the last result counts."""
    if isinstance(value, str):
        return Cache(CachePolicy(value))
    return Cache(
        CachePolicy(value.get("policy", "auto")),
        version=str(value.get("version", "")),
        ttl=seconds(value.get("ttl")),
        ignore=tuple(value.get("ignore", ())),
    )


def seconds(value: Any) -> float | None:
    """A duration in seconds, None for none. One that cannot be read is None too: a rule has reported it."""
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError:
        return None


def size(value: str) -> int:
    """A size in bytes; the standard log limit for one that cannot be read: a rule has reported it."""
    try:
        return parse_size(value)
    except ValueError:
        return LOG_LIMIT


def concurrency(value: Any, name: str, project: Project) -> tuple[Concurrency, ...]:
    """The groups of a pipeline: the project's, of all its runs, and its own."""
    own = _group(value, name)
    return tuple(group for group in (project.concurrency, own) if group is not None)


def _group(value: Any, name: str) -> Concurrency | None:
    if value is None:
        return None
    return Concurrency(value.get("group", name), value.get("limit", 1), value.get("if_busy", "wait"))


def wanted(value: Any) -> Wanted:
    """The slots that a step takes: one of a pool that is named, or as many as a mapping says."""
    return ((value, 1),) if isinstance(value, str) else tuple(sorted(_items(value)))


def _failures(value: Any) -> bool | tuple[int, ...]:
    if isinstance(value, bool):
        return value
    return (value,) if isinstance(value, int) else tuple(value)


def _env(data: Data) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in _items(data.get("env")))


def _items(data: Any) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in data.items() if key[:2] != "x-"] if data else []
