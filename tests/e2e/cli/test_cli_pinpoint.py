"""A mistake that shows only when a step's values are known is told at its place, as those that `validate` finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.spec.pinpoint import pinpoint

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

TEXT = """\
mlorch: 1
name: late
kind: feature
owner: dana@example.org
params: {where: {type: string, default: here}, n: {type: integer, default: 1}}
steps:
  one:
    run: touch ${{ outputs.o }}
    outputs:
      o: 'out/${{ params.where }}/x'
      p: {check: non_empty, path: 'out/y${{ params.n }}'}
  two:
    run: touch ${{ outputs.q }}
    when: ${{ 10 / params.n > 1 }}
    inputs: {i: '${{ params.where }}'}
    outputs: {q: 'out/y${{ params.n }}/../y3'}
"""


@pytest.mark.parametrize(
    ("given", "place", "code", "marked"),
    [
        ("where=../../../x", (10, 10), "E403", "'out/${{ params.where }}/x'"),
        ("where=", (15, 17), "E402", "'${{ params.where }}'"),
        ("n=0", (14, 11), "E404", "${{ 10 / params.n > 1 }}"),
    ],
)
def test_it_is_told_at_its_key(project: Project, given: str, place: tuple[int, int], code: str, marked: str) -> None:
    (project.folder / "pipelines" / "late.yaml").write_text(TEXT, "utf-8")
    done = project("plan", "late", "--param", given)
    assert done.returncode == 3
    head, line, carets = done.stderr.splitlines()[:3]
    assert head.startswith(f"pipelines/late.yaml:{place[0]}:{place[1]}: error {code}: ")
    assert line[carets.index("^") : carets.rindex("^") + 1] == marked
    told = project.json("plan", "late", "--param", given, code=3)["problems"][0]
    assert (told["line"], told["column"], told["code"]) == (*place, code)


def test_a_file_that_has_become_another_one_leaves_the_place_of_the_step() -> None:
    problem = Diagnostic("E404", "wrong", Place("p.yaml", 6, 3, 3), keys=("steps", "one", "when"))
    assert pinpoint(problem, b"other: 1\n") == problem
    assert pinpoint(problem, b"\0") == problem
    assert pinpoint(problem, b"steps:\n  one: {run: x}\n").place == Place("p.yaml", 2, 8, 1)
