"""What the YAML parser complains about, in words that say what to type instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlorch.model.diagnostics import Diagnostic
    from mlorch.spec.places import Text

FATAL = frozenset({"E103", "E104", "E106", "E109", "E112", "E113"})
"""Problems after which the data is not whole, so that nothing further is said about it."""

Repair = tuple[str, str]
"""What covers an expression, and the expression."""

_PRIVATE = 0xE000
_QUOTE = "put quotes around the text"

_WORDS = (
    ("mapping values are not allowed", "a `:` where no key can be", _QUOTE + " if it is part of it, or check the indentation"),
    ("found unexpected end of stream", "a quote is never closed", "close it"),
    ("found unexpected document indicator", "a quote is never closed", "close it"),
    ("expected alphabetic or numeric character", "`*` and `&` begin an alias or anchor", _QUOTE + ": '*/15 * * * *'"),
    ("could not find expected ':'", "a line that is neither `key: value` nor `- item`", "add `: value`, or indent it"),
    ("expected <block end>", "this line does not fit the indentation of those above", "line it up with its neighbours"),
    ("expected ',' or ']'", "a list in `[…]` goes wrong here", "separate items by commas, close it by `]`"),
    ("expected ',' or '}'", "a mapping in `{…}` goes wrong here", "separate keys by commas, close it by `}`"),
    ("did not find expected key", "this line does not fit the indentation of those above", "line it up with its neighbours"),
    ("did not find expected '-' indicator", "this line does not fit the list above", "begin it with `- ` or indent it"),
    ("block sequence entries are not allowed", "a `- ` where no list can be", "put the list on lines of its own"),
    ("block collections are not allowed", "a `- ` or `key:` inside `[…]` or `{…}`", "use commas there"),
    ("unknown escape character", "a `\\` sequence that does not exist", "use single quotes, or write `\\\\`"),
    ("special characters are not allowed", "a control character", "remove it"),
    ("control characters are not allowed", "a control character", "remove it"),
    ("undefined tag handle", "a tag that is not defined", "leave the tag out"),
    ("duplicate %YAML", "two `%YAML` lines", "remove both"),
    ("found incompatible YAML", "another YAML version", "remove the `%YAML` line"),
    ("did not find expected node content", "a value is missing here", _QUOTE + " if it begins with a sign like `%` or `,`"),
    ("expected the node content", "a value is missing here", _QUOTE + " if it begins with a sign like `%` or `,`"),
)  # fmt: skip


def events(text: str, feed: Callable[[Callable[[], Any]], None]) -> yaml.YAMLError | None:
    """Give the parser's events of `text` to `feed`; the C parser where PyYAML was built with it."""
    try:
        parser: Any = _parser(text)
        feed(parser.get_event)
    except yaml.YAMLError as error:
        return error
    return None


def _parser(text: str) -> Any:
    return yaml.CSafeLoader(text) if yaml.__with_libyaml__ else yaml.SafeLoader(text)


def position(error: yaml.YAMLError) -> int:
    """Offset of the place that the parser complains about."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return int(mark.index)
    return int(getattr(error, "position", 0) or 0)


def repair(text: Text, current: str, error: yaml.YAMLError, number: int) -> tuple[str, Repair, Diagnostic] | None:
    """For an unquoted `${{` in `[…]` or `{…}`: the text with it covered (same length), and the problem; else None.

    It is covered by a letter that stands for `number`, so that what was there can be put back into the data.
    """
    at = position(error)
    start = -1
    for candidate in range(max(0, at - 3), min(at + 1, len(current))):
        if current.startswith("${{", candidate):
            start = candidate
    if start < 0:
        return None
    end = current.find("}}", start)
    line_end = current.find("\n", start)
    end = min(end + 2 if end >= 0 else len(current), line_end if line_end >= 0 else len(current))
    cover = chr(_PRIVATE + number) * (end - start)
    message = "`${{` without quotes inside `[…]` or `{…}` is no YAML"
    hint = f'put quotes around it: "{text.text[start:end]}"'
    problem = text.problem("E105", message, start, hint, width=end - start)
    return current[:start] + cover + current[end:], (cover, text.text[start:end]), problem


def uncover(node: Any, repairs: list[Repair]) -> None:
    """Put what `repair` covered back into the values, in place."""
    work, seen = [node], set()
    while work:
        node = work.pop()
        if id(node) in seen or not isinstance(node, dict | list):
            continue
        seen.add(id(node))
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(value, str):
                node[key] = _restored(value, repairs)
            else:
                work.append(value)


def _restored(value: str, repairs: list[Repair]) -> str:
    for cover, original in repairs:
        if cover in value:
            value = value.replace(cover, original)
    return value


def explain(text: Text, error: yaml.YAMLError) -> Diagnostic:
    """A diagnostic for an error of the parser."""
    at = min(position(error), len(text.text))
    words = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    char = text.text[at : at + 1]
    line = text.text[text.text.rfind("\n", 0, at) + 1 : at + 1]
    if "cannot start any token" in words and "\t" in line[len(line.rstrip()) - 1 :] + char:
        return text.problem("E106", "a tab where YAML wants spaces", at, "indent with spaces", width=1)
    if "cannot start any token" in words:
        return text.problem("E104", f"a value cannot begin with `{char}`", at, _QUOTE, width=1)
    for part, message, hint in _WORDS:
        if part in words:
            if "escape" in part or "alphabetic" in part:
                return text.problem("E104", message, at, hint, width=1)
            if part.startswith(("special", "control")):
                return text.problem("E103", message, at, hint, width=1)
            return text.problem("E104", message + _begun(text, error, at), at, hint)
    if "nesting depth" in words:  # the parser gives up before ours can count
        return text.problem("E112", "far too many levels of mappings and lists", at, "make it flatter", width=1)
    return text.problem("E104", words, at, "see the source line")


def _begun(text: Text, error: yaml.YAMLError, at: int) -> str:
    """Where the list or mapping in brackets begins that is never closed, if that is in another line."""
    mark = getattr(error, "context_mark", None)
    context = str(getattr(error, "context", None) or "")
    if mark is None or "flow" not in context or text.line_of(mark.index) == text.line_of(at):
        return ""
    return f"; it begins in line {text.line_of(mark.index)}"
