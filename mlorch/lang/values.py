"""What expressions are about: looking into mappings, and values written as text."""

from __future__ import annotations

from collections.abc import Mapping

from mlorch.lang.terms import CONSTANTS, ExpressionError, Path

LARGEST_BITS = 1024
_NO_DOUBLE = (float("inf"), float("-inf"))


def is_number(value: object) -> bool:
    """Whole and broken numbers, and truth values, which count as 0 and 1."""
    return isinstance(value, int | float)


def is_time(value: object) -> bool:
    """An instant with its offset; asked by name, since most programs' values need no `datetime` imported."""
    return type(value).__name__ == "datetime" and hasattr(value, "utcoffset")


def kind(value: object) -> str:
    """What `value` is, in words for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if is_number(value):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a time" if is_time(value) else "something else"


def member(container: object, name: object, path: Path = ()) -> object:
    """`container.name`, or `container[name]` of a mapping; null of null.

    Raises `ExpressionError` (offset 0) when it is not there, with what was perhaps meant; what a lazy mapping raises
    beside `KeyError` passes through.
    """
    if container is None:
        return None
    shown = ".".join(path) or str(name)
    if not isinstance(container, Mapping):
        owner = f"`{'.'.join(path[:-1])}` is" if len(path) > 1 else "this is"
        raise ExpressionError(f"`{shown}` does not exist: {owner} {kind(container)}, which has no names in it")
    try:
        value: object = container[name]
    except KeyError:
        raise ExpressionError(f"`{shown}` does not exist", 0, _near(str(name), container, path)) from None
    except TypeError:
        raise ExpressionError(f"{kind(name)} cannot be the name of something") from None
    return value


def _near(name: str, container: Mapping[object, object], path: Path) -> str:
    from difflib import get_close_matches

    known = sorted(str(key) for key in container)
    close = get_close_matches(name, known, 1, 0.6)
    if close:
        return f"did you mean `{'.'.join((*path[:-1], close[0]))}`?"
    if not known:
        return f"`{'.'.join(path[:-1])}` is empty" if len(path) > 1 else ""
    return f"there is {', '.join(known[:12])}{' …' if len(known) > 12 else ''}"


def resolve(path: Path, scope: Mapping[str, object]) -> object:
    """The value of a plain path. Raises as `member` does."""
    value = CONSTANTS[path[0]] if path[0] in CONSTANTS else member(scope, path[0], path[:1])
    for index in range(1, len(path)):
        value = member(value, path[index], path[: index + 1])
    return value


def plain_data(value: object) -> object:
    """`value` as JSON knows it: mappings as dictionaries, tuples as lists, times as ISO 8601 with offset."""
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    return value.isoformat() if is_time(value) else value  # type: ignore[attr-defined]  # is_time saw to it without importing datetime


def to_text(value: object, shown: str = "the value") -> str:
    """`value` as it stands in text: texts as they are, numbers, true and false as JSON writes them, mappings as JSON.

    Times are ISO 8601 with offset. Raises `ExpressionError` (offset 0) for null, for lists, and for what JSON does not know.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise ExpressionError(f"{shown} is null", 0, "give a value for that case: `x if x != null else 'none'`")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value.bit_length() > LARGEST_BITS:
            raise ExpressionError(f"{shown} is too large a number")
        return int.__repr__(value)
    if isinstance(value, float):
        if value != value or value in _NO_DOUBLE:  # noqa: PLR0124 - only NaN differs from itself
            raise ExpressionError(f"{shown} is no number that can be written")
        return float.__repr__(value)
    if isinstance(value, list | tuple):
        raise ExpressionError(
            f"{shown} is a list, which cannot stand inside text",
            0,
            "give it a word of its own in `run`, or take one item",
        )
    if isinstance(value, Mapping):
        from json import dumps

        try:
            return dumps(plain_data(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, RecursionError):
            raise ExpressionError(f"{shown} cannot be written as JSON") from None
    if is_time(value):
        return str(value.isoformat())  # type: ignore[attr-defined]  # the same
    raise ExpressionError(f"{shown} cannot be written as text")


def holds_half_characters(value: object) -> bool:
    """Whether a text in what JSON gave holds a lone surrogate: JSON can say it, and no file, variable or argument can hold it."""
    import json  # who only looks names up needs none

    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
