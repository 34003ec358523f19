"""The form of expressions: finding `${{ … }}` in text, reading one, and the names that it refers to. Evaluates nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import ast

Path: TypeAlias = tuple[str, ...]
Names: TypeAlias = frozenset[Path]

OPEN, CLOSE = "${{", "}}"
LONGEST = 4096
"""Characters of one expression."""

CONSTANTS: dict[str, object] = {
    "null": None,
    "true": True,
    "false": False,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
}
FUNCTIONS: dict[str, tuple[int, int]] = {
    "min": (1, 100),
    "max": (1, 100),
    "len": (1, 1),
    "round": (1, 2),
    "sum": (1, 1),
    "any": (1, 1),
    "all": (1, 1),
    "abs": (1, 1),
    "date": (1, 2),
}
"""Name → the least and the largest number of arguments."""

_DEEPEST = 40
_PLAIN = re.compile(r"""[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*|\[\s*(?:'[^'\\\n]*'|"[^"\\\n]*")\s*\])*""", re.ASCII)
_PLAIN_PART = re.compile(r"""[A-Za-z_]\w*|'[^']*'|"[^"]*\"""", re.ASCII)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    |(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>\*\*|//|==|!=|<=|>=|[-+*/%<>()\[\],.])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:[\\'\"ntr]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_STRING_END = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_WORDS = frozenset({"and", "or", "not", "in", "if", "else", "True", "False", "None"})
_HINTS = {
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "=": "write `==` to compare",
    "?": "write `a if condition else b`",
    ":": "slices, mappings and `:=` are not part of the language; index one item, as in `a[0]`",
    "{": "mappings and f-strings are not part of the language",
    "}": "an expression ends with `}}`",
    "$": "inside `${{ }}` names stand without `$`",
    "#": "a comment goes outside the expression",
    "'": "the quote is not closed",
    '"': "the quote is not closed",
    "`": "texts stand in single or double quotes",
}


class ExpressionError(ValueError):
    """An expression that cannot be read or evaluated.

    `message` says what is wrong, `offset` where (characters from 0 in the text that was given), `hint` how to mend it.
    """

    def __init__(self, message: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint

    def moved(self, by: int) -> ExpressionError:
        """The same error for a text in which the expression begins `by` characters later."""
        return type(self)(self.message, self.offset + by, self.hint)


class NotKnownYet(Exception):  # noqa: N818 - no error: the value of a step that has still to run
    """Raised by a lazy scope for a value that nobody can know before something else has run."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression. `text` is what stands between the braces, without the spaces around it.

    `names` are the dotted paths that it refers to, `places` the same with their offsets in `text`. `offset` is where `text`
    begins in the template that it was found in (0 if it was given alone). `plain` is the path when it is nothing else.
    """

    text: str
    names: Names
    places: tuple[tuple[Path, int], ...] = ()
    offset: int = 0
    plain: Path = ()


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
            match = _STRING_END.match(template, position)
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
    if _PLAIN.fullmatch(text) and (path := _plain_path(text)):
        if len(path) == 1 and path[0] in CONSTANTS:
            return Expression(text, frozenset(), plain=path)
        return Expression(text, frozenset((path,)), ((path, 0),), plain=path)
    _, found = tree(text)
    return Expression(text, frozenset(path for path, _ in found), found)


def _plain_path(text: str) -> Path:
    """The path of a text that `_PLAIN` knows; () if its first name is a word of the language."""
    names = tuple(match[0].strip("'\"") for match in _PLAIN_PART.finditer(text))
    return () if _is_keyword(names[0]) else names


def _is_keyword(name: str) -> bool:
    from keyword import iskeyword

    return iskeyword(name)


@lru_cache(maxsize=1024)
def tree(text: str) -> tuple[ast.expr, tuple[tuple[Path, int], ...]]:
    """The checked syntax tree of `text` (attributes that are Python keywords mended), and the paths it refers to.

    In the tree every `col_offset` counts characters. Raises `ExpressionError` for all that is not part of the language.
    """
    from mlorch.lang.grammar import read

    source, mended = _clean(text)
    return read(source, mended)


def _clean(text: str) -> tuple[str, dict[str, str]]:
    """`text` with spaces for line ends, and names after a dot that Python reserves in a spelling that it takes.

    Returns it with the table from that spelling to the name. The length stays the same. Raises `ExpressionError` for
    characters, texts and numbers that are not part of the language, so that Python's own reader never sees them.
    """
    out: list[str] = []
    mended: dict[str, str] = {}
    position, depth, previous = 0, 0, ""
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            char = text[position]
            raise ExpressionError(f"`{char}` cannot stand here", position, _HINTS.get(char, ""))
        word, sort = match[0], match.lastgroup
        if sort == "space":
            out.append(" " * len(word))
            position = match.end()
            continue
        follows = text[match.end() : match.end() + 1]
        if sort == "string":
            _check_string(word, position)
        elif sort == "number":
            _check_number(word, position, follows)
        elif sort == "name":
            if follows in ("'", '"') and word not in _WORDS:
                raise ExpressionError(f"`{word}` before a quote", position, "texts have no prefix such as f or r")
            if _is_keyword(word) and previous == ".":
                # Any letter that no name of ours begins with serves, and Python takes this one for a letter.
                spelling = chr(0x4E00 + ord(word[0])) + word[1:]
                mended[spelling], word = word, spelling
            elif _is_keyword(word) and word not in _WORDS:
                raise ExpressionError(
                    f"`{word}` cannot stand here",
                    position,
                    "write `==`" if word == "is" else "write a name, a number, a text in quotes, or an operator",
                )
        depth += (word in ("(", "[")) - (word in (")", "]"))
        if depth > _DEEPEST:
            raise ExpressionError(f"more than {_DEEPEST} brackets inside each other", position)
        out.append(word)
        previous, position = word, match.end()
    return "".join(out), mended


def _check_string(token: str, position: int) -> None:
    for escape in _ESCAPE.finditer(token):
        if len(escape[0]) == 2 and escape[0][1] not in "\\'\"ntr":
            raise ExpressionError(
                f"`{escape[0]}` means nothing in a text", position + escape.start(), r"write `\\` for a backslash"
            )


def _check_number(token: str, position: int, follows: str) -> None:
    if follows.isalnum() or follows == "_":
        hint = f"write `{token}*{follows}`" if follows in ("s", "m", "h", "d") else "put an operator between them"
        raise ExpressionError(f"`{token}` runs into `{follows}`", position, hint)
    if float(token) == float("inf"):
        raise ExpressionError(f"`{token}` is too large a number", position)
    if len(token) > 1 and token[0] == "0" and token[1].isdigit():
        raise ExpressionError(f"`{token}` begins with a zero", position, "write the number without it, or a text in quotes")
