"""Globs over paths with `/`: `*` and `?` within a name, `[…]`, and `**` for any number of folders.

Names that begin with a dot are matched only by a pattern whose name begins with a dot too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ANY_FOLDERS = "**"


def is_glob(pattern: str) -> bool:
    """Whether `pattern` has any of `*`, `?` and `[`."""
    return "*" in pattern or "?" in pattern or "[" in pattern


def split(pattern: str) -> tuple[str, ...]:
    """The names of `pattern` between slashes; empty names and `.` left out, repeated `**` made one."""
    names: list[str] = []
    for name in pattern.split("/"):
        if name in ("", ".") or (name == ANY_FOLDERS and names and names[-1] == ANY_FOLDERS):
            continue
        names.append(name)
    return tuple(names)


def base(pattern: str) -> str:
    """The folder in which the search for `pattern` begins: its names before the first with a wildcard ("" for here).

    An absolute pattern keeps its leading slash.
    """
    names = split(pattern)
    fixed: list[str] = []
    for name in names[:-1]:
        if is_glob(name):
            break
        fixed.append(name)
    return ("/" if pattern.startswith("/") else "") + "/".join(fixed)


def match_name(pattern: str, name: str) -> bool:
    """Whether one `name` (no slash) matches one name of a pattern (`**` counts as `*`)."""
    return bool(_name_matcher(pattern)(name))


def match(pattern: str, path: str) -> bool:
    """Whether `path` matches `pattern` as a whole. Both are relative to the same folder, or both absolute."""
    return compile_glob(pattern)(path)


@lru_cache(maxsize=1024)
def compile_glob(pattern: str) -> Callable[[str], bool]:
    """A test of paths against `pattern`, for many paths."""
    chunks: list[list[str]] = [[]]
    for name in split(pattern):
        if name == ANY_FOLDERS:
            chunks.append([])
        else:
            chunks[-1].append(_name_regex(name))
    text = "/" if pattern.startswith("/") else ""
    for index, chunk in enumerate(chunks):
        last = index == len(chunks) - 1
        body = "/".join(chunk) + ("" if last else "/" if chunk else "")
        if index == 0:
            text += body
        elif last:
            text += r"(?:[^./][^/]*/)*" + (body or r"[^./][^/]*")
        else:
            # Atomic: the first place where a chunk fits serves as well as any later one, so nothing is tried twice.
            text += rf"(?>(?:[^./][^/]*/)*?{body})"
    expression = re.compile(text, re.DOTALL)

    def matches(path: str) -> bool:
        normal = path
        while normal.startswith("./"):
            normal = normal[2:]
        return expression.fullmatch(normal) is not None

    return matches


@lru_cache(maxsize=1024)
def _name_matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(_name_regex(pattern), re.DOTALL).fullmatch


def _name_regex(pattern: str) -> str:
    """The regular expression of one name; a wildcard at its begin does not match a dot."""
    chunks: list[str] = [""]
    position, end = 0, len(pattern)
    while position < end:
        char = pattern[position]
        position += 1
        if char == "*":
            chunks.append("")
        elif char == "?":
            chunks[-1] += "[^/]"
        elif char == "[":
            # A `]` right after the bracket (or its `!`) is a member; without a closing one, `[` is itself.
            start = position + (pattern[position : position + 1] in ("!", "^"))
            close = pattern.find("]", start + 1)
            if close < 0:
                chunks[-1] += r"\["
                continue
            chunks[-1] += _class_regex(pattern[start:close], negated=start != position)
            position = close + 1
        else:
            chunks[-1] += re.escape(char)
    first, *rest = chunks
    text = ("" if pattern.startswith(".") else r"(?!\.)") + first
    if rest:
        # Atomic, as above: `*a*a*a` must not try all ways to share the letters out.
        text += "".join(f"(?>[^/]*?{chunk})" for chunk in rest[:-1] if chunk) + f"[^/]*{rest[-1]}"
    return text


def _class_regex(members: str, *, negated: bool) -> str:
    """The regular expression of `[members]`; a range that runs backwards matches nothing."""
    out: list[str] = []
    position = 0
    while position < len(members):
        low = members[position]
        if members[position + 1 : position + 2] == "-" and position + 2 < len(members):
            high = members[position + 2]
            if low <= high:
                out.append(f"{re.escape(low)}-{re.escape(high)}")
            position += 3
        else:
            out.append(re.escape(low))
            position += 1
    body = "".join(out)
    if not body:
        return "[^/]" if negated else "(?!)"
    # The look-ahead keeps a range such as `[+-9]` from matching the slash.
    return f"[^/{body}]" if negated else f"(?!/)[{body}]"
