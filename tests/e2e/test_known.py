"""A run of thousands of steps with nothing to do is told from what is known: only while nothing that it rests on has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlorch.model.states import StepState
from mlorch.session import session as session_module
from mlorch.session.options import RunOptions
from mlorch.session.session import Session
from mlorch.session.workspace import Workspace
from mlorch.views.lines import QuietObserver
from tests.support.runner import git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlorch.model.history import PartitionState, RunRecord

SPEC = """\
mlorch: 1
name: p
kind: feature
owner: dana@example.com
params: {n: 1}
steps:
  first: {run: 'cp ${{ inputs.i }} ${{ outputs.o }}', inputs: {i: in}, outputs: {o: out/first}}
  second: {run: 'tee ${{ outputs.o }} < out/first', env: {N: '${{ params.n }}'}, needs: [first], outputs: {o: out/second}}
"""


PLAIN = RunOptions(("p",))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "p.yaml").write_text(SPEC, "utf-8")
    (tmp_path / "in").write_text("1\n", "utf-8")
    monkeypatch.setattr(session_module, "MANY", 1)
    return tmp_path


def run(project: Path, options: RunOptions = PLAIN, *, brief: bool = True) -> tuple[RunRecord, bool]:
    """The run, and whether it was known how it ends: then no journal was read."""
    session = Session(Workspace(str(project), str(project)))
    read: list[str] = []
    state = session.workspace.state

    def noted(name: str, key: str) -> PartitionState:
        read.append(name)
        return state(name, key)

    vars(session.workspace)["state"] = noted
    outcome = session.run(options, QuietObserver(print), brief=brief)
    assert outcome.exit_code == 0
    return outcome.runs[0], not read


def states(record: RunRecord) -> dict[str, str]:
    return {step.id: step.state.value for step in record.steps.values()}


def test_it_is_known_right_after_the_run(project: Path) -> None:
    ran, known = run(project)
    assert (states(ran), known) == ({"first": "succeeded", "second": "succeeded"}, False)
    again, known = run(project)
    assert known
    assert (again.run_id, again.reason, again.total, states(again)) == (
        "", "unchanged", 2, {"first": "cached", "second": "cached"},
    )  # fmt: skip
    assert again.params == ran.params


def test_whoever_wants_the_results_gets_them(project: Path) -> None:
    run(project)
    again, known = run(project, brief=False)
    assert not known
    assert [artifact.path for artifact in again.steps["second"].outputs] == ["out/second"]


def edit(path: str, text: str) -> Callable[[Path], object]:
    return lambda project: (project / path).write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (edit("in", "2\n"), ["first", "second"]),
        (edit("out/second", "by hand"), ["second"]),
        (lambda project: (project / "out" / "first").unlink(), ["first"]),
        (edit("pipelines/p.yaml", SPEC.replace("tee ", "tee -i ")), ["second"]),
        (edit("pipelines/p.yaml", SPEC.replace("n: 1", "n: 2")), ["second"]),
        (edit("mlorch.yaml", "mlorch: 1\nenv: {LEVEL: '1'}\n"), ["first", "second"]),
        (lambda project: (project / ".mlorch" / "state" / "p" / "_" / "journal.jsonl").unlink(), ["first", "second"]),
    ],
)
def test_what_changed_runs(project: Path, change: Callable[[Path], object], again: list[str]) -> None:
    run(project)
    change(project)
    ran, known = run(project)
    assert not known
    assert [step.id for step in ran.steps.values() if step.state is StepState.SUCCEEDED] == again
    assert run(project)[1]


@pytest.mark.parametrize(
    ("change", "known"),
    [
        (edit("pipelines/p.yaml", SPEC + "# a line\n"), True),
        (edit("pipelines/p.yaml", SPEC.replace("mlorch: 1\n", "# a line\nmlorch:   1\n")), True),
        (lambda project: os.utime(project / "in", (1, 1)), False),
    ],
)
def test_what_means_the_same_does_not_run(project: Path, change: Callable[[Path], object], known: bool) -> None:
    run(project)
    change(project)
    ran, was_known = run(project)
    assert (set(states(ran).values()), was_known) == ({"cached"}, known)


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(("p",), force=True),
        RunOptions(("p",), force_steps=("second",)),
        RunOptions(("p",), only=("second",)),
        RunOptions(("p",), params=(("n", "7"),)),
        RunOptions(("p",), due="2013-01-01T00:00:00Z"),
    ],
)
def test_what_the_command_says_is_done(project: Path, options: RunOptions) -> None:
    run(project)
    assert run(project)[1]
    assert not run(project, options)[1]


def test_what_a_person_said_counts(project: Path) -> None:
    run(project)
    Session(Workspace(str(project), str(project))).mark("p", (), "missing", "so it is")
    ran, known = run(project)
    assert (set(states(ran).values()), known) == ({"succeeded"}, False)


def test_steps_that_are_skipped_are_told_as_skipped(project: Path) -> None:
    (project / "pipelines" / "p.yaml").write_text(SPEC + "  third: {run: 'true', when: 'params.n > 5'}\n", "utf-8")
    run(project)
    again, known = run(project)
    assert (states(again)["third"], known) == ("skipped", False)


@pytest.mark.parametrize("value", ["'${{ git.commit }}'", '"${{ \\x67it.commit }}"'])
def test_the_commit_counts_where_it_is_used_however_it_is_written(project: Path, value: str) -> None:
    (project / "pipelines" / "p.yaml").write_text(SPEC.replace("'${{ params.n }}'", value), "utf-8")
    git(project, "init", "-q")
    (project / ".git" / "info" / "exclude").write_text("*\n", "utf-8")
    git(project, "commit", "-qm", "one", "--allow-empty")
    run(project)
    assert run(project)[1]
    git(project, "commit", "-qm", "two", "--allow-empty")
    ran, known = run(project)
    assert (states(ran)["second"], known) == ("succeeded", False)


@pytest.mark.parametrize("kind", ["nested", "pipe"])
@pytest.mark.parametrize("folder", ["index/p", "specs"])
def test_what_is_kept_may_be_anything_by_now(project: Path, folder: str, kind: str) -> None:
    run(project)
    kept = list((project / ".mlorch" / "cache" / folder).iterdir())
    assert kept
    for file in kept:
        file.unlink()
        if kind == "pipe":
            os.mkfifo(file)
        else:
            file.write_text("[" * 100_000, "utf-8")
    ran, known = run(project)
    assert (set(states(ran).values()), known) == ({"cached"}, folder == "specs")
