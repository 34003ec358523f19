"""The one expression language, `${{ … }}`: reading, the names referred to, evaluating, and filling templates.

A plain dotted name is read and evaluated here; anything more imports `simpleeval` when it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.syntax import has_expression, parse, parse_condition, parts, places, references, tree
from mlorch.lang.terms import Expression, ExpressionError, Names, NotKnownYet, Path
from mlorch.lang.values import resolve, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Expression",
    "ExpressionError",
    "Names",
    "NotKnownYet",
    "Path",
    "condition",
    "evaluate",
    "has_expression",
    "parse",
    "parse_condition",
    "parts",
    "places",
    "references",
    "render",
    "text_of",
    "to_text",
    "value_of",
]


def evaluate(expression: Expression, scope: Mapping[str, object]) -> object:
    """The value of `expression`, whose names are looked up in `scope`.

    Raises `ExpressionError` with an offset in `expression.text`; what a lazy mapping in the scope raises (`NotKnownYet`, an
    error of `model.errors`) passes through unchanged.
    """
    if expression.plain:
        value = resolve(expression.plain, scope)
        return list(value) if isinstance(value, tuple) else value
    from mlorch.lang.evaluation import run

    body, _ = tree(expression.text)
    return run(body, scope)


def text_of(expression: Expression, scope: Mapping[str, object]) -> str:
    """The value of `expression` as text. Raises as `evaluate`, and `ExpressionError` for null and lists."""
    return to_text(evaluate(expression, scope), f"`{expression.text}`")


def render(template: str, scope: Mapping[str, object]) -> str:
    """`template` with its expressions filled in: texts as they are, numbers and truth values as JSON writes them.

    Raises as `text_of`, with offsets in `template`.
    """
    if not has_expression(template):
        return template
    out: list[str] = []
    for part in parts(template):
        if isinstance(part, str):
            out.append(part)
            continue
        try:
            out.append(text_of(part, scope))
        except ExpressionError as error:
            raise error.moved(part.offset) from None
    return "".join(out)


def value_of(template: str, scope: Mapping[str, object]) -> object:
    """The raw value of a template that is exactly one expression (spaces around it do not count), else its text."""
    if not has_expression(template):
        return template
    found = [part for part in parts(template) if not (isinstance(part, str) and part.isspace())]
    only = found[0]
    if len(found) == 1 and isinstance(only, Expression):
        try:
            return evaluate(only, scope)
        except ExpressionError as error:
            raise error.moved(only.offset) from None
    return render(template, scope)


def condition(text: str, scope: Mapping[str, object]) -> object:
    """The value of a `when` or `expr`, bare or in braces. Raises as `evaluate`, with offsets in `text`."""
    expression = parse_condition(text)
    try:
        return evaluate(expression, scope)
    except ExpressionError as error:
        before = 0 if has_expression(text) else len(text) - len(text.lstrip())
        raise error.moved(expression.offset + before) from None
