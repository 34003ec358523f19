"""What steps find, and what is said when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project


def write(project: Project, name: str, text: str) -> None:
    head = f"mlorch: 1\nname: {name}\nkind: training\nowner: d@example.org\n"
    (project.folder / "pipelines" / f"{name}.yaml").write_text(head + text)


def test_a_variable_may_build_on_the_level_above_it(project: Project) -> None:
    write(
        project,
        "levels",
        "env: {A: 'x${{ env.BASE }}'}\n"
        "steps:\n  one: {run: 'echo $A > ${{ outputs.o }}', env: {A: '${{ env.A }}y'}, outputs: {o: out/a}}\n",
    )
    assert project("run", "levels", BASE="base").returncode == 0
    assert (project.folder / "out/a").read_text() == "xbasey\n"


def test_the_command_to_go_on_chooses_the_same_steps(project: Project) -> None:
    write(
        project,
        "unsafe",
        "steps:\n  send: {run: 'false', side_effects: external}\n  other: {run: 'true'}\n",
    )
    assert "mlorch run unsafe --only send\n" in project("run", "unsafe", "--only", "send").stdout
    assert "mlorch run unsafe --only send --rerun-unsafe\n" in project("run", "unsafe", "--only", "send").stdout
