"""Data against the JSON Schema, as diagnostics in plain words.

The schemas use a small part of draft-07, and this is a reader of that part. The `jsonschema` package would say "is not
valid under any of the given schemas", knows no positions, takes longer than the parsing of the file, and costs eight
bare starts of Python to import. A test holds the two to the same verdicts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlorch.lang.units import parse_duration, parse_size
from mlorch.spec import schemas
from mlorch.spec.places import Map, Seq, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlorch.model.diagnostics import Diagnostic

Key = str | int
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_CHOICES = re.compile(r"\^\(([a-z_|]+)\)\$")


@dataclass(frozen=True, slots=True)
class Node:
    """A compiled schema: `kinds` are the Python types allowed, None for any."""

    schema: schemas.Schema
    kinds: frozenset[type] | None
    enum: frozenset[str] | None
    pattern: re.Pattern[str] | None
    properties: dict[str, Node]
    extra: Node | None
    closed: bool
    required: tuple[str, ...]
    names: re.Pattern[str] | None
    items: Node | None
    bounds: tuple[tuple[str, float], ...]
    reads: Callable[[str], float] | None = None

    @property
    def sized(self) -> bool:
        """Whether a mapping has a least or largest number of keys."""
        return "minProperties" in self.schema or "maxProperties" in self.schema

    @property
    def hint(self) -> str:
        """How to mend a value of the wrong shape."""
        return str(self.schema.get("x-hint", ""))


@dataclass(slots=True)
class Shape:
    """Checks the data of one file; `problems` grow, and what is unsound is in `unsound` as (container, key)."""

    text: Text
    problems: list[Diagnostic] = field(default_factory=list)
    unsound: list[tuple[Map | Seq, Key]] = field(default_factory=list)
    said: set[tuple[str, int, str]] = field(default_factory=set)

    def check(self, kind: str, data: Map) -> None:
        """Hold `data` against the schema of `kind` (`pipeline` or `project`)."""
        self._object(compiled(kind), data, "")

    def prune(self) -> None:
        """Take what is unsound out of the data, so that rules may look at the rest."""
        done: set[tuple[int, Key]] = set()
        for container, key in reversed(self.unsound):
            if (id(container), key) in done:
                continue
            done.add((id(container), key))
            if isinstance(container, Seq) and isinstance(key, int):
                if key < len(container):
                    container.drop(key)
            elif isinstance(container, Map) and isinstance(key, str):
                container.drop(key)

    def _value(self, node: Node, value: Any, where: tuple[Map | Seq, Key], path: str) -> None:
        kind = type(value)
        if kind is Map:
            kind = dict
        elif kind is Seq:
            kind = list
        if node.kinds is not None and kind not in node.kinds:
            self._wrong_type(node, value, where, path)
            return
        if kind is str:
            if not self._text(node, value, where, path):
                self._refuse(where)
        elif kind is dict:
            self._object(node, value, path, where)
        elif kind is list:
            self._array(node, value, where, path)
        elif not self._number(node, value, where, path):
            self._refuse(where)

    def _refuse(self, where: tuple[Map | Seq, Key]) -> None:
        self.unsound.append(where)

    def _report(self, code: str, message: str, offset: int, hint: str) -> None:
        # A part that aliases share is met more than once, by other names.
        if (code, offset, hint) not in self.said:
            self.said.add((code, offset, hint))
            self.problems.append(self.text.problem(code, message, offset, hint))

    def _wrong_type(self, node: Node, value: Any, where: tuple[Map | Seq, Key], path: str) -> None:
        types = node.schema["type"]
        types = types if isinstance(types, list) else [types]
        expected = " or ".join(_NAMES[name] for name in types if name != "null")
        if "x-reads" in node.schema:
            expected = f"a {node.schema['x-reads']} with its unit"
        actual = _describe(value)
        hint = node.hint
        if not hint and "string" in types and isinstance(value, int | float | bool):
            hint = "put it in quotes"
        if not hint and types == ["array"] and isinstance(value, str):
            hint = f"write `[{_cut(value)}]`"
        message = f"`{path}` is {actual}; expected {expected}"
        if value is None:
            message = f"`{path}` has no value; expected {expected}"
        self._report("E203", message, _offset(where), hint)
        self._refuse(where)

    def _text(self, node: Node, value: str, where: tuple[Map | Seq, Key], path: str) -> bool:
        if node.enum is not None and value not in node.enum:
            self._choice(node, sorted(node.enum, key=node.schema["enum"].index), value, where, path)
            return False
        if node.bounds and len(value) < node.schema.get("minLength", 0):
            self._report(
                "E205", f"`{path}` is empty", _offset(where), node.hint or "write a value, or leave the key out"
            )
            return False
        if node.reads is not None and value not in _read_before:
            try:
                node.reads(value)
            except ValueError as error:
                self._report("E205", f"`{path}`: {error}", _offset(where), "")
                return False
            if len(_read_before) < _REMEMBERED:
                _read_before.add(value)
        if node.pattern is not None and not node.pattern.search(value):
            choices = _CHOICES.fullmatch(node.schema["pattern"])
            if choices:
                self._choice(node, choices[1].split("|"), value, where, path)
            else:
                message = f"`{path}`: `{_cut(value)}` is not in the right form"
                self._report("E205", message, _offset(where), node.hint or f"it must match {node.schema['pattern']}")
            return False
        return True

    def _choice(self, node: Node, choices: list[str], value: str, where: tuple[Map | Seq, Key], path: str) -> None:
        refused = node.schema.get("x-refused", {})
        if value in refused:
            self._report("E208", f"`{path}: {value}`: {refused[value]}", _offset(where), node.hint)
            return
        meant = suggest(value, choices)
        hint = f"did you mean `{meant}`?" if meant else ""
        self._report(
            "E204", f"`{path}` cannot be `{_cut(value)}`; it is one of {', '.join(choices)}", _offset(where), hint
        )

    def _number(self, node: Node, value: Any, where: tuple[Map | Seq, Key], path: str) -> bool:
        if isinstance(value, bool) or value is None:
            return True
        schema = node.schema
        if "const" in schema and value != schema["const"]:
            message = f"`{path}` is {value}; this mlorch reads {schema['const']}"
            self._report("E204", message, _offset(where), f"write `{path}: {schema['const']}`")
            return False
        for key, limit in node.bounds:
            if key == "minimum" and not value >= limit:
                self._report(
                    "E206", f"`{path}` is {_cut(str(value))}; the least is {limit:g}", _offset(where), node.hint
                )
                return False
            if key == "maximum" and not value <= limit:
                self._report(
                    "E206", f"`{path}` is {_cut(str(value))}; the most is {limit:g}", _offset(where), node.hint
                )
                return False
        return True

    def _array(self, node: Node, value: Seq, where: tuple[Map | Seq, Key], path: str) -> None:
        if node.bounds and len(value) < node.schema.get("minItems", 0):
            self._report("E206", f"`{path}` is an empty list", _offset(where), node.hint or "leave the key out")
            self._refuse(where)
            return
        if node.items is not None:
            item = node.items
            for position, element in enumerate(value):
                self._value(item, element, (value, position), f"{path}[{position}]")

    def _object(self, node: Node, value: Map, path: str, where: tuple[Map | Seq, Key] | None = None) -> None:
        if node.sized:
            self._size(node, value, path, where)
        for key in node.required:
            if key not in value:
                self._missing(node, key, value.offset if where is None else _key_offset(where), path)
                if where is not None and key != "run":
                    self._refuse(where)
        properties, extra, names = node.properties, node.extra, node.names
        for key, item in value.items():
            if key[:2] == "x-":
                continue
            if names is not None and not names.search(key):
                hint = str(node.schema["propertyNames"].get("x-hint", ""))
                self._report("E205", f"`{_cut(key)}` cannot be a name in `{path}`", value.mark(key)[0], hint)
            child = properties.get(key, extra)
            if child is not None:
                self._value(child, item, (value, key), f"{path}.{key}" if path else key)
            elif node.closed:
                self._unknown(node, key, value, path)

    def _size(self, node: Node, value: Map, path: str, where: tuple[Map | Seq, Key] | None) -> None:
        size = sum(1 for key in value if not key.startswith("x-"))
        offset = value.offset if where is None else _offset(where)
        for key, limit in node.bounds:
            if key == "minProperties" and size < limit:
                self._report("E206", f"`{path}` is empty", offset, node.hint or _known(node))
            elif key == "maxProperties" and size > limit:
                message = f"`{path}` has {size} keys; at most {limit:g} can be used together"
                self._report("E206", message, offset, node.hint or _known(node))
            else:
                continue
            if where is not None:
                self._refuse(where)

    def _missing(self, node: Node, key: str, offset: int, path: str) -> None:
        child = node.properties.get(key)
        description = str(child.schema.get("description", "")) if child else ""
        place = f"`{path}` lacks" if path else "the file lacks"
        hint = f"{key}: {description}" if description else f"add `{key}: …`"
        self._report("E202", f"{place} the key `{key}`", offset, hint)

    def _unknown(self, node: Node, key: str, value: Map, path: str) -> None:
        meant = suggest(key, node.properties)
        hint = f"did you mean `{meant}`?" if meant else _known(node)
        place = f" in `{path}`" if path else ""
        self._report("E201", f"unknown key `{_cut(key)}`{place}", value.mark(key)[0], hint)
        self._refuse((value, key))


def compiled(kind: str) -> Node:
    """The compiled schema of `kind`."""
    if kind not in _compiled:
        _compiled[kind] = _Compiler(schemas.load(kind)).node(schemas.load(kind))
    return _compiled[kind]


_compiled: dict[str, Node] = {}
_READERS: dict[str, Callable[[str], float]] = {"duration": parse_duration, "size": parse_size}
_REMEMBERED = 1000
_read_before: set[str] = set()
"""Durations and sizes found sound; files repeat a handful of them."""


class _Compiler:
    def __init__(self, root: schemas.Schema) -> None:
        self.root = root
        self.shared: dict[str, Node] = {}

    def node(self, schema: schemas.Schema) -> Node:
        reference = str(schema["$ref"]) if "$ref" in schema else ""
        if reference in self.shared:
            return self.shared[reference]
        full = schemas.resolve(self.root, schema)
        types = full.get("type")
        types = [types] if isinstance(types, str) else types
        extra = full.get("additionalProperties")
        names = full.get("propertyNames", {}).get("pattern")
        found = Node(
            schema=full,
            kinds=frozenset(kind for name in types for kind in _TYPES[name]) if types else None,
            enum=frozenset(full["enum"]) if "enum" in full else None,
            pattern=re.compile(full["pattern"]) if "pattern" in full else None,
            properties={key: self.node(value) for key, value in full.get("properties", {}).items()},
            extra=self.node(extra) if isinstance(extra, dict) else None,
            closed=extra is False,
            required=tuple(full.get("required", ())),
            names=re.compile(names) if names else None,
            items=self.node(full["items"]) if "items" in full else None,
            bounds=tuple((key, full[key]) for key in _BOUNDS if key in full),
            reads=_READERS.get(full.get("x-reads", "")),
        )
        if reference:
            self.shared[reference] = found
        return found


_BOUNDS = ("minimum", "maximum", "minLength", "minItems", "minProperties", "maxProperties", "const")


def suggest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that was most likely meant by `word`, or ""."""
    from difflib import get_close_matches

    low = word.lower().replace("-", "_")
    names = {name.lower(): name for name in known}
    close = [low] if low in names else get_close_matches(low[:100], names, n=1, cutoff=0.6)
    return names[close[0]] if close else ""


def _known(node: Node) -> str:
    return f"known here: {', '.join(node.properties)}" if node.properties else ""


def _offset(where: tuple[Map | Seq, Key]) -> int:
    container, key = where
    if isinstance(container, Map):
        return container.mark(str(key))[1]
    return container.marks[int(key)]


def _key_offset(where: tuple[Map | Seq, Key]) -> int:
    """Where the key of a mapping stands, or the item of a list."""
    container, key = where
    return container.mark(str(key))[0] if isinstance(container, Map) else container.marks[int(key)]


def _describe(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {_cut(str(value))}"
    if isinstance(value, str):
        return f"the text `{_cut(value)}`"
    return "a list" if isinstance(value, list) else "a mapping"


def _cut(value: str) -> str:
    line = value.replace("\n", "⏎")
    return line if len(line) <= 60 else line[:59] + "…"
