"""The picture in docs/architecture.md, held to the code: who may import whom, and who may touch the world."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mlorch"

ARROWS: dict[str, frozenset[str]] = {
    "model": frozenset(),
    "lang": frozenset({"model"}),
    "spec": frozenset({"lang", "model"}),
    "engine": frozenset({"lang", "model"}),
    "world": frozenset({"lang", "model"}),
    "executors": frozenset({"world", "model"}),
    "views": frozenset({"model"}),
    "testing": frozenset({"lang", "model"}),
    "runner": frozenset({"engine", "lang", "model"}),
    "session": frozenset({"model", "lang", "spec", "engine", "world", "executors", "runner"}),
    "cli": frozenset({"model", "lang", "spec", "engine", "world", "executors", "views", "runner", "session"}),
    "__main__": frozenset({"cli"}),
    "__init__": frozenset(),
}
# `session` is the wiring of `cli` in a room of its own: it hands the environment and paths of the process to the ports.
TOUCH_THE_WORLD = frozenset({"world", "executors", "session", "cli"})
STANDARD_LIBRARY_ONLY = frozenset({"model"})

# The version is a plain string in mlorch/__init__.py, for everyone.
VERSION = "mlorch"

WORLDLY_MODULES = frozenset(
    {"fcntl", "glob", "io", "multiprocessing", "os", "pathlib", "select", "shutil", "socket",
     "subprocess", "tempfile", "time"}
)  # fmt: skip
WORLDLY_CALLS = frozenset({"open", "input", "breakpoint", "exec", "eval", "compile", "__import__"})
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
CLOCK_OWNERS = frozenset({"datetime", "date", "dt"})


@dataclass(frozen=True)
class Source:
    """One file of the package."""

    path: Path
    module: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


def read(path: Path) -> Source:
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(path, module, ast.parse(path.read_text(encoding="utf-8"), str(path)))


SOURCES = tuple(read(path) for path in sorted(PACKAGE.rglob("*.py")))
MODULES = frozenset(source.module for source in SOURCES)


def imported(source: Source) -> Iterator[tuple[str, int]]:
    """Each module that a file imports, wherever in it (lazily and for types only, too), with the line."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(source, node)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in MODULES else base), node.lineno


def absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    is_package = source.path.name == "__init__.py"
    parts = source.module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def test_there_is_something_to_read() -> None:
    assert {"mlorch.model.spec", "mlorch.model.ports"} <= MODULES


def test_every_room_is_on_the_picture() -> None:
    assert {source.room for source in SOURCES} <= set(ARROWS), "a new room: put it on the picture first"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.module)
def test_arrows_go_down_only(source: Source) -> None:
    allowed = ARROWS[source.room] | {source.room}
    wrong = [
        f"{source.name}:{line}: {source.room} may not import {module}"
        for module, line in imported(source)
        if module.startswith("mlorch.") and module.split(".")[1] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "source", [s for s in SOURCES if s.room in STANDARD_LIBRARY_ONLY], ids=lambda source: source.module
)
def test_the_words_need_the_standard_library_only(source: Source) -> None:
    foreign = [
        f"{source.name}:{line}: {module}"
        for module, line in imported(source)
        if module.split(".")[0] not in sys.stdlib_module_names | {"mlorch"}
    ]
    assert not foreign, "\n".join(foreign)


def test_no_circles() -> None:
    graph = {
        source.module: sorted({m for m, _ in imported(source) if m in MODULES and m not in {source.module, VERSION}})
        for source in SOURCES
    }
    circle = find_circle(graph)
    assert not circle, "imports run in a circle: " + " > ".join(circle)


def find_circle(graph: dict[str, list[str]]) -> list[str]:
    """One circle as a path that ends where it began, or nothing."""
    done: set[str] = set()
    path: list[str] = []

    def walk(module: str) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        for other in graph.get(module, ()):
            circle = walk(other)
            if circle:
                return circle
        path.pop()
        done.add(module)
        return []

    for module in sorted(graph):
        circle = walk(module)
        if circle:
            return circle
    return []


@pytest.mark.parametrize(
    "source", [s for s in SOURCES if s.room not in TOUCH_THE_WORLD], ids=lambda source: source.module
)
def test_only_few_rooms_touch_the_world(source: Source) -> None:
    assert not (touched := list(touches(source))), "\n".join(touched)


def touches(source: Source) -> Iterator[str]:
    """Every place where a file reaches for a clock, the environment, a process or a file."""
    for module, line in imported(source):
        if module.split(".")[0] in WORLDLY_MODULES:
            yield f"{source.name}:{line}: imports {module}"
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=name) if name in WORLDLY_CALLS:
                yield f"{source.name}:{node.lineno}: calls {name}()"
            case (
                ast.Attribute(attr=attr, value=ast.Name(id=owner))
                | ast.Attribute(attr=attr, value=ast.Attribute(attr=owner))
            ) if attr in CLOCK_CALLS and owner in CLOCK_OWNERS:
                yield f"{source.name}:{node.lineno}: reads the clock with {owner}.{attr}()"


def sample(text: str, name: str = "mlorch/engine/sample.py") -> Source:
    path = ROOT / name
    return Source(path, name.removesuffix(".py").replace("/", "."), ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "import os.path",
        "from os import environ",
        "def f():\n    import subprocess",
        "from pathlib import Path",
        "open('x')",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import date\ndate.today()",
        "eval('1')",
    ],
)
def test_a_touch_of_the_world_is_seen(text: str) -> None:
    assert list(touches(sample(text)))


def test_lazy_typed_and_relative_imports_are_seen() -> None:
    text = "if TYPE_CHECKING:\n    from mlorch.model import spec\ndef f():\n    import mlorch.cli.main\nfrom ..model import ports"
    assert {module for module, _ in imported(sample(text))} == {
        "mlorch.model.spec",
        "mlorch.cli.main",
        "mlorch.model.ports",
    }


def test_a_circle_is_found_with_its_path() -> None:
    assert find_circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert find_circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []
