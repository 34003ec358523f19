"""Rules about a pipeline as a whole: parameters, secrets, partitions, schedule, kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.params import canonical, check_value, schema_problem
from mlorch.lang.partitions import join_key
from mlorch.model.spec import Kind, TimeDimension, ValueDimension
from mlorch.spec.places import Map
from mlorch.spec.rules.schedule import cron_problem
from mlorch.spec.rules.variables import variable_problem

if TYPE_CHECKING:
    from mlorch.model.spec import Param
    from mlorch.spec.rules.context import Context

_RESERVED = "MLORCH_"
_DIMENSION_NAMES = frozenset({"key", "start", "end"})
_JSON_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
_VALUE_KEYS = ("values", "glob", "command")


def check_pipeline(context: Context) -> None:
    """Everything above the steps but for strings, paths and edges."""
    _params(context)
    _variables(context)
    if context.pipeline.partitions:
        _partitions(context)
    _kind(context)
    if context.pipeline.timeout == 0:
        context.report("E206", "`timeout` is 0", context.at("timeout"), "leave it out for none")


def _params(context: Context) -> None:
    own = context.data.get("params")
    shared = dict(context.project.params)
    for param in context.pipeline.params:
        if not isinstance(own, dict) or param.name not in own:
            continue
        offset = context.at("params", param.name)
        problem = param_problem(param)
        if problem:
            context.report(
                "E701", f"the parameter `{param.name}`: {problem}", offset, "make default and schema fit each other"
            )
        elif not param.has_default and context.names.scheduled and param.name not in shared:
            message = (
                f"the parameter `{param.name}` has no default, and nobody gives it a value when the schedule runs it"
            )
            context.report("E702", message, offset, "add a `default`")
        elif param.name in shared:
            try:
                check_value(param, shared[param.name])
            except ValueError as error:
                context.report(
                    "E701", f"mlorch.yaml gives it another value: {error}", offset, "make the two fit each other"
                )


def param_problem(param: Param) -> str:
    """What is wrong with a parameter's schema or default; "" if nothing is."""
    from json import loads

    try:
        canonical(param.default)
    except ValueError:
        return "its default is no JSON number"
    kinds = loads(param.schema).get("type", []) if param.schema else []
    unknown = next((kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind not in _JSON_TYPES), None)
    if unknown is not None:
        return f"there is no type `{unknown}`; the types are {', '.join(_JSON_TYPES)}"
    try:
        return schema_problem(param)
    except ValueError as error:
        return str(error)


def _variables(context: Context) -> None:
    for name, value in context.pipeline.env:
        if problem := variable_problem(name, value):
            context.report("E505", problem[0], context.at("env", name), problem[1])
        if name.startswith(_RESERVED):
            message = f"variables that begin with {_RESERVED} belong to mlorch"
            context.report("E708", message, context.key_at("env", name), "give it another name")
    for secret in context.pipeline.secrets:
        if secret.name.startswith(_RESERVED):
            message = f"variables that begin with {_RESERVED} belong to mlorch"
            context.report("E708", message, context.key_at("secrets", secret.name), "give the secret another name")


def _partitions(context: Context) -> None:
    raw = context.data.get("partitions")
    seen = ""
    for dimension in context.pipeline.partitions:
        offset = context.key_at("partitions", dimension.name)
        if dimension.name in _DIMENSION_NAMES:
            message = (
                f"a dimension cannot be named `{dimension.name}`: `partition.{dimension.name}` means something else"
            )
            context.report("E705", message, offset, "choose another name")
        data = raw.get(dimension.name) if isinstance(raw, dict) else None
        if not isinstance(data, Map) or ("every" in data.index() and "every" not in data):
            continue
        said = [key for key in ("every", *_VALUE_KEYS) if key in data.index()]
        if len(said) != 1:
            what = f"both `{said[0]}` and `{said[1]}`" if said else "neither `every` nor `values`, `glob` or `command`"
            context.report(
                "E705",
                f"the dimension `{dimension.name}` has {what}",
                offset,
                "a dimension is time, or values: write one of them",
            )
            continue
        if isinstance(dimension, TimeDimension) and said == ["every"]:
            if seen:
                message = f"`{dimension.name}` is a second dimension of time beside `{seen}`"
                context.report("E705", message, offset, "keep one of them")
            seen = dimension.name
            _time(context, dimension)
        if isinstance(dimension, ValueDimension):
            _values(context, dimension)


def _values(context: Context, dimension: ValueDimension) -> None:
    """Labels that are listed: each once, and such that a key can be made of them."""
    for position, label in enumerate(dimension.values):
        try:
            join_key((label,))
            problem = f"`{label}` is here twice" if label in dimension.values[:position] else ""
        except ValueError as error:
            problem = str(error)
        if problem:
            offset = context.at("partitions", dimension.name, "values", position)
            context.report("E704", problem, offset, "each label is a text of its own, without a comma")


def _time(context: Context, dimension: TimeDimension) -> None:
    every = context.data["partitions"][dimension.name].get("every", "day")
    if every not in ("hour", "day", "week", "month"):
        offset = context.at("partitions", dimension.name, "every")
        problem = cron_problem(every) if " " in every or every.startswith("@") else f"`{every}` is no span of time"
        if problem:
            context.report("E707", problem, offset, "write `hour`, `day`, `week`, `month`, or a cron line")
            return
    sound = check_zone(context, dimension.timezone, "partitions", dimension.name, "timezone")
    zone = dimension.timezone if sound else "UTC"
    from mlorch.lang.partitions import bounds

    ends = {}
    for key in ("start", "end"):
        try:
            ends[key] = bounds(
                dimension._replace(timezone=zone, **{"start": "", "end": "", key: getattr(dimension, key)})
            )
        except ValueError as error:
            context.report(
                "E704", str(error), context.at("partitions", dimension.name, key), "write a label of this dimension"
            )
            return
    first, last = ends["start"][0], ends["end"][1]
    if first is not None and last is not None and last.start < first.start:
        message = f"`end` ({dimension.end}) comes before `start` ({dimension.start})"
        context.report("E704", message, context.at("partitions", dimension.name, "end"), "swap them")


def check_zone(context: Context, name: str, *keys: str) -> bool:
    """Whether there is a time zone of that name; says so if not."""
    if name == "UTC":
        return True
    from mlorch.lang.zones import zone

    try:
        zone(name)
    except ValueError as error:
        context.report("E703", str(error), context.at(*keys), "write a name such as Europe/Berlin or UTC")
        return False
    return True


def _kind(context: Context) -> None:
    pipeline = context.pipeline
    kind = pipeline.kind
    if "kind" not in context.data:
        return
    offset = context.at("kind")
    if kind in (Kind.FEATURE, Kind.INFERENCE) and not context.names.dimensions:
        message = f"a pipeline of kind {kind.value} is expected to have `partitions`: it can then be continued, and filled in for the past"
        context.report("W101", message, offset, "add `partitions: {day: {every: day}}`")
    if pipeline.steps and not any(names.outputs or names.metrics for names in context.names.steps.values()):
        message = f"no step of this {kind.value} pipeline declares `outputs`, so nothing it makes is checked, published whole or reused"
        context.report("W102", message, offset, "name under `outputs` what the steps write")
