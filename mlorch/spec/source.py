"""Strict YAML: bytes to data with positions, or every problem that the text itself has.

YAML 1.2 core, but an integer with a leading zero stays text. PyYAML's own constructors follow YAML 1.1 and forgive
duplicate keys, so only its parser is used: events come in, data goes out, and limits are held while they come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.spec.places import Map, Seq, Text

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 64
MAX_EXPANSION = 200_000
"""How many nodes all aliases together may stand for; honest files share a handful."""
MAX_DIGITS = 1000
MAX_REPAIRS = 50

_NUMERIC = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+[eE][-+]?[0-9]+)\Z"
)
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), ".Inf": float("inf"), ".INF": float("inf"), "+.inf": float("inf"), "+.Inf": float("inf"),
    "+.INF": float("inf"), "-.inf": float("-inf"), "-.Inf": float("-inf"), "-.INF": float("-inf"),
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
}  # fmt: skip
_TAGS: dict[str, tuple[type, ...]] = {
    "tag:yaml.org,2002:null": (type(None),),
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:int": (int,),
    "tag:yaml.org,2002:float": (float, int),
}
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")


@dataclass(frozen=True, slots=True)
class Source:
    """One file that was read: `data` is a `Map`, or None where the text is not even a mapping."""

    text: Text
    data: Map | None
    diagnostics: tuple[Diagnostic, ...]


def read(data: bytes, file: str) -> Source:
    """Read the bytes of one file named `file` (for messages). Raises nothing on bad input."""
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data) / 2**20:.0f} MiB, more than the 32 MiB that a spec may have"
        problem = Diagnostic("E102", message, Place(file), "keep data in files of its own and name them as inputs")
        return Source(Text(file, ""), None, (problem,))
    decoded = _decode(data, file)
    if isinstance(decoded, Diagnostic):
        return Source(Text(file, ""), None, (decoded,))
    text = Text(file, decoded)
    nul = decoded.find("\0")
    if nul >= 0:
        problem = text.problem(
            "E103", "the file holds a NUL byte: this is no text", nul, "save it as UTF-8 text", width=1
        )
        return Source(text, None, (problem,))
    return _parse(text)


def scalar(text: str) -> Any:
    """What a plain (unquoted) scalar means. Raises ValueError for a number of more than 1,000 digits."""
    if text in _WORDS:
        return _WORDS[text]
    if not text or text[0] not in _NUMERIC:
        return text
    if _INTEGER.match(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(text)
        return int(text)
    if _BASED.match(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(text)
        return int(text, 0)
    return float(text) if _FLOAT.match(text) else text


def _decode(data: bytes, file: str) -> str | Diagnostic:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Diagnostic("E101", "the file is UTF-16, not UTF-8", Place(file), "save it as UTF-8")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8")
        before = good.rpartition("\n")[2]
        place = Place(file, good.count("\n") + 1, len(before) + 1)
        line = data[error.start - len(before.encode()) :].split(b"\n", 1)[0].decode("utf-8", "backslashreplace")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        hint = "the file is UTF-16; save it as UTF-8" if b"\0" in data[:64] else "save the file as UTF-8"
        return Diagnostic("E101", message, place, hint, line.rstrip("\r"))


def _parse(text: Text) -> Source:
    """Parse; an unquoted `${{` in a flow collection is blanked and parsed again, so that what follows is seen too."""
    from mlorch.spec import syntax

    found: list[Diagnostic] = []
    current = text.text
    repairs: list[syntax.Repair] = []
    while True:
        reader = _Reader(text, tabs="\t" in text.text)
        error = syntax.events(current, reader.feed)
        if error is None:
            break
        repaired = syntax.repair(text, current, error, len(repairs)) if len(repairs) < MAX_REPAIRS else None
        if repaired is None:
            reader.problems.append(syntax.explain(text, error))
            break
        current, repair, problem = repaired
        repairs.append(repair)
        found.append(problem)
    if repairs:
        syntax.uncover(reader.root, repairs)
    found += reader.problems
    if "\t" in text.text and not any(problem.code == "E106" for problem in found):
        found += _tabs(text, reader.scalars)
    root = reader.root if not reader.stopped else None
    if root is None and not found:
        found.append(Diagnostic("E110", "the file is empty", Place(text.file), "start with `mlorch: 1`"))
    elif root is not None and not isinstance(root, Map):
        message = "a spec is a mapping of keys (`name: …`), this file holds something else"
        found.append(text.problem("E111", message, reader.root_offset, "start with `mlorch: 1`"))
    broken = reader.stopped or any(problem.code in syntax.FATAL for problem in found)
    return Source(text, root if isinstance(root, Map) and not broken else None, tuple(found))


def _tabs(text: Text, scalars: list[tuple[int, int]]) -> list[Diagnostic]:
    """Tabs that are neither in a scalar nor in a comment: allowed by some readers, refused by others."""
    found: list[Diagnostic] = []
    position = text.text.find("\t")
    spans = iter(scalars)
    span = next(spans, None)
    while position >= 0:
        while span is not None and span[1] <= position:
            span = next(spans, None)
        within = span is not None and span[0] <= position
        line_start = text.text.rfind("\n", 0, position) + 1
        lead = text.text[line_start:position]
        comment = not within and "#" in lead and _comment(text, line_start, position, scalars)
        blank = not within and not text.line_text(text.line_of(position)).strip()
        if not within and not comment and not blank:
            found.append(text.problem("E106", "a tab between keys and values", position, "use spaces", width=1))
            position = text.text.find("\n", position)
            if position < 0:
                break
        position = text.text.find("\t", position + 1)
    return found


def _comment(text: Text, start: int, end: int, scalars: list[tuple[int, int]]) -> bool:
    hashes = [at for at in range(start, end) if text.text[at] == "#"]
    return any(not any(first <= at < last for first, last in scalars) for at in hashes)


@dataclass(slots=True)
class _Frame:
    """A collection that is being filled. `height`: levels below it. `count`: nodes seen when it began."""

    node: Any
    count: int
    anchor: str | None
    key: str | None = None
    key_at: int = 0
    height: int = 0
    skip: bool = False


@dataclass(slots=True)
class _Anchor:
    node: Any
    size: int
    height: int
    done: bool


@dataclass(slots=True)
class _Reader:
    """Takes parser events one by one. `feed` returns False when there is no use in going on."""

    text: Text
    root: Any = None
    root_offset: int = 0
    problems: list[Diagnostic] = field(default_factory=list)
    scalars: list[tuple[int, int]] = field(default_factory=list)
    stopped: bool = False
    tabs: bool = False
    documents: int = 0
    count: int = 0
    expanded: int = 0
    stack: list[_Frame] = field(default_factory=list)
    anchors: dict[str, _Anchor] = field(default_factory=dict)

    def feed(self, next_event: Callable[[], Any]) -> None:
        """Pull events until the stream ends, or a limit is passed. YAML errors pass through."""
        from yaml import events

        handlers: dict[type, Callable[[Any], None]] = {
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: lambda event: self._open(Map(event.start_mark.index), event),
            events.SequenceStartEvent: lambda event: self._open(Seq(event.start_mark.index), event),
            events.MappingEndEvent: self._close,
            events.SequenceEndEvent: self._close,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document,
        }
        end = events.StreamEndEvent
        while not self.stopped:
            event = next_event()
            kind = type(event)
            if kind in handlers:
                handlers[kind](event)
            elif kind is end:
                return

    def _scalar(self, event: Any) -> None:
        offset = event.start_mark.index
        if self.tabs:
            self.scalars.append((offset, event.end_mark.index))
        self.count += 1
        stack = self.stack
        if event.anchor is not None or event.tag is not None or not stack:
            self._rare_scalar(event, offset)
            return
        # By far the most frequent case, written out: it decides how long the reading of a large file takes.
        value, plain = event.value, event.implicit[0]
        frame = stack[-1]
        node = frame.node
        if type(node) is Map:
            if frame.key is None:
                self._key(frame, value, offset, plain=plain)
                return
            if not frame.skip:
                node[frame.key] = self._plain(value, offset) if plain else value
                node.marks += (frame.key_at, offset)
            frame.key = None
        else:
            node.append(self._plain(value, offset) if plain else value)
            node.marks.append(offset)

    def _document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            message = "a second document (`---`) in one file"
            self.problems.append(
                self.text.problem("E109", message, event.start_mark.index, "one file is one pipeline: split it")
            )
            self.stopped = True

    def _plain(self, value: str, offset: int) -> Any:
        if value and value[0] not in _NUMERIC and value not in _WORDS:
            return value
        try:
            return scalar(value)
        except ValueError:
            message = f"a number of {len(value)} digits; 1,000 are the most"
            self.problems.append(self.text.problem("E116", message, offset, "put it in quotes if it is text"))
            return 0

    def _key(self, frame: _Frame, value: str, offset: int, *, plain: bool) -> None:
        """Take a key; a duplicate or merge key is reported and its value left out."""
        frame.key = value
        frame.key_at = offset
        frame.skip = False
        if value in frame.node:
            first = self.text.line_of(_mark_of(frame.node, value))
            message = f"the key `{value}` is here twice; it stood in line {first} already"
            self.problems.append(self.text.problem("E107", message, offset, "keep one of them"))
            frame.skip = True
        elif value == "<<" and plain:
            hint = "write the keys out, or put what steps share under `defaults`"
            self.problems.append(self.text.problem("E108", "merge keys (`<<`) are no YAML 1.2", offset, hint))
            frame.skip = True
        elif value == "" and plain:
            self.problems.append(self.text.problem("E115", "a value without a key", offset, "write `key: value`"))
            frame.skip = True

    def _rare_scalar(self, event: Any, offset: int) -> None:
        """A scalar with a tag or an anchor, or the root."""
        value: Any = event.value
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.node) is Map and frame.key is None:
            if event.tag is not None and event.tag not in _STRING_TAGS:
                self._bad_tag(event.tag, offset)
            self._key(frame, value, offset, plain=False)
        else:
            if event.tag is None:
                value = self._plain(value, offset) if event.implicit[0] else value
            elif event.tag in _TAGS:
                value = self._plain(value, offset)
                if not isinstance(value, _TAGS[event.tag]):
                    message = f"`{event.value}` is not what its tag `{_short(event.tag)}` says"
                    self.problems.append(self.text.problem("E114", message, offset, "leave the tag out"))
            elif event.tag not in _STRING_TAGS:
                self._bad_tag(event.tag, offset)
            self._put(value, offset)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(value, 1, 0, done=True)

    def _bad_tag(self, tag: str, offset: int) -> None:
        message = f"the tag `{_short(tag)}` has no meaning here"
        self.problems.append(self.text.problem("E114", message, offset, "leave the tag out"))

    def _put(self, value: Any, offset: int) -> None:
        if not self.stack:
            self.root, self.root_offset = value, offset
            return
        frame = self.stack[-1]
        node = frame.node
        if type(node) is Map:
            if not frame.skip:
                node[frame.key or ""] = value
                node.marks += (frame.key_at, offset)
            frame.key = None
        else:
            node.append(value)
            node.marks.append(offset)

    def _open(self, node: Any, event: Any) -> None:
        self.count += 1
        offset = event.start_mark.index
        if event.tag is not None and event.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!"):
            self._bad_tag(event.tag, offset)
        if len(self.stack) >= MAX_DEPTH:
            self._too_deep(offset)
            return
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.node) is Map and frame.key is None:
            message = "a key that is a mapping or list; keys are plain words"
            self.problems.append(self.text.problem("E115", message, offset, "`{{ … }}` alone? put quotes around it"))
            frame.key, frame.skip = "", True
            # The collection is read and thrown away; the value that follows belongs to it.
            self.stack.append(_Frame(node, self.count, None, skip=False))
            self.stack[-1].anchor = "\0key"
            return
        self._put(node, offset)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(node, 0, 0, done=False)
        self.stack.append(_Frame(node, self.count, event.anchor))

    def _close(self, _: Any) -> None:
        frame = self.stack.pop()
        if frame.anchor is not None and frame.anchor != "\0key":
            anchor = self.anchors.get(frame.anchor)
            if anchor is not None and anchor.node is frame.node:
                anchor.size = self.count - frame.count + 1
                anchor.height = frame.height + 1
                anchor.done = True
        if self.stack:
            parent = self.stack[-1]
            parent.height = max(parent.height, frame.height + 1)

    def _alias(self, event: Any) -> None:
        offset = event.start_mark.index
        name = event.anchor
        anchor = self.anchors.get(name)
        value = anchor.node if anchor is not None else None
        if anchor is None:
            hint = f"define it before with `&{name}`, or put quotes around text that begins with `*`"
            self.problems.append(self.text.problem("E117", f"no anchor `&{name}` stands before this", offset, hint))
        elif not anchor.done:
            message = f"the anchor `&{name}` contains itself"
            self.problems.append(self.text.problem("E113", message, offset, "write the part out"))
            self.stopped = True
        else:
            self.count += anchor.size
            self.expanded += anchor.size
            if self.expanded > MAX_EXPANSION:
                message = f"the aliases of this file stand for more than {MAX_EXPANSION:,} values"
                self.problems.append(self.text.problem("E113", message, offset, "write the parts out"))
                self.stopped = True
            elif len(self.stack) + anchor.height > MAX_DEPTH:
                self._too_deep(offset)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.node) is Map and frame.key is None:
            if isinstance(value, str):
                self._key(frame, value, offset, plain=False)
                return
            self.problems.append(self.text.problem("E115", "an alias as a key", offset, "write the key out"))
            frame.key, frame.skip = "", True
            return
        if anchor is None:
            # Left out of the data: a null in its place would only make a second complaint.
            if frame is not None:
                frame.key = None
            return
        if frame is not None:
            frame.height = max(frame.height, anchor.height)
        self._put(value, offset)

    def _too_deep(self, offset: int) -> None:
        message = f"more than {MAX_DEPTH} levels of mappings and lists"
        self.problems.append(self.text.problem("E112", message, offset, "make it flatter"))
        self.stopped = True


def _mark_of(node: Map, key: str) -> int:
    """Offset of a key in a mapping that is still being filled (its index must not be built yet)."""
    return node.marks[2 * list(node).index(key)]


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
