"""Parameters: text from the command line or JSON values, held against their JSON Schema fragments."""

from __future__ import annotations

import json
import operator
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlorch.model.spec import JsonValue, Param

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SILENT = frozenset({"default", "description", "title", "examples", "$comment", "affects_cache"})
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


def canonical(value: JsonValue) -> str:
    """One JSON text for equal values: keys sorted, no spaces, as few escapes as JSON allows.

    Raises `ValueError` for numbers that JSON does not know (NaN, infinity).
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def coerce_text(param: Param, text: str) -> JsonValue:
    """The value of `--param name=text`: the first of the types that `param` allows as which `text` can be read.

    Texts stay as typed; numbers, `true`, `false` and `null` are read as JSON writes them, lists and mappings as JSON.
    Raises `ValueError` with the parameter, what was given and what was expected.
    """
    schema = _schema(param)
    types = _allowed(param, schema)
    choices = schema.get("enum")
    if isinstance(choices, list) and text in choices:
        return text
    value: JsonValue = text
    for name in _TYPES:
        if name in types and name != "string":
            found, read = _read(name, text)
            if found:
                value = read
                break
    else:
        found = "string" in types
    if not found:
        raise ValueError(f"parameter `{param.name}`: expected {_expected(types)}, got `{_shown(text)}`")
    check_value(param, value)
    return value


def check_value(param: Param, value: JsonValue) -> None:
    """Hold `value` against the type and schema of `param`.

    Raises `ValueError` with the parameter, what was given and what was expected.
    """
    problem = _problem(_schema(param), _allowed(param, _schema(param)), value)
    if problem:
        raise ValueError(f"parameter `{param.name}`: {problem}")


def schema_problem(param: Param) -> str:
    """What is wrong with the schema fragment of `param` itself, or with its default; "" if nothing is."""
    schema = _schema(param)
    if not _is_simple(schema):
        from jsonschema import Draft7Validator
        from jsonschema.exceptions import SchemaError

        try:
            Draft7Validator.check_schema(schema)
        except SchemaError as error:
            where = ".".join(str(part) for part in error.absolute_path)
            return f"{where + ': ' if where else ''}{error.message}"
    if param.has_default and param.default is not None:
        problem = _problem(schema, _allowed(param, schema), param.default)
        return f"its default does not fit: {problem}" if problem else ""
    return ""


def allowed_types(param: Param) -> tuple[str, ...]:
    """The JSON types that a value of `param` may have."""
    return _allowed(param, _schema(param))


def _schema(param: Param) -> dict[str, Any]:
    if not param.schema:
        return {}
    loaded = json.loads(param.schema)
    return cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}


def _allowed(param: Param, schema: dict[str, Any]) -> tuple[str, ...]:
    """The JSON types that may be given: what the schema says, else what its choices or the default are."""
    given = schema.get("type")
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list):
        return tuple(str(name) for name in given)
    if isinstance(schema.get("enum"), list):
        return tuple(dict.fromkeys(_type(choice) for choice in schema["enum"]))
    if schema or param.default is None:
        return _TYPES
    return (_type(param.default),)


def _type(value: object) -> str:
    """The JSON type of a value."""
    for name, kind in (
        ("null", type(None)),
        ("boolean", bool),
        ("integer", int),
        ("number", float),
        ("string", str),
        ("array", list),
    ):
        if isinstance(value, kind):
            return name
    return "object"


def _read(name: str, text: str) -> tuple[bool, JsonValue]:
    """(whether `text` can be read as the JSON type `name`, its value)."""
    if name == "null":
        return text == "null", None
    if name == "boolean":
        return text in ("true", "false"), text == "true"
    if name in ("integer", "number"):
        # Beyond 4,300 digits Python refuses to convert, and no double holds so many.
        if len(text) > 400 or not _NUMBER.fullmatch(text):
            return False, None
        value: JsonValue = json.loads(text)
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if name == "integer":
            return whole, int(cast("float", value)) if whole else None
        return value not in (float("inf"), float("-inf")), value
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False, None
    return _type(value) == name, value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _fits(name: str, value: object) -> bool:
    actual = _type(value)
    if name == "number":
        return actual in ("integer", "number")
    if name == "integer":
        return actual == "integer" or (isinstance(value, float) and value.is_integer())
    return actual == name


def _problem(schema: dict[str, Any], types: tuple[str, ...], value: JsonValue) -> str:
    """What is wrong with `value`, "" if nothing is."""
    if not any(_fits(name, value) for name in types):
        return f"expected {_expected(types)}, got {_type(value)} `{_shown(value)}`"
    if _is_simple(schema):
        return next((text for check in _CHECKS if (text := check(schema, value))), "")
    return _full_problem(schema, value)


def _full_problem(schema: dict[str, Any], value: JsonValue) -> str:
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # An own, empty registry: the library's default would fetch a remote `$ref` from the network.
    registry: Any = Registry()
    validator = Draft7Validator(schema, registry=registry)
    try:
        error = best_match(validator.iter_errors(value))
    except Unresolvable as missing:
        return f"its schema refers to `{missing.ref}`, which is not part of it"
    if error is None:
        return ""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"{where.lstrip('.') + ': ' if where else ''}{error.message}"


def _is_simple(schema: dict[str, Any]) -> bool:
    """Whether the checks below say all that the schema says, and its keywords have the right types."""
    return all(key in _SILENT or (key in _SHAPES and _SHAPES[key](value)) for key, value in schema.items())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_type(value: object) -> bool:
    return value in _TYPES if isinstance(value, str) else isinstance(value, list) and all(v in _TYPES for v in value)


_SHAPES: dict[str, Callable[[object], bool]] = {
    "type": _is_type,
    "enum": lambda value: (
        isinstance(value, list) and bool(value) and not any(_type(v) in ("array", "object") for v in value)
    ),
    "minimum": _is_number,
    "maximum": _is_number,
    "exclusiveMinimum": _is_number,
    "exclusiveMaximum": _is_number,
    "minLength": _is_length,
    "maxLength": _is_length,
}


def _check_enum(schema: dict[str, Any], value: Any) -> str:
    if "enum" not in schema or any(_same(value, choice) for choice in schema["enum"]):
        return ""
    return f"expected one of {', '.join(canonical(choice) for choice in schema['enum'])}, got `{_shown(value)}`"


def _same(left: object, right: object) -> bool:
    """Equal as JSON: 1 is 1.0, but not true."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _check_range(schema: dict[str, Any], value: Any) -> str:
    if not _is_number(value):
        return ""
    bounds: tuple[tuple[str, Callable[[Any, Any], bool], str], ...] = (
        ("minimum", operator.ge, "at least"),
        ("maximum", operator.le, "at most"),
        ("exclusiveMinimum", operator.gt, "more than"),
        ("exclusiveMaximum", operator.lt, "less than"),
    )
    for key, holds, words in bounds:
        if key in schema and not holds(value, schema[key]):
            return f"expected {words} {canonical(schema[key])}, got {_shown(value)}"
    return ""


def _check_length(schema: dict[str, Any], value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if len(value) < schema.get("minLength", 0):
        return f"expected at least {schema['minLength']} characters, got {len(value)}"
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        return f"expected at most {schema['maxLength']} characters, got {len(value)}"
    return ""


_CHECKS: tuple[Callable[[dict[str, Any], Any], str], ...] = (_check_enum, _check_range, _check_length)


def _expected(types: tuple[str, ...]) -> str:
    words = {"array": "list (as JSON)", "object": "mapping (as JSON)", "boolean": "true or false"}
    return " or ".join(words.get(name, name) for name in types)


def _shown(value: object) -> str:
    """A value for a message, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"
