"""Finding `${{ … }}` in text, reading what stands in it, and the names that it refers to. Evaluates nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from mlorch.lang.terms import CLOSE, CONSTANTS, LONGEST, OPEN, Expression, ExpressionError, Names, Path

if TYPE_CHECKING:
    import ast

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""


def has_expression(text: str) -> bool:
    """Whether `text` has at least one `${{`."""
    return OPEN in text


def parse(text: str) -> Expression:
    """Read one expression, given without its braces. Raises `ExpressionError`."""
    stripped = text.strip()
    before = len(text) - len(text.lstrip())
    try:
        return _parse(stripped)
    except ExpressionError as error:
        raise error.moved(before) from None


@lru_cache(maxsize=1024)
def parts(template: str) -> tuple[str | Expression, ...]:
    """The texts and expressions of `template` in their order (empty texts left out).

    Raises `ExpressionError` with an offset in `template`.
    """
    if OPEN not in template:
        return (template,) if template else ()
    out: list[str | Expression] = []
    position = 0
    while (start := template.find(OPEN, position)) >= 0:
        if start > position:
            out.append(template[position:start])
        inner = start + len(OPEN)
        end = _end(template, inner)
        text = template[inner:end]
        stripped = text.strip()
        offset = inner + len(text) - len(text.lstrip())
        try:
            read = _parse(stripped)
        except ExpressionError as error:
            raise error.moved(offset) from None
        out.append(Expression(read.text, read.names, read.places, offset, read.plain))
        position = end + len(CLOSE)
    if position < len(template):
        out.append(template[position:])
    return tuple(out)


@lru_cache(maxsize=4096)  # thousands of steps share a few templates
def references(template: str) -> Names:
    """The dotted paths that the expressions of `template` refer to. Raises `ExpressionError`."""
    if OPEN not in template:
        return frozenset()
    return frozenset(name for part in parts(template) if isinstance(part, Expression) for name in part.names)


def places(template: str) -> tuple[tuple[Path, int], ...]:
    """The dotted paths of `template` with their offsets in it, in order. Raises `ExpressionError`."""
    return tuple(
        (path, part.offset + offset)
        for part in parts(template)
        if isinstance(part, Expression)
        for path, offset in part.places
    )


def parse_condition(text: str) -> Expression:
    """The expression of a `when` or `expr`, which stands bare or in braces. Raises `ExpressionError`."""
    if OPEN not in text:
        return parse(text)
    found = parts(text.strip())
    if len(found) == 1 and isinstance(found[0], Expression):
        only = found[0]
        before = len(text) - len(text.lstrip())
        return Expression(only.text, only.names, only.places, only.offset + before, only.plain)
    raise ExpressionError(
        "a condition is one expression, and here text stands beside `${{ … }}`",
        text.index(OPEN),
        "leave out the braces, or put the whole condition inside them",
    )


def _end(template: str, position: int) -> int:
    """Where the `}}` of an expression is that begins at `position`; quotes inside it may hold braces."""
    start = position
    while position < len(template):
        if template.startswith(CLOSE, position):
            return position
        if template[position] in "'\"":
            match = re.compile(_QUOTED, re.DOTALL).match(template, position)
            if match is None:
                raise ExpressionError("the quote is not closed", position, "close it before `}}`")
            position = match.end()
        else:
            position += 1
    raise ExpressionError("`${{` without `}}`", start - len(OPEN), "close the expression with `}}`")


@lru_cache(maxsize=4096)
def _parse(text: str) -> Expression:
    if not text:
        raise ExpressionError("an empty expression", 0, "put a name into it, such as params.day")
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text)} characters: at most {LONGEST}")
    if path := _plain_path(text):
        if len(path) == 1 and path[0] in CONSTANTS:
            return Expression(text, frozenset(), plain=path)
        return Expression(text, frozenset((path,)), ((path, 0),), plain=path)
    from mlorch.lang.grammar import path_of

    body, found = tree(text)
    return Expression(text, frozenset(path for path, _ in found), found, plain=path_of(body))


def _plain_path(text: str) -> Path:
    """The path of a text that is nothing but names with dots between; () for anything more."""
    from keyword import iskeyword

    names = tuple(text.split("."))
    if text.isascii() and all(name.isidentifier() for name in names) and not iskeyword(names[0]):
        return names
    return ()


@lru_cache(maxsize=1024)
def tree(text: str) -> tuple[ast.expr, tuple[tuple[Path, int], ...]]:
    """The checked syntax tree of `text` (attributes that are Python keywords mended), and the paths it refers to.

    In the tree every `col_offset` counts characters. Raises `ExpressionError` for all that is not part of the language.
    """
    from mlorch.lang.grammar import read

    return read(text)
