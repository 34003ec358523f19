"""What is part of the expression language, held against Python's syntax tree. Imported when an expression is no plain name."""

from __future__ import annotations

import ast
import re
from keyword import iskeyword

from mlorch.lang.terms import CONSTANTS, FUNCTIONS, ExpressionError, Path

_DEEPEST = 40
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    |(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>\*\*|//|==|!=|<=|>=|[-+*/%<>()\[\],.])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:[\\'\"ntr]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
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
_ALLOWED: dict[type[ast.AST], str] = dict.fromkeys(
    (
        ast.And,
        ast.Or,
        ast.Not,
        ast.USub,
        ast.UAdd,
        ast.Add,
        ast.Sub,
        ast.Mult,
        ast.Div,
        ast.FloorDiv,
        ast.Mod,
        ast.Eq,
        ast.NotEq,
        ast.Lt,
        ast.LtE,
        ast.Gt,
        ast.GtE,
        ast.In,
        ast.NotIn,
        ast.BoolOp,
        ast.UnaryOp,
        ast.BinOp,
        ast.Compare,
        ast.IfExp,
        ast.Call,
        ast.Name,
        ast.Attribute,
        ast.Subscript,
        ast.List,
        ast.Constant,
        ast.Load,
    ),
    "",
)
_REFUSED: dict[type[ast.AST], tuple[str, str]] = {
    ast.Pow: ("`**` is not part of the language", "multiply, or compute it in the step"),
    ast.Tuple: ("a list stands in square brackets", "write `[a, b]`"),
    ast.Starred: ("`*` before a list is not part of the language", "pass the list itself"),
}


def read(text: str) -> tuple[ast.expr, tuple[tuple[Path, int], ...]]:
    """The tree of `text` and the paths in it, as `syntax.tree` describes them."""
    source, mended = _clean(text)
    try:
        body = ast.parse(source, mode="eval").body
        _check(body, source, mended)
        found: list[tuple[Path, int]] = []
        _collect(body, found)
    except SyntaxError as error:
        raise ExpressionError(
            f"cannot be read: {_words(error)}", min(max((error.offset or 1) - 1, 0), len(source) - 1)
        ) from None
    except (RecursionError, MemoryError):
        raise ExpressionError("too many operators inside each other", 0, "compute it in a step") from None
    return body, tuple(sorted(found, key=lambda item: item[1]))


def _words(error: SyntaxError) -> str:
    """Python's message without its guesses, which are about another language."""
    message = (error.msg or "invalid syntax").split(". Perhaps", 1)[0].split(". Maybe", 1)[0]
    if message.startswith("invalid syntax"):
        return "something is missing here, or one thing too many"
    return message


def _check(body: ast.expr, source: str, mended: dict[str, str]) -> None:
    """Refuse what is not part of the language; put mended names back and turn byte offsets into characters."""
    encoded = source.encode()
    for node in ast.walk(body):
        if isinstance(node, ast.expr):
            node.col_offset = len(encoded[: node.col_offset].decode())
    # A second round: an error must find the offset of a parent already turned.
    for node in ast.walk(body):
        offset = node.col_offset if isinstance(node, ast.expr) else 0
        if isinstance(node, ast.BinOp) and type(node.op) in _REFUSED:
            raise ExpressionError(_REFUSED[type(node.op)][0], offset, _REFUSED[type(node.op)][1])
        if type(node) not in _ALLOWED:
            message, hint = _REFUSED.get(type(node), ("this is not part of the language", ""))
            raise ExpressionError(message, offset, hint)
        if isinstance(node, ast.Constant) and node.value is ...:
            raise ExpressionError("`...` is not part of the language", offset)
        if isinstance(node, ast.Attribute):
            node.attr = mended.get(node.attr, node.attr)
        if isinstance(node, ast.Call):
            _check_call(node)


def _check_call(node: ast.Call) -> None:
    allowed = ", ".join(FUNCTIONS)
    if not isinstance(node.func, ast.Name):
        raise ExpressionError("only the language's own functions can be called", node.col_offset, f"they are {allowed}")
    name = node.func.id
    if name not in FUNCTIONS:
        raise ExpressionError(f"there is no function `{name}`", node.col_offset, f"there are {allowed}")
    least, most = FUNCTIONS[name]
    if node.keywords or not least <= len(node.args) <= most:
        count = str(least) if least == most else f"{least} or more" if most > 2 else f"{least} or {most}"
        raise ExpressionError(f"`{name}` takes {count} value{'s' if count != '1' else ''}", node.col_offset)


def path_of(node: ast.expr) -> Path:
    """The path of a name with attributes and constant text indexes; () for anything else."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        before = path_of(node.value)
        return (*before, node.attr) if before else ()
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        before = path_of(node.value)
        return (*before, node.slice.value) if before else ()
    return ()


def _collect(node: ast.expr, found: list[tuple[Path, int]]) -> None:
    path = path_of(node)
    if path:
        if len(path) > 1 or path[0] not in CONSTANTS:
            found.append((path, node.col_offset))
        return
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call):
        children = list(node.args)
    for child in children:
        if isinstance(child, ast.expr):
            _collect(child, found)


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
            if previous[:1] in ("'", '"'):
                raise ExpressionError("two texts side by side", position, "put `+` between them")
            _check_string(word, position)
        elif sort == "number":
            _check_number(word, position, follows)
        elif sort == "name":
            if follows in ("'", '"') and word not in _WORDS:
                raise ExpressionError(f"`{word}` before a quote", position, "texts have no prefix such as f or r")
            if iskeyword(word) and previous == ".":
                # Any letter that no name of ours begins with serves, and Python takes this one for a letter.
                spelling = chr(0x4E00 + ord(word[0])) + word[1:]
                mended[spelling], word = word, spelling
            elif iskeyword(word) and word not in _WORDS:
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
        raise ExpressionError(
            f"`{token}` begins with a zero", position, "write the number without it, or a text in quotes"
        )
