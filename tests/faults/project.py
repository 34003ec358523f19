"""A small project whose outputs tell by themselves whether they are whole, and a ledger outside it of what really ran."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.faults.place import Place, Tally

HERE = Path(__file__).parent
LINES = 64

HEAD = "mlorch: 1\nkind: feature\nowner: faults@example.org\n"
PIPELINES = {
    "chain": """\
name: chain
steps:
  a: {pool: one, run: [STEP, -p, -i, data/in.txt, -t, '12', '${{ outputs.x }}'], inputs: {i: data/in.txt}, outputs: {x: data/chain/a.txt}}
  b: {run: [STEP, -i, data/chain/a.txt, -t, '12', '${{ outputs.x }}', '${{ outputs.y }}'], inputs: {i: data/chain/a.txt},
      outputs: {x: data/chain/b.txt, y: data/chain/other/b.txt}}
  c: {run: [STEP, -i, data/chain/b.txt, -i, data/chain/other/b.txt, '${{ outputs.x }}'],
      inputs: {i: data/chain/b.txt, j: data/chain/other/b.txt}, outputs: {x: data/chain/c.txt}}
""",
    "diamond": """\
name: diamond
steps:
  src: {run: [STEP, -i, data/in.txt, '${{ outputs.x }}', '${{ outputs.t }}'], inputs: {i: data/in.txt},
        outputs: {x: data/diamond/src.txt, t: {path: data/diamond/temp.txt, temp: true}}}
  left: {pool: one, run: [STEP, -p, -i, data/diamond/src.txt, -t, '15', '${{ outputs.d }}', '${{ outputs.x }}'],
         inputs: {i: data/diamond/src.txt, t: data/diamond/temp.txt}, outputs: {d: data/diamond/left/, x: data/diamond/left.txt}}
  right: {pool: one, run: [STEP, -p, -i, data/diamond/src.txt, -t, '15', '${{ outputs.d }}'],
          inputs: {i: data/diamond/src.txt}, outputs: {d: data/diamond/right/}}
  join: {run: [STEP, -i, data/diamond/left/part0, -i, data/diamond/right/part2, '${{ outputs.x }}'],
         inputs: {l: data/diamond/left/, r: data/diamond/right/}, outputs: {x: data/diamond/join.txt}}
""",
    "inplace": """\
name: inplace
steps:
  file: {run: [STEP, -i, data/in.txt, -t, '10', '${{ outputs.x }}'], inputs: {i: data/in.txt},
         outputs: {x: {path: data/inplace/file.txt, write: in_place}}}
  folder: {pool: {one: 1}, run: [STEP, -p, -i, data/inplace/file.txt, -t, '10', '${{ outputs.d }}', '${{ outputs.x }}'], inputs: {i: data/inplace/file.txt},
           outputs: {d: {path: data/inplace/folder/, write: in_place}, x: data/inplace/staged.txt}}
""",
    "flaky": """\
name: flaky
steps:
  twice: {run: [STEP, -i, data/in.txt, -t, '5', -f, '1', '${{ outputs.x }}'], inputs: {i: data/in.txt},
          outputs: {x: data/flaky/twice.txt}, retry: 2}
  daemon: {pool: one, run: [STEP, -p, -i, data/flaky/twice.txt, -t, '5', -b, '${{ outputs.x }}'], inputs: {i: data/flaky/twice.txt},
           outputs: {x: data/flaky/daemon.txt}, grace: 1s}
""",
    "daily": """\
name: daily
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-02}
steps:
  make: {pool: one, run: [STEP, -p, -i, data/in.txt, -t, '8', '${{ outputs.x }}'], inputs: {i: data/in.txt},
         outputs: {x: 'data/daily/${{ partition.key }}.txt'}}
  use: {run: [STEP, -i, 'data/daily/${{ partition.key }}.txt', '${{ outputs.x }}'], inputs: {i: 'data/daily/${{ partition.key }}.txt'},
        outputs: {x: 'data/daily/use-${{ partition.key }}.txt'}}
""",
}
"""Between them: chains, a diamond, several outputs, folders, a temp output, in_place, retries, a daemon, partitions, a pool."""

FILES = {
    "data/chain/a.txt", "data/chain/b.txt", "data/chain/other/b.txt", "data/chain/c.txt",
    "data/diamond/src.txt", "data/diamond/left.txt", "data/diamond/join.txt",
    "data/inplace/file.txt", "data/inplace/staged.txt",
    "data/flaky/twice.txt", "data/flaky/daemon.txt",
    "data/daily/2013-01-01.txt", "data/daily/2013-01-02.txt", "data/daily/use-2013-01-01.txt", "data/daily/use-2013-01-02.txt",
}  # fmt: skip
FOLDERS = {"data/diamond/left", "data/diamond/right", "data/inplace/folder"}
IN_PLACE = {"data/inplace/file.txt", "data/inplace/folder"}
TEMP = "data/diamond/temp.txt"

RUN = ("run", "chain", "diamond", "inplace", "flaky", "-j", "4")
BACKFILL = (
    "backfill",
    "daily",
    "--from",
    "2013-01-01",
    "--to",
    "2013-01-02",
    "--only",
    "missing,failed,stale",
    "--yes",
)


def compiled(folder: Path) -> tuple[Path, Path]:
    """The step and the library of faults, made by the C compiler. Raises `CalledProcessError` when there is none."""
    step, library = folder / "step", folder / "faults.so"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", step, HERE / "step.c"], check=True)
    subprocess.run(["cc", *flags, "-shared", "-fPIC", "-o", library, HERE / "preload.c", "-ldl"], check=True)
    return step, library


def content(name: str, version: int) -> bytes:
    """What a whole output of that last name holds."""
    middle = "".join(f"{name} line {i} of version {version}\n" for i in range(LINES))
    return f"{version}\n{middle}end {version}\n".encode()


def whole(name: str, data: bytes) -> bool:
    """Whether these are all the bytes of some version."""
    first = data.split(b"\n", 1)[0]
    return first.isdigit() and data == content(name, int(first))


def read_folder(path: str | Path) -> dict[str, bytes] | None:
    """The files of a folder if it stayed the same folder while it was read, else None."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        found = {}
        for name in os.listdir(fd):
            inner = os.open(name, os.O_RDONLY, dir_fd=fd)
            try:
                found[name] = os.read(inner, 1 << 20)
            finally:
                os.close(inner)
        return found if os.stat(path).st_ino == os.fstat(fd).st_ino else None
    except OSError:
        return None  # it is being removed: what stands at the path is another one
    finally:
        os.close(fd)


def whole_folder(found: dict[str, bytes]) -> bool:
    """Whether a folder holds all parts of one version."""
    versions = {data.split(b"\n", 1)[0] for data in found.values()}
    return (
        set(found) == {"part0", "part1", "part2"} and len(versions) == 1 and all(whole(n, d) for n, d in found.items())
    )


@dataclass(slots=True)
class Line:
    """One line of the ledger."""

    what: str
    step: str
    run_id: str
    attempt: str
    version: str


class Project(Place):
    """A project of its own folder, with its ledger beside it."""

    def __init__(self, folder: Path, step: Path, pipelines: tuple[str, ...] = tuple(PIPELINES)) -> None:
        self.ledger_path = folder / "ledger"
        super().__init__(folder, LEDGER=str(self.ledger_path))
        self.pipelines = pipelines
        (self.folder / "pipelines").mkdir()
        (self.folder / "data").mkdir()
        (self.folder / "mlorch.yaml").write_text("mlorch: 1\npools: {one: 1}\n", "utf-8")
        for name in pipelines:
            text = HEAD + PIPELINES[name].replace("STEP", str(step))
            (self.folder / "pipelines" / f"{name}.yaml").write_text(text, "utf-8")
        self.version = 0
        self._settled = 0
        self.set_version(1)

    def set_version(self, version: int) -> None:
        """Change the input of all pipelines, whole at once."""
        self.version = version
        fresh = self.folder / "data" / ".in.txt.new"
        fresh.write_bytes(content("in.txt", version))
        fresh.replace(self.folder / "data" / "in.txt")

    @property
    def expected(self) -> dict[str, bytes]:
        """Every file below `data` when all is done."""
        found = {path: content(os.path.basename(path), self.version) for path in FILES}
        found |= {f"{folder}/part{i}": content(f"part{i}", self.version) for folder in FOLDERS for i in range(3)}
        found = {path: data for path, data in found.items() if path.split("/")[1] in self.pipelines}
        return found | {"data/in.txt": content("in.txt", self.version)}

    def files(self) -> dict[str, bytes]:
        """Every file below `data` now, hidden ones too."""
        return {
            str(p.relative_to(self.folder)): p.read_bytes()
            for p in sorted((self.folder / "data").rglob("*"))
            if p.is_file()
        }

    def wanted(self) -> list[tuple[str, ...]]:
        """The commands that bring everything up to date."""
        plain = [name for name in self.pipelines if name != "daily"]
        return [("run", *plain, "-j", "4")] * bool(plain) + [BACKFILL] * ("daily" in self.pipelines)

    def finish(self) -> str:
        """Run all that is wanted until it is done; "" or what went wrong."""
        for words in self.wanted():
            code, said = self.run(*words)
            if code:
                return f"`mlorch {' '.join(words)}` ends with {code}: {said[-1500:]}"
        return ""

    def ledger(self) -> list[Line]:
        """What really ran."""
        if not self.ledger_path.exists():
            return []
        return [Line(*line.split()) for line in self.ledger_path.read_text("utf-8").splitlines()]

    def check(self, tally: Tally, what: str, *, stopped: str = "", repeats: bool = True) -> None:
        """Hold everything to the promises after a command ran to its end, or was `stopped` by what it says."""
        if stopped:
            tally.note("lost", f"{what}: {stopped}")
            return
        files, expected = self.files(), self.expected
        for path in sorted(expected.keys() | files.keys()):
            if ".mlorch-" in path or path == TEMP:
                continue
            if files.get(path) != expected.get(path):
                tally.note("lost", f"{what}: {path} is {'missing' if path not in files else 'not as it should be'}")
        if repeats:
            self._check_repeats(tally, what)
        self.check_left(tally, what)
        if (self.folder / TEMP).exists():
            tally.note("left", f"{what}: {TEMP} is left, though all its readers are done")

    def _check_repeats(self, tally: Tally, what: str) -> None:
        recorded = self.recorded_ends()
        ends: dict[tuple[str, str], list[Line]] = {}
        ledger = self.ledger()
        fresh, self._settled = ledger[self._settled :], len(ledger)
        for line in fresh:
            if line.what == "end":
                ends.setdefault((line.step, line.version), []).append(line)
            elif line.what == "bad":
                tally.note("half", f"{what}: {line.step} of {line.run_id} read an input that was not whole")
            elif line.what == "double":
                tally.note("repeated", f"{what}: two copies of {line.step} ran at once ({line.run_id})")
            elif line.what == "crowd":
                tally.note(
                    "repeated", f"{what}: {line.step} ran beside another step of a pool with one slot ({line.run_id})"
                )
        for (step, _), lines in ends.items():
            for line in lines[:-1]:
                if (line.run_id, step.rsplit("/", 1)[1], line.attempt) in recorded:
                    tally.note("repeated", f"{what}: {step} ran again although its end in {line.run_id} was on record")
                else:
                    tally.allowed += 1

    def nothing_to_do(self, tally: Tally, what: str) -> None:
        """The same call again does nothing."""
        before = len(self.ledger())
        stopped = self.finish()
        if stopped or len(self.ledger()) != before:
            tally.note("repeated", f"{what}: the same call again ran something, or failed: {stopped}")


class Worlds:
    """Makes projects in a temporary folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlorch-faults-"))
        self.step, self.library = compiled(self.folder)
        self._made = 0

    def make(self, *pipelines: str) -> Project:
        """A new project with these pipelines, or with all."""
        self._made += 1
        return Project(self.folder / f"w{self._made}", self.step, pipelines or tuple(PIPELINES))

    def copy_of(self, project: Project) -> Path:
        """What stands in a project now, kept in a folder."""
        self._made += 1
        return Path(shutil.copytree(project.folder, self.folder / f"c{self._made}", symlinks=True))

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
