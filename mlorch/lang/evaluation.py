"""Evaluating expressions that are more than a plain name. Imported only then: `simpleeval` and `ast` cost start-up time.

`simpleeval` walks the tree; which nodes, operators and functions there are is decided here and in `grammar`. Every
operation is bounded: no power, no repetition of text, no number beyond 1,024 bits, no text or list past a limit.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from simpleeval import InvalidExpression, SimpleEval

from mlorch.lang.grammar import path_of
from mlorch.lang.terms import CONSTANTS, ExpressionError
from mlorch.lang.values import LARGEST_BITS, is_number, kind, member

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_TEXT = 100_000
_LONGEST_LIST = 100_000
_DAY = 86400
_TOKENS = frozenset("aAbBdHIjmMpSuVwyYGzZf%")


class _Problem(Exception):  # noqa: N818 - never leaves this module
    """Something wrong with values; the evaluator adds the place."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class _Evaluator(SimpleEval):  # type: ignore[misc]  # simpleeval has no types
    """Walks a checked tree. Names come from the scope only, attributes from mappings only."""

    def __init__(self, scope: Mapping[str, object]) -> None:
        super().__init__(operators=_OPERATORS, functions=_FUNCTIONS, names={})
        self._scope = scope
        self.nodes = {
            ast.Constant: self._eval_constant,
            ast.UnaryOp: self._eval_unaryop,
            ast.BinOp: self._eval_binop,
            ast.BoolOp: self._eval_boolop,
            ast.Compare: self._eval_compare,
            ast.IfExp: self._eval_ifexp,
            ast.Call: self._eval_call,
            ast.Name: self._look_up,
            ast.Attribute: self._attribute,
            ast.Subscript: self._index,
            ast.List: self._list,
        }

    def _eval(self, node: ast.expr) -> object:
        # The base class would look into every container after each step, which would wake what is lazy.
        try:
            value = self.nodes[type(node)](node)
        except _Problem as problem:
            raise ExpressionError(problem.message, node.col_offset, problem.hint) from None
        return list(value) if isinstance(value, tuple) else value

    def _look_up(self, node: ast.Name) -> object:
        if node.id in CONSTANTS:
            return CONSTANTS[node.id]
        return _located(node, self._scope, node.id)

    def _attribute(self, node: ast.Attribute) -> object:
        return _located(node, self._eval(node.value), node.attr)

    def _index(self, node: ast.Subscript) -> object:
        container, key = self._eval(node.value), self._eval(node.slice)
        if isinstance(container, list | str):
            if not isinstance(key, int) or isinstance(key, bool):
                raise _Problem(f"{kind(container)} is indexed by a whole number, not by {kind(key)}")
            if not -len(container) <= key < len(container):
                raise _Problem(f"there is no item {key}: {kind(container)} of {len(container)}")
            return container[key]
        return _located(node, container, key)

    def _list(self, node: ast.List) -> object:
        return [self._eval(item) for item in node.elts]


def _located(node: ast.expr, container: object, name: object) -> object:
    """`values.member`, with the place of the node in its error."""
    try:
        return member(container, name, path_of(node))
    except ExpressionError as error:
        raise error.moved(node.col_offset) from None


def run(body: ast.expr, scope: Mapping[str, object]) -> object:
    """The value of a checked tree. Raises `ExpressionError` with an offset in its text, and what a lazy scope raises."""
    try:
        value: object = _Evaluator(scope).eval("", previously_parsed=body)
    except InvalidExpression as error:
        raise ExpressionError(str(error)) from None
    except RecursionError:
        raise ExpressionError("too many operators inside each other", 0, "compute it in a step") from None
    return value


def _number(value: Any) -> object:
    """`value` if it is a number that may be: whole ones up to 1,024 bits, no infinity, no NaN."""
    if isinstance(value, int):
        if value.bit_length() > LARGEST_BITS:
            raise _Problem("the number becomes too large")
    elif value - value != 0:
        raise _Problem("the number becomes too large, or is none")
    return value


def _both(left: object, right: object, word: str) -> None:
    if not (is_number(left) and is_number(right)):
        odd = right if is_number(left) else left
        hint = "texts are put side by side as `${{ a }}${{ b }}`" if isinstance(odd, str) else ""
        raise _Problem(f"cannot {word} {kind(left)} and {kind(right)}", hint)


def _arithmetic(word: str, compute: Callable[[Any, Any], Any]) -> Callable[[object, object], object]:
    """An operator on numbers. What is computed from null is null, so that `max(1*GiB, previous.peak_rss * 2)` works."""

    def apply(left: object, right: object) -> object:
        if left is None or right is None:
            return None
        _both(left, right, word)
        try:
            return _number(compute(_number(left), _number(right)))
        except ZeroDivisionError:
            raise _Problem("division by zero") from None
        except OverflowError:
            raise _Problem("the number becomes too large") from None

    return apply


def _shift(moment: datetime, seconds: object) -> datetime:
    """Whole days go by the calendar, so that a week later is the same time of day; anything else by the clock's seconds."""
    if not is_number(seconds):
        raise _Problem(f"cannot add {kind(seconds)} to a time", "add seconds, such as `7*d` or `2*h`")
    amount = float(cast("float", _number(seconds)))
    try:
        if amount % _DAY == 0:
            local = (moment + timedelta(seconds=amount)).replace(fold=0)
            # There and back again: a time that the clock skips becomes the one that it shows instead.
            return local.astimezone(UTC).astimezone(moment.tzinfo) if moment.tzinfo else local
        return (moment.astimezone(UTC) + timedelta(seconds=amount)).astimezone(moment.tzinfo)
    except (OverflowError, ValueError):
        raise _Problem("the time lies beyond the calendar") from None


def _add(left: object, right: object) -> object:
    if left is None or right is None:
        return None
    if isinstance(left, datetime):
        return _shift(left, right)
    if isinstance(right, datetime):
        return _shift(right, left)
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > _LONGEST_TEXT:
            raise _Problem("the text becomes too long")
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        if len(left) + len(right) > _LONGEST_LIST:
            raise _Problem("the list becomes too long")
        return left + right
    return _arithmetic("add", operator.add)(left, right)


def _subtract(left: object, right: object) -> object:
    if isinstance(left, datetime) and isinstance(right, datetime):
        return (left.astimezone(UTC) - right.astimezone(UTC)).total_seconds()
    if isinstance(left, datetime) and right is not None:
        if not is_number(right):
            raise _Problem(f"cannot subtract {kind(right)} from a time", "subtract seconds, such as `7*d` or `2*h`")
        return _shift(left, -cast("float", right))
    return _arithmetic("subtract", operator.sub)(left, right)


def _comparable(value: object) -> object:
    # Python compares two times of one zone by their clocks, and a zone's clock shows some hours twice.
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _equal(left: object, right: object) -> bool:
    return bool(_comparable(left) == _comparable(right))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def apply(left: object, right: object) -> bool:
        if left is None or right is None:
            raise _Problem("null is neither less nor more than anything", "test for it first: `x == null or x > 1`")
        for one in (is_number, lambda value: isinstance(value, str), lambda value: isinstance(value, datetime)):
            if one(left) and one(right):
                return compare(_comparable(left), _comparable(right))
        hint = "compare labels as texts: `partition.key >= '2013-02-01'`" if isinstance(left, datetime) else ""
        raise _Problem(f"cannot compare {kind(left)} with {kind(right)}", hint)

    return apply


def _contains(item: object, container: object) -> bool:
    if isinstance(container, str):
        if not isinstance(item, str):
            raise _Problem(f"a text holds texts, not {kind(item)}")
        return item in container
    if isinstance(container, list):
        return any(_equal(item, other) for other in container)
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    raise _Problem(f"`in` needs a list, a text or a mapping, not {kind(container)}")


def _sign(compute: Callable[[Any], Any]) -> Callable[[object], object]:
    def apply(value: object) -> object:
        if value is not None and not is_number(value):
            raise _Problem(f"{kind(value)} has no sign")
        return None if value is None else compute(_number(value))

    return apply


def _items(name: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise _Problem(f"`{name}` needs a list, not {kind(value)}")
    return value


def _extreme(name: str, choose: Callable[..., object]) -> Callable[..., object]:
    def apply(*values: object) -> object:
        items = _items(name, values[0]) if len(values) == 1 and isinstance(values[0], list) else list(values)
        items = [item for item in items if item is not None]
        if not items:
            return None
        less = _ordered(operator.le)
        for item in items:
            less(items[0], item)
        return choose(items, key=_comparable)

    return apply


def _length(value: object) -> object:
    if isinstance(value, str | list | Mapping):
        return len(value)
    raise _Problem(f"{kind(value)} has no length")


def _round(value: object, digits: object = 0) -> object:
    if value is None:
        return None
    if not is_number(value) or not isinstance(digits, int) or not -15 <= digits <= 15:
        raise _Problem("`round` takes a number, and how many digits (-15 to 15)")
    rounded: object = round(cast("float", _number(value)), digits)
    return int(cast("float", rounded)) if digits <= 0 else rounded


def _sum(value: object) -> object:
    total: object = 0
    for item in _items("sum", value):
        if item is None:
            raise _Problem("the list has null in it")
        total = _arithmetic("add", operator.add)(total, item)
    return total


def _absolute(value: object) -> object:
    return _sign(abs)(value)


def _date(value: object, form: object = "%Y-%m-%d") -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _Problem(f"`{value}` is no date", "write it as 2013-01-31 or 2013-01-31T06:00:00+00:00") from None
    if not isinstance(value, datetime):
        raise _Problem(f"`date` takes a time, not {kind(value)}")
    if not isinstance(form, str) or len(form) > 200:
        raise _Problem("the second value of `date` is a form such as '%Y/%m'")
    for piece in form.replace("%%", "").split("%")[1:]:
        # Only these: what else a system's strftime takes differs, and a width would make the text as long as it says.
        if piece[:1] not in _TOKENS or not piece:
            raise _Problem(f"`%{piece[:1]}` is not known to `date`", f"there is %{' %'.join(sorted(_TOKENS))}")
    return value.strftime(form)


_OPERATORS: dict[type[ast.AST], Callable[..., object]] = {
    ast.Add: _add,
    ast.Sub: _subtract,
    ast.Mult: _arithmetic("multiply", operator.mul),
    ast.Div: _arithmetic("divide", operator.truediv),
    ast.FloorDiv: _arithmetic("divide", operator.floordiv),
    ast.Mod: _arithmetic("take the rest of", operator.mod),
    ast.Eq: _equal,
    ast.NotEq: lambda left, right: not _equal(left, right),
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _contains,
    ast.NotIn: lambda item, container: not _contains(item, container),
    ast.Not: operator.not_,
    ast.USub: _sign(operator.neg),
    ast.UAdd: _sign(operator.pos),
}
_FUNCTIONS: dict[str, Callable[..., object]] = {
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "len": _length,
    "round": _round,
    "sum": _sum,
    "any": lambda value: any(_items("any", value)),
    "all": lambda value: all(_items("all", value)),
    "abs": _absolute,
    "date": _date,
}
