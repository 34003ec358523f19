"""A power cut, played from a trace: a model of the disk tells what had been flushed, the tree is rebuilt from that, and mlorch goes on.

The model is harsher than real file systems: what was not flushed by its own call is lost (or not: the mood decides), bytes and
names apart from each other.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.place import Tally, done_in
from tests.faults.project import FILES, FOLDERS, IN_PLACE, Project, read_folder, whole, whole_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.project import Worlds

MOODS = (
    "all that was not flushed is lost",
    "names are kept, bytes are lost",
    "bytes are kept, names are lost",
    "by chance",
)
_EXCHANGE = 2


@dataclass(slots=True, eq=False)
class Node:
    """A file or a folder: as the programs see it, and as the disk has it."""

    folder: bool
    data: bytearray = field(default_factory=bytearray)
    names: dict[str, Node] = field(default_factory=dict)
    kept_data: bytes = b""
    kept_names: dict[str, Node] = field(default_factory=dict)

    def flush(self) -> None:
        """What the programs see is on the disk."""
        self.kept_data, self.kept_names = bytes(self.data), dict(self.names)


class Disk:
    """Replays a trace of calls."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._nodes: dict[int, Node] = {}
        self.top = self._load(root)

    def _load(self, path: Path) -> Node:
        node = Node(path.is_dir())
        self._nodes[path.lstat().st_ino] = node
        if node.folder:
            node.names = {child.name: self._load(child) for child in path.iterdir()}
        else:
            node.data = bytearray(path.read_bytes())
        node.flush()
        return node

    def _parent(self, path: str) -> tuple[Node, str]:
        parts = path.removeprefix(self._root).strip("/").split("/")
        node = self.top
        for part in parts[:-1]:
            node = node.names[part]
        return node, parts[-1]

    def _all(self) -> Iterator[Node]:
        return iter(set(self._nodes.values()))

    def play(self, line: str) -> None:
        """One line of the trace."""
        call, inode, *rest = line.split(" ")
        if call == "bytes":
            offset, data = int(rest[0]), bytes.fromhex(rest[1])
            node = self._nodes[int(inode)]
            node.data[offset : offset + len(data)] = data
            return
        path, other = (bytes.fromhex(word).decode() if word != "-" else "" for word in rest[:2])
        number = int(rest[2])
        if call in ("fsync", "fdatasync"):
            if not number:
                self._nodes[int(inode)].flush()
        elif call == "syncfs":
            for node in self._all():
                node.flush()
        elif call == "ftruncate":
            node = self._nodes[int(inode)]
            node.data = node.data[:number].ljust(number, b"\0")
        else:
            self._name(call, int(inode), path, other, number)

    def _name(self, call: str, inode: int, path: str, other: str, number: int) -> None:
        parent, name = self._parent(path)
        if call == "open":
            if name not in parent.names:
                parent.names[name] = self._nodes[inode] = Node(folder=False)
            elif number:
                parent.names[name].data.clear()
        elif call == "mkdir":
            parent.names[name] = self._nodes[inode] = Node(folder=True)
        elif call == "unlink":
            del parent.names[name]
        else:
            target, new = self._parent(other)
            if call == "rename" and number == _EXCHANGE:
                parent.names[name], target.names[new] = target.names[new], parent.names[name]
            else:
                target.names[new] = parent.names.pop(name) if call == "rename" else parent.names[name]

    def rebuild(self, folder: Path, mood: str, chance: random.Random) -> None:
        """Write what a power cut leaves now."""
        self._write(self.top, folder, mood, chance)

    def _write(self, node: Node, path: Path, mood: str, chance: random.Random) -> None:
        if node.folder:
            path.mkdir()
            names = node.names if mood == MOODS[1] or (mood == MOODS[3] and chance.random() < 0.5) else node.kept_names
            for name, child in names.items():
                self._write(child, path / name, mood, chance)
            return
        data = node.kept_data
        if mood == MOODS[2] or (mood == MOODS[3] and chance.random() < 0.5):
            data = bytes(node.data)
        elif mood in (MOODS[1], MOODS[3]) and node.data[: len(data)] == data:
            # A file that grew: some of it is there, and sometimes its new length is, too, filled with nothing.
            there = chance.randint(len(data), len(node.data))
            data = bytes(node.data[:there]) + b"\0" * (len(node.data) - there) * chance.randint(0, 1)
        path.write_bytes(data)


class PowerCuts:
    """One traced run, and cuts anywhere in it."""

    def __init__(self, worlds: Worlds, seed: int, *, used: bool) -> None:
        """`used`: former outputs are there, and a journal that has grown."""
        self._worlds = worlds
        self._random = random.Random(seed)
        self._project = worlds.make("chain", "diamond", "inplace")
        self._words = self._project.wanted()[0]
        if used:
            self._expect(self._project.run(*self._words))
            self._project.set_version(2)
        self._before = worlds.copy_of(self._project)
        self._trace = self._record()

    @staticmethod
    def _expect(result: tuple[int, str]) -> None:
        if result[0]:
            raise AssertionError(result[1])

    def _record(self) -> list[str]:
        project = self._project
        path = project.base / "trace"
        env = {"LD_PRELOAD": str(self._worlds.library), "FAULT_ROOT": str(project.folder)}
        self._disk = Disk(project.folder)
        more = {"FAULT_PARENT": str(os.getpid()), "FAULT_WHO": "all", "FAULT_TRACE": str(path)}
        self._expect(project.run(*self._words, **env, **more))
        return path.read_text("ascii").splitlines()

    def run(self, cuts: int) -> Tally:
        """Cut at so many places, in the order of time."""
        tally = Tally()
        places = sorted(self._random.sample(range(len(self._trace) + 1), min(cuts, len(self._trace) + 1)))
        played = 0
        for number, place in enumerate(places):
            for line in self._trace[played:place]:
                self._disk.play(line)
            played = place
            self._cut(tally, MOODS[number % len(MOODS)], place)
        shutil.rmtree(self._before)
        if tally.good:
            self._project.remove()
        return tally

    def _cut(self, tally: Tally, mood: str, place: int) -> None:
        project = self._worlds.make(*self._project.pipelines)
        project.version = self._project.version
        shutil.rmtree(project.folder)
        self._disk.rebuild(project.folder, mood, self._random)
        boot = project.base / "boot_id"
        boot.write_text(f"after-cut-{place}\n", "ascii")
        project.env |= {"LD_PRELOAD": str(self._worlds.library), "FAULT_BOOT": str(boot)}
        what = f"power cut after {place} of {len(self._trace)} calls, {mood} ({project.folder})"
        tally.times += 1
        self._look(project, tally, what)
        recorded = self._recorded(project, tally, what)
        stopped = project.finish()
        project.check(tally, what, stopped=stopped)
        for line in project.ledger():
            if line.what == "end" and line.step.replace("/-/", "/_/") in recorded:
                tally.note("repeated", f"{what}: {line.step} ran again although its success had been flushed")
        if tally.good:
            project.remove()

    @staticmethod
    def _look(project: Project, tally: Tally, what: str) -> None:
        """Every output that stands there is whole."""
        for path in sorted(FILES - IN_PLACE):
            full = project.folder / path
            if full.exists() and not whole(full.name, full.read_bytes()):
                tally.note("half", f"{what}: {path} is not whole")
        for path in sorted(FOLDERS - IN_PLACE):
            found = read_folder(project.folder / path)
            if found is not None and not whole_folder(found):
                tally.note("half", f"{what}: {path} is not whole: {sorted(found)}")

    def _recorded(self, project: Project, tally: Tally, what: str) -> set[str]:
        """The steps that the traced run recorded as done, as far as that reached the disk; their outputs must be there."""
        former = {event["run_id"] for event in done_in(self._before).values()}
        found = {step: event for step, event in project.done().items() if event["run_id"] not in former}
        for step, event in found.items():
            for artifact in event["outputs"]:
                path = project.folder / artifact["path"]
                if path.is_file():
                    data = path.read_bytes()
                    good = whole(path.name, data) and data.startswith(f"{project.version}\n".encode())
                else:
                    good = path.is_dir() or path.name == "temp.txt"
                if not good:
                    tally.note("lost", f"{what}: {step} is recorded as done, and {artifact['path']} is not")
        return set(found)
