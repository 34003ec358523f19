"""Where a step runs does not change which files it reads and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

TEXT = """\
mlorch: 1
name: places
kind: training
owner: dana@example.org
steps:
  first:
    run: 'cat ${{ inputs.one }} ${{ inputs.many }} "$MLORCH_INPUT_ONE" > ${{ outputs.o }}'
    working_dir: sub
    inputs: {one: in.txt, many: 'data/*.txt'}
    outputs: {o: out/first.txt}
    checks: [{run: 'test -s ${{ outputs.o }}'}]
  second:
    run: [cp, '${{ steps.first.outputs.o }}', '${{ outputs.o }}']
    working_dir: sub
    outputs: {o: out/second.txt}
  third:
    run: 'pwd > ${{ outputs.o }}; test "${{ outputs.o }}" != "$MLORCH_OUTPUT_O"'
    outputs: {o: out/third.txt}
"""


def test_paths_lead_to_the_same_files_from_a_working_folder(project: Project) -> None:
    (project.folder / "pipelines" / "places.yaml").write_text(TEXT, "utf-8")
    for name, text in (("in.txt", "i"), ("data/a.txt", "a"), ("data/b c.txt", "b")):
        path = project.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    (project.folder / "sub").mkdir()
    done = project("run", "places")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.folder / "out" / "second.txt").read_text("utf-8") == "iabi"
    assert (project.folder / "out" / "third.txt").read_text("utf-8") == f"{project.folder}\n"
    assert "nothing to do" in project("run", "places").stdout
