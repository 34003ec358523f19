"""What steps find, and what is said when they fail."""

from __future__ import annotations

import json
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


def test_what_a_check_prints_stands_in_the_log_and_in_the_panel(project: Project) -> None:
    write(
        project,
        "looked",
        "steps:\n  one:\n    run: echo made; echo n=3 >> $MLORCH_VALUES\n    values: {n: integer}\n"
        "    checks: [{run: 'echo found ${{ values.n }} >&2; exit 1', message: 'only ${{ values.n }}'}]\n",
    )
    done = project("run", "looked")
    assert done.returncode == 1
    assert "  only 3 (the check" in done.stdout
    assert "  | made\n  | found 3\n" in done.stdout
    assert project("logs", "@latest", "one").stdout == "made\nfound 3\n"


def test_a_link_that_leads_out_of_the_project_is_not_published(project: Project) -> None:
    write(
        project,
        "links",
        "steps:\n  out: {run: 'ln -s /etc/passwd ${{ outputs.o }}', outputs: {o: out/link}}\n"
        "  within: {run: 'ln -s $PWD/mine ${{ outputs.o }}', outputs: {o: out/near}}\n",
    )
    (project.folder / "mine").write_text("x", "utf-8")
    for _ in range(2):  # the second call must not find the project unfit
        steps = {step["id"]: step for step in project.json("run", "links", code=1)["data"]["runs"][0]["steps"]}
        assert steps["out"]["state"] == "failed"
        assert "is a link, and may not be published: " in steps["out"]["detail"]
        assert "leads out of the project, to /etc/passwd" in steps["out"]["detail"]
    assert not (project.folder / "out/link").is_symlink()
    assert (project.folder / "out/near").is_symlink()


def test_the_command_to_go_on_chooses_the_same_steps(project: Project) -> None:
    write(
        project,
        "unsafe",
        "steps:\n  send: {run: 'false', side_effects: external}\n  other: {run: 'true'}\n",
    )
    assert "mlorch run unsafe --only send\n" in project("run", "unsafe", "--only", "send").stdout
    assert "mlorch run unsafe --only send --rerun-unsafe\n" in project("run", "unsafe", "--only", "send").stdout


def test_a_plan_says_that_a_step_with_effects_outside_is_not_repeated(project: Project) -> None:
    write(
        project,
        "sends",
        "steps:\n  send: {run: 'false', side_effects: external}\n  after: {run: 'true', needs: [send]}\n",
    )
    project("run", "sends")
    (plan,) = project.json("plan", "sends")["data"]["pipelines"]
    assert [(step["action"], step["reason"]) for step in plan["steps"]] == [
        ("skip", "unsafe"),
        ("skip", "upstream_failed"),
    ]
    assert "nothing can run: 0 steps reused, 2 skipped" in project("plan", "sends").stdout
    assert project.json("why", "sends", "send")["data"]["reason"] == "unsafe"
    (plan,) = project.json("plan", "sends", "--rerun-unsafe")["data"]["pipelines"]
    assert [step["action"] for step in plan["steps"]] == ["run", "run"]


def test_what_cannot_be_published_leaves_the_former_output(project: Project) -> None:
    write(
        project,
        "pipe",
        "params: {bad: 'no'}\nsteps:\n  one:\n    outputs: {o: out/a}\n"
        "    run: 'if [ ${{ params.bad }} = yes ]; then mkfifo ${{ outputs.o }}; else echo ok > ${{ outputs.o }}; fi'\n"
        "  two: {run: echo 2}\n",
    )
    assert project("run", "pipe").returncode == 0
    done = project("run", "pipe", "--param", "bad=yes")
    assert done.returncode == 1
    assert "its output o (out/a) is neither a file nor a folder" in done.stdout
    assert (project.folder / "out/a").read_text() == "ok\n"


def test_what_is_not_there_is_null_and_changes_nothing_from_call_to_call(project: Project) -> None:
    (project.folder / "pipelines" / "demo.yaml").write_text(
        "mlorch: 1\nname: demo\nkind: training\nowner: dana@example.org\nsteps:\n  a:\n"
        "    when: git.commit == null and partition.key == null\n"
        "    run: \"echo ${{ git.commit if git.commit != null else 'none' }} ${{ partition.key == null }} > ${{ outputs.x }}\"\n"
        "    outputs: {x: x.txt}\n",
        "utf-8",
    )
    assert project("run", "demo").returncode == 0
    assert (project.folder / "x.txt").read_text() == "none true\n"
    again = project.json("run", "demo")["data"]["runs"]
    assert [step["state"] for run in again for step in run["steps"]] in ([], ["cached"])
    for facts in (project.folder / ".mlorch").rglob("run.json"):
        assert json.loads(facts.read_text("utf-8")).get("git_commit", "") == ""
