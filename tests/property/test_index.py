"""With the index and without it `status` and `backfill` say the same, whatever happens to files, specs, journals and the index itself."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlorch.model.errors import MlorchError
from mlorch.model.states import Action
from mlorch.session import backfill
from mlorch.session.compaction import Collector
from mlorch.session.doctor import StateDoctor
from mlorch.session.options import BackfillOptions, RunOptions
from mlorch.session.session import Session
from mlorch.session.standing import Standings
from mlorch.session.workspace import Workspace
from mlorch.views.lines import QuietObserver
from mlorch.world.index import IndexFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PROJECT = "mlorch: 1\npipelines: [pipelines/*.yaml]\nenv: {LEVEL: '1'}\nretention: {runs: 1}\n"
UP = """\
mlorch: 1
name: up
kind: feature
owner: dana@example.com
params: {factor: 2}
env: {COLOUR: red}
partitions: {day: {every: day, start: 2020-01-01, end: 2020-01-03}}
steps:
  make:
    run: sh code/make.sh ${{ outputs.o }} ${{ params.factor }}
    inputs:
      raw: 'raw/${{ partition.day }}.txt'
      more: {path: 'more/*.txt', required: false}
    outputs: {o: 'out/${{ partition.day }}/made'}
  spread:
    run: mkdir -p ${{ outputs.d }} && cp ${{ steps.make.outputs.o }} ${{ outputs.d }}/one
    outputs: {d: 'spread/${{ partition.day }}/'}
"""
DOWN = """\
mlorch: 1
name: down
kind: inference
owner: dana@example.com
partitions: {day: {every: day, start: 2020-01-01, end: 2020-01-03}}
steps:
  join:
    run: cat ${{ inputs.days }} > ${{ outputs.o }}
    inputs:
      days: {pipeline: up, output: o, partitions: last(2), required: false}
    outputs: {o: 'joined/${{ partition.day }}'}
"""
AGED = """\
mlorch: 1
name: aged
kind: feature
owner: dana@example.com
steps:
  one:
    run: cp ${{ inputs.i }} ${{ outputs.o }}
    inputs: {i: {path: raw/2020-01-01.txt, max_age: 100d}}
    outputs: {o: out/aged}
    cache: {ttl: 2h}
"""
DAYS = ("2020-01-01", "2020-01-02", "2020-01-03")
NAMES = ("up", "down", "aged")


@dataclass
class World:
    """A project in which three pipelines were run, and how far its clock was put forward."""

    folder: Path
    hours: int = 0
    kept: list[bytes] = field(default_factory=list)

    @property
    def index(self) -> Path:
        return self.folder / ".mlorch" / "cache" / "index"

    def session(self, now: str = "") -> Session:
        return Session(Workspace(str(self.folder), str(self.folder), now))

    def journal(self, pipeline: str, key: str) -> Path:
        return self.folder / ".mlorch" / "state" / pipeline / key / "journal.jsonl"

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        if file.exists():
            text = file.read_text()
            file.write_text(text.replace(old, new) if old in text else text.replace(new, old))

    def append(self, path: str, text: str) -> None:
        if (self.folder / path).parent.is_dir():
            with (self.folder / path).open("a") as file:
                file.write(text)

    def run(self, names: Sequence[str] = NAMES) -> None:
        for name in names:
            options = RunOptions((name,), DAYS if name != "aged" else (), jobs=2)
            try:
                self.session().run(options, QuietObserver(print))
            except MlorchError:
                return  # what it was run with is wrong by now

    def backfill(self, name: str, **more: Any) -> None:
        """As one of very many steps: what is known of the partitions is kept as they are run."""
        many, backfill.MANY = backfill.MANY, 1  # type: ignore[attr-defined] # as if there were more
        try:
            with suppress(MlorchError):  # what it was run with is wrong by now
                self.session().backfill(BackfillOptions(name, jobs=2, **more), QuietObserver(print))
        finally:
            backfill.MANY = many  # type: ignore[attr-defined] # as it was

    def answers(self, now: str) -> list[Any]:
        found: list[Any] = []
        for ask in (self._status, self._backfill, self._with_upstream, self._with_parameter, self._idle):
            for name in NAMES:
                try:
                    found.append(ask(name, now))
                except MlorchError as error:
                    found.append((type(error).__name__, error.message))
        return found

    def _status(self, name: str, now: str) -> Any:
        return self.session(now).status((name,))

    def _backfill(self, name: str, now: str, **more: Any) -> Any:
        options = BackfillOptions(name, only=("all",), dry_run=True, **more)
        return self.session(now).backfill(options, QuietObserver(print)).rows

    def _with_upstream(self, name: str, now: str) -> Any:
        return self._backfill(name, now, with_upstream=True)

    def _with_parameter(self, name: str, now: str) -> Any:
        return self._backfill(name, now, params=(("factor", "5"),))

    def _idle(self, name: str, now: str) -> Any:
        """For each partition whether a run has nothing to do, known or decided."""
        found = []
        for day in DAYS if name != "aged" else ("",):
            session, options = self.session(now), RunOptions((name,), (day,) if day else ())
            known = session._known(Standings(session.workspace, session._jobs), session._selected(options))
            steps = session.plan(options)[0].steps
            found.append(known is not None or all(step.action is Action.REUSE for step in steps))
        return found


def settle() -> None:
    """What was written a moment ago proves nothing by its time stamps, so nothing about it is kept: let that moment pass."""
    until = time.time_ns() + 25_000_000
    while time.time_ns() < until:
        os.sched_yield()


def damage(world: World, day: str) -> None:
    path = world.journal("up", day)
    if path.exists():
        lines = path.read_bytes().splitlines(keepends=True)
        if len(lines) > 2:
            lines[1] = b"x" * (len(lines[1]) - 1) + b"\n"
            path.write_bytes(b"".join(lines))


def repair(world: World, _day: str) -> None:
    workspace = world.session().workspace
    list(StateDoctor(str(world.folder), workspace.layout, lambda: "2026-01-01T00:00:00.000Z", repair=True).findings())


def cut(world: World, day: str) -> None:
    """A crash in the middle of a line, or of several."""
    path = world.journal("up", day)
    if path.exists():
        os.truncate(path, path.stat().st_size * 2 // 3)


def collect(world: World, _day: str) -> None:
    world.run(("up",))
    list(Collector(world.session().workspace).collect())


def swap(world: World, _day: str) -> None:
    """The folder of the outputs goes elsewhere, and a link takes its place: every file in it is still the same one."""
    out, away = world.folder / "out", world.folder.parent / f"{world.folder.name}-away"
    if out.is_symlink():
        out.unlink()
        away.rename(out)
    elif out.exists():
        out.rename(away)
        out.symlink_to(away)


def keep(world: World, _day: str) -> None:
    world.kept = [path.read_bytes() for path in sorted(world.index.glob("*/*"))]


def restore(world: World, _day: str) -> None:
    """An index as it was some time ago."""
    for path, data in zip(sorted(world.index.glob("*/*")), world.kept, strict=False):
        path.write_bytes(data)


def tear(world: World, day: str) -> None:
    """An index of which only the beginning reached the disk, or in which something was overwritten."""
    for path in world.index.glob("*/*"):
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] if day == DAYS[0] else data[:middle] + b"9" + data[middle + 1 :])


def leave(world: World, _day: str) -> None:
    """What a process that was killed in the middle of writing leaves."""
    for folder in world.index.glob("*"):
        (folder / "0123456789abcdef.999999999").write_bytes(b'{"index": 1')


def touch(path: Path) -> None:
    if path.exists():
        os.utime(path)


def unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def mark(world: World, day: str, state: str) -> None:
    with suppress(MlorchError):  # nothing of a pipeline whose spec is wrong, or whose journal is damaged, can be marked
        world.session().mark("up", (day,), state, "so it is")


CHANGES: dict[str, Callable[[World, str], None]] = {
    "nothing": lambda _world, _day: None,
    "output touched": lambda world, day: touch(world.folder / f"out/{day}/made"),
    "input touched": lambda world, day: touch(world.folder / f"raw/{day}.txt"),
    "output edited": lambda world, day: world.append(f"out/{day}/made", "by hand\n"),
    "output removed": lambda world, day: unlink(world.folder / f"out/{day}/made"),
    "file added to a folder": lambda world, day: world.append(f"spread/{day}/two", "2"),
    "folder removed": lambda world, day: shutil.rmtree(world.folder / f"spread/{day}", ignore_errors=True),
    "joined removed": lambda world, day: unlink(world.folder / f"joined/{day}"),
    "code edited": lambda world, _day: world.append("code/make.sh", "# more\n"),
    "code removed": lambda world, _day: unlink(world.folder / "code/make.sh"),
    "input edited": lambda world, day: world.append(f"raw/{day}.txt", "late\n"),
    "input removed": lambda world, day: unlink(world.folder / f"raw/{day}.txt"),
    "input back": lambda world, day: world.append(f"raw/{day}.txt", "back\n"),
    "match added": lambda world, day: world.append(f"more/{day}.txt", day),
    "match removed": lambda world, day: unlink(world.folder / f"more/{day}.txt"),
    "parameter": lambda world, _day: world.edit("pipelines/up.yaml", "factor: 2", "factor: 3"),
    "variable": lambda world, _day: world.edit("pipelines/up.yaml", "COLOUR: red", "COLOUR: blue"),
    "project's variable": lambda world, _day: world.edit("mlorch.yaml", "'1'", "'2'"),
    "command": lambda world, _day: world.edit("pipelines/down.yaml", "run: cat", "run: cat -u"),
    "output's path": lambda world, _day: world.edit("pipelines/up.yaml", "out/$", "other/$"),
    "upstream's window": lambda world, _day: world.edit("pipelines/down.yaml", "last(2)", "last(3)"),
    "comment": lambda world, _day: world.edit("pipelines/up.yaml", "kind:", "# a line\nkind:"),
    "wrong spec": lambda world, _day: world.edit("pipelines/up.yaml", "kind: feature", "kind: nothing"),
    "run": lambda world, _day: world.run(),
    "run upstream": lambda world, _day: world.run(("up",)),
    "backfilled": lambda world, _day: world.backfill("up", only=("all",)),
    "backfilled with upstream": lambda world, _day: world.backfill("down", only=("all",), with_upstream=True),
    "journal damaged": damage,
    "journal cut": cut,
    "journal removed": lambda world, day: unlink(world.journal("up", day)),
    "state removed": lambda world, day: shutil.rmtree(world.journal("up", day).parent, ignore_errors=True),
    "repaired": repair,
    "collected": collect,
    "linked away": swap,
    "marked done": lambda world, day: mark(world, day, "done"),
    "marked missing": lambda world, day: mark(world, day, "missing"),
    "index kept": keep,
    "index of long ago": restore,
    "index torn": tear,
    "index half written": leave,
    "index removed": lambda world, _day: shutil.rmtree(world.index, ignore_errors=True),
    "time passes": lambda world, day: setattr(world, "hours", world.hours + 3 + 24 * 101 * (day == DAYS[0])),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index") / "project"
    for name, text in (("up", UP), ("down", DOWN), ("aged", AGED)):
        (folder / "pipelines").mkdir(parents=True, exist_ok=True)
        (folder / "pipelines" / f"{name}.yaml").write_text(text)
    (folder / "mlorch.yaml").write_text(PROJECT)
    for name in ("raw", "more", "code"):
        (folder / name).mkdir()
    for day in DAYS:
        (folder / "raw" / f"{day}.txt").write_text(day)
    (folder / "code" / "make.sh").write_text('cat raw/*.txt > "$1"; echo "$2" >> "$1"\n')
    World(folder).run()
    return folder


def agree(world: World) -> int:
    """Ask with the index as it is, and with none; returns for how many partitions it had been of use."""
    now = (datetime.now(UTC) + timedelta(hours=world.hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    settle()
    used = 0
    believed = IndexFile.believed

    def counting(self: IndexFile, *args: Any, **more: Any) -> Any:
        nonlocal used
        for found in believed(self, *args, **more):
            used += found is not None
            yield found

    IndexFile.believed = counting  # type: ignore[method-assign] # to see that it is used at all
    try:
        with_index = world.answers(now)
    finally:
        IndexFile.believed = believed  # type: ignore[method-assign] # as it was
    aside = world.index.with_name("aside")
    if world.index.exists():
        world.index.rename(aside)
    without = world.answers(now)
    shutil.rmtree(world.index, ignore_errors=True)
    if aside.exists():
        aside.rename(world.index)
    assert with_index == without
    return used


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.sampled_from(DAYS)), min_size=1, max_size=6))
def test_the_index_changes_no_answer(
    template: Path, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("case") / "project"
    shutil.copytree(template, folder, symlinks=True)
    world = World(folder)
    try:
        agree(world)
        assert agree(world) > 20
        for change, day in changes:
            CHANGES[change](world, day)
            agree(world)
    finally:
        shutil.rmtree(folder.parent)


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_each_change_alone_changes_no_answer(template: Path, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "project"
    shutil.copytree(template, folder, symlinks=True)
    world = World(folder)
    agree(world)
    assert agree(world) > 20
    CHANGES[change](world, DAYS[1])
    agree(world)


def test_a_backfill_leaves_the_index_of_what_it_did(template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(template, folder, symlinks=True)
    world = World(folder)
    world.append("code/make.sh", "# more\n")
    world.backfill("down", only=("missing", "failed", "stale"), with_upstream=True)
    considered: list[str] = []
    decide = Standings._decide

    def telling(self: Standings, index: Any, selected: Any, key: str, mark: Any) -> Any:
        considered.append(f"{selected.pipeline.name} {key}")
        return decide(self, index, selected, key, mark)

    Standings._decide = telling  # type: ignore[method-assign] # to see what is decided anew
    try:
        rows = world._backfill("down", "", with_upstream=True)
    finally:
        Standings._decide = decide  # type: ignore[method-assign] # as it was
    assert [row.state for row in rows] == ["done"] * 3
    assert considered == []
