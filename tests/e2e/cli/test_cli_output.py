"""What people, pipes and GitHub see."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli.conftest import Project

ESCAPE = "\x1b"


def test_plain_lines_off_a_terminal(project: Project) -> None:
    done = project("run", "demo", "-p", "2013-01-02")
    assert done.returncode == 0
    assert ESCAPE not in done.stdout
    lines = done.stdout.splitlines()
    assert [line.split("  ")[:2] for line in lines[1:4]] == [[step, "succeeded"] for step in ("load", "check", "after")]
    again = project("run", "demo", "-p", "2013-01-02")
    assert again.stdout == "demo 2013-01-02  nothing to do  3 steps: 3 cached\n"
    assert project("run", "demo", "-p", "2013-01-02", "-q").stdout == ""


def test_nothing_is_cut_to_80_columns(project: Project) -> None:
    spec = (project.folder / "pipelines" / "demo.yaml").read_text("utf-8")
    (project.folder / "pipelines" / "demo.yaml").write_text(
        spec.replace("run: 'true'", f"run: 'true {'x' * 300}'"), "utf-8"
    )
    assert "x" * 300 in project("plan", "demo").stdout


def test_a_failure_names_what_to_do(project: Project) -> None:
    done = project("run", "demo", "-p", "2013-01-02", "--param", "n=7")
    assert done.returncode == 1
    assert "FAILED demo 2013-01-02 · check" in done.stdout
    assert "exit status 1" in done.stdout
    log = re.search(r"log: (\S+)", done.stdout)
    assert log is not None
    assert (project.folder / log[1]).read_text("utf-8") == "::error::forged\n"
    command, _, look = (line.strip() for line in done.stdout.splitlines()[-3:])
    assert command == "mlorch run demo -p 2013-01-02 --param n=7"
    assert re.fullmatch(r"mlorch shell \S+ check", look)
    assert project.shell(f"echo 'echo $MLORCH_STEP' | {look}").stdout == "check\n"
    assert project.shell(command.replace("n=7", "n=1")).returncode == 0


def test_quiet_failures_are_on_stderr(project: Project) -> None:
    done = project("run", "demo", "-p", "2013-01-02", "--param", "n=7", "-q")
    assert done.stdout == ""
    assert "FAILED demo 2013-01-02 · check" in done.stderr


def test_github(project: Project, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = project(
        "run", "demo", "-p", "2013-01-02", "--param", "n=7", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary)
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    forged = lines.index("· ::error::forged")
    assert lines[forged - 1].startswith("::stop-commands::")
    token = lines[forged - 1].removeprefix("::stop-commands::")
    assert f"::{token}::" in lines[forged:]
    assert any(line.startswith("::error file=pipelines/demo.yaml,line=") for line in lines)
    assert not any(line.lstrip().startswith("::error::forged") for line in lines), (
        "not even for one who knows no stop-commands"
    )
    assert "| check | failed |" in summary.read_text("utf-8")


def test_the_summary_of_a_job_holds_what_steps_wrote_to_theirs(project: Project, tmp_path: Path) -> None:
    text = (
        "mlorch: 1\nname: tells\nkind: training\nowner: d@example.org\nsteps:\n"
        "  tells: {run: 'echo \"| a | b |\" >> $MLORCH_SUMMARY'}\n"
        "  long: {run: 'for i in $(seq 9000); do echo a line; done >> $MLORCH_SUMMARY'}\n"
        "  silent: {run: 'true'}\n"
    )
    (project.folder / "pipelines" / "tells.yaml").write_text(text, "utf-8")
    page = tmp_path / "page.md"
    assert project("run", "tells", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(page)).returncode == 0
    told = page.read_text("utf-8")
    assert "\n#### tells\n\n| a | b |\n\n" in told
    assert "#### silent" not in told
    assert 60_000 < len(told) < 70_000
    assert told.rstrip().endswith("a line")
    page.unlink()
    assert project("run", "tells", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(page)).returncode == 0
    assert "####" not in page.read_text("utf-8").replace("### tells", ""), "what was reused wrote nothing this time"


def test_github_annotates_wrong_specs(project: Project) -> None:
    (project.folder / "pipelines" / "demo.yaml").write_text("mlorch: 1\nname: demo\nstps: {}\n", "utf-8")
    done = project("validate", GITHUB_ACTIONS="true")
    assert done.returncode == 3
    assert "::error file=pipelines/demo.yaml,line=3,col=1::E201: " in done.stdout


def test_github_finds_the_files_of_a_project_that_is_a_folder_of_the_repository(project: Project) -> None:
    top = str(project.folder.parent)
    file = f"{project.folder.name}/pipelines/demo.yaml"
    done = project("run", "demo", "-p", "2013-01-02", "--param", "n=7", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=top)
    assert f"::error file={file},line=" in done.stdout
    (project.folder / "pipelines" / "demo.yaml").write_text("mlorch: 1\nname: demo\nstps: {}\n", "utf-8")
    for words in (("validate",), ("run", "demo"), ("plan", "demo")):
        done = project(*words, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=top)
        assert f"::error file={file},line=3,col=1::E201: " in done.stdout, words
    elsewhere = project("validate", GITHUB_ACTIONS="true", GITHUB_WORKSPACE="/nowhere/else")
    assert "::error file=pipelines/demo.yaml,line=3" in elsewhere.stdout


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    done = project.shell("set -o pipefail; mlorch schema | head -n 1; echo ${PIPESTATUS[0]} >&2")
    assert done.stderr == "0\n"
    done = project.shell("mlorch run demo -p 2013-01-02 | head -n 1 > /dev/null; echo ${PIPESTATUS[0]}")
    assert done.stdout == "0\n"
    assert project("plan", "demo", "-p", "2013-01-02", "--exit-code").returncode == 0, "the run went on to its end"
    assert project.shell("mlorch logs @latest | true; echo ${PIPESTATUS[0]}").stdout == "0\n"
    assert project.shell("mlorch status -o table | true; echo ${PIPESTATUS[0]}").stdout == "0\n"


def test_closed_streams_are_no_error(project: Project) -> None:
    assert project.shell("mlorch run demo -p 2013-01-02 >&- 2>&-; echo $?").stdout == "0\n"
    assert project.shell("mlorch status >&-; echo $?").stdout == "0\n"


def test_a_full_disk_behind_stdout_is_told(project: Project) -> None:
    done = project.shell("mlorch status -o json > /dev/full")
    assert done.returncode == 9
    assert "No space left" in done.stderr


def test_ascii_streams_do_not_break_it(project: Project) -> None:
    done = project("status", "-o", "table", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr


def test_logs(project: Project) -> None:
    project("run", "demo", "-p", "2013-01-02")
    assert project("logs", "@latest", "load").stdout == "loading [/b] 2013-01-02\n"
    everything = project("logs", "demo@2013-01-02").stdout
    assert everything.startswith("==> load <==\nloading [/b] 2013-01-02\n\n==> check <==\n")
    assert project("logs", "@latest", "load", "--tail", "0").stdout == ""
    assert project("logs", "@latest", "load", "-f", "--tail", "1").stdout == "loading [/b] 2013-01-02\n"
    assert "no step failed" in project("logs", "@latest", "--failed").stderr
    assert project("logs", "@latest", "load", "--attempt", "2").returncode == 2


def test_help_is_quick_to_find(project: Project) -> None:
    overview = project().stdout
    assert overview == project("--help").stdout == project("help").stdout
    assert "backfill" in overview
    assert project("help", "run").stdout == project("run", "-h").stdout
    assert "mlorch run flights_features" in project("run", "--help").stdout
    assert "did you mean `mlorch run`" in project("rnu").stderr


def test_no_command_imports_what_it_does_not_need(project: Project) -> None:
    """Start-up time: a run with nothing to do draws no table, needs no parser, and checks no spec that was found sound."""
    project("run", "demo", "-p", "2013-01-02")
    project("status")
    script = (
        "import sys\nfrom mlorch.cli.main import invoke\n"
        "code = invoke(sys.argv[1:])\n"
        "print(code, *sorted({'rich', 'typer', 'yaml', 'jsonschema'} & set(sys.modules)))\n"
    )
    (project.folder / "probe.py").write_text(script, "utf-8")

    def heavy(line: str) -> str:
        return project.shell(f'"{sys.executable}" probe.py {line}').stdout.splitlines()[-1]

    assert heavy("run demo -p 2013-01-02") == "0"
    assert heavy("version") == "0"
    assert heavy("--help") == "0"
    assert heavy("status") == "0 typer"
