"""`mlorch shell`: the very environment of a step, and nothing that it writes is published."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli.conftest import Project

SECRET = "s3cret-of-a-test"
TEXT = """\
mlorch: 1
name: deep
kind: feature
owner: dana@example.org
params: {n: 3, word: "it's $(x)"}
env: {GREETING: 'hello ${{ params.word }}'}
secrets: {TOKEN: {env: DEEP_TOKEN}}
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-10}
steps:
  load:
    run: 'echo loaded > "$MLORCH_OUTPUT_RAW"'
    outputs: {raw: 'data/raw/${{ partition.key }}.txt'}
  train:
    run: |
      env -0 > "$MLORCH_PROJECT/env.$MLORCH_ATTEMPT"
      pwd >> "$MLORCH_PROJECT/pwd.txt"
      cat ${{ inputs.raw }} > ${{ outputs.model }}
      echo "n=${{ params.n }}" >> "$MLORCH_VALUES"
      test ${{ params.n }} -lt 5
    working_dir: work
    retry: {attempts: 2, delay: 0s}
    secrets: [TOKEN]
    env: {AUTH: 'Bearer ${{ secrets.TOKEN }}'}
    inputs: {raw: 'data/raw/${{ partition.key }}.txt'}
    outputs: {model: 'data/model/${{ partition.key }}.txt', notes: 'data/notes/${{ partition.key }}/'}
    values: {n: integer}
  after:
    run: 'true'
    inputs: {model: 'data/model/${{ partition.key }}.txt'}
"""
# What a shell makes by itself, and what is of the shell and not of the step.
OWN = {"PS1", "SHLVL", "_", "PWD", "OLDPWD", "MLORCH_COMMAND"}
PLACES = ("MLORCH_OUTPUT_", "MLORCH_VALUES", "MLORCH_SUMMARY", "MLORCH_CONTEXT")


@pytest.fixture
def deep(project: Project) -> Project:
    """A project whose run of one day failed in its second step, twice."""
    (project.folder / "pipelines" / "deep.yaml").write_text(TEXT, "utf-8")
    (project.folder / "work").mkdir()
    temp = project.folder / "temp"
    temp.mkdir()
    project.env |= {"TMPDIR": str(temp), "DEEP_TOKEN": SECRET}
    assert project("run", "deep", "-p", "2013-01-02", "--param", "n=7").returncode == 1
    return project


def variables(path: Path) -> dict[str, str]:
    pairs = (item.split("=", 1) for item in path.read_text("utf-8").split("\0") if item)
    return {name: value for name, value in pairs if name not in OWN}


def test_the_environment_is_the_steps_own(deep: Project) -> None:
    done = deep("shell", "@latest", "train", stdin='env -0 > "$MLORCH_PROJECT/env.shell"; pwd\n')
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{deep.folder}/work\n"
    step, shell = variables(deep.folder / "env.2"), variables(deep.folder / "env.shell")
    scratch = {name for name in step if name.startswith(PLACES)}
    # Values that travel to the command in variables of their own: the outputs among them lie elsewhere, too.
    moved = {name for name, value in step.items() if re.fullmatch(r"MLORCH_E\d+", name) and ".mlorch-" in value}
    assert len(scratch) == 5 and len(moved) == 1
    assert {name for name in step | shell if step.get(name) != shell.get(name)} == scratch | moved
    assert shell["MLORCH_ATTEMPT"] == "2" and shell["AUTH"] == f"Bearer {SECRET}" and "DEEP_TOKEN" not in shell
    first = deep("shell", "@latest", "train", "--attempt", "1", stdin="echo $MLORCH_ATTEMPT\n")
    assert first.stdout == "1\n"


def test_outputs_go_to_a_scratch_folder_that_is_removed(deep: Project) -> None:
    assert deep("run", "deep", "-p", "2013-01-02", "--param", "n=1").returncode == 0
    published = deep.folder / "data" / "model" / "2013-01-02.txt"
    published.write_text("precious\n", "utf-8")
    before = sorted(path for path in deep.folder.rglob("*") if "temp" not in path.parts)
    script = '"$MLORCH_COMMAND"; cat "$MLORCH_OUTPUT_MODEL" "$MLORCH_VALUES"; ls -d "$MLORCH_OUTPUT_NOTES"\n'
    done = deep("shell", "@latest", "train", stdin=script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["loaded", "n=1"]
    assert done.stdout.splitlines()[2].startswith(str(deep.folder / "temp"))
    assert published.read_text("utf-8") == "precious\n"
    assert sorted(path for path in deep.folder.rglob("*") if "temp" not in path.parts) == before
    assert list((deep.folder / "temp").iterdir()) == []
    kept = deep("shell", "@latest", "train", "--keep", stdin='"$MLORCH_COMMAND"\n')
    where = kept.stderr.splitlines()[-1].rsplit(" ", 1)[-1]
    with open(f"{where}/outputs/model/2013-01-02.txt", encoding="utf-8") as file:
        assert file.read() == "loaded\n"
    assert deep.json("plan", "deep", "-p", "2013-01-02", "--param", "n=1")["data"]["pipelines"][0]["steps"][1][
        "reason"
    ] == ("output_changed"), "nothing of it was recorded"


def test_nothing_of_ours_holds_a_secret(deep: Project) -> None:
    done = deep(
        "shell", "@latest", "train", stdin='grep -r -c "$TOKEN" "$(dirname "$MLORCH_COMMAND")"; echo "$TOKEN"\n'
    )
    assert done.stdout.splitlines()[-1] == SECRET
    assert all(line.endswith(":0") for line in done.stdout.splitlines()[:-1]) and len(done.stdout.splitlines()) > 1
    assert SECRET not in done.stderr
    document = deep.json("shell", "@latest", "train", "--command")
    printed = deep("shell", "@latest", "train", "--command")
    assert document["data"]["command"] == printed.stdout
    assert SECRET not in printed.stdout + printed.stderr
    assert list((deep.folder / "temp").iterdir()) == []
    (deep.folder / "opens.sh").write_text(printed.stdout, "utf-8")
    text = '"$MLORCH_COMMAND"; echo "$TOKEN $AUTH $GREETING $(pwd) ${DEEP_TOKEN-hidden}"; cat "$MLORCH_OUTPUT_MODEL"\n'
    opened = subprocess.run(
        ["sh", "opens.sh"], cwd=deep.folder, env=deep.env, input=text, capture_output=True, text=True, check=True
    )
    said = f"{SECRET} Bearer {SECRET} hello it's $(x) {deep.folder}/work hidden"
    assert opened.stdout == f"{said}\nloaded\n"


def test_a_secret_is_fetched_when_the_shell_opens(deep: Project) -> None:
    done = deep("shell", "@latest", "train", stdin="true\n", DEEP_TOKEN="")
    assert done.returncode == 3
    assert "TOKEN" in done.stderr
    assert deep("shell", "@latest", "load", stdin="echo fine\n", DEEP_TOKEN="").stdout == "fine\n", "it lists no secret"


def test_the_step_is_as_that_run_had_it(deep: Project) -> None:
    spec = deep.folder / "pipelines" / "deep.yaml"
    spec.write_text(spec.read_text("utf-8").replace("GREETING: 'hello", "GREETING: 'good day").replace("n: 3", "n: 4"))
    done = deep("shell", "deep@2013-01-02", "train", stdin='echo "$GREETING $MLORCH_PARAM_N"\n')
    assert done.stdout == "hello it's $(x) 7\n"
    assert "pipelines/deep.yaml has changed since" in done.stderr
    assert "have changed since that attempt" not in done.stderr
    (deep.folder / "data" / "raw" / "2013-01-02.txt").write_text("other\n", "utf-8")
    spec.unlink()
    done = deep("shell", "deep@2013-01-02", "train", stdin='cat "$MLORCH_INPUT_RAW"\n')
    assert done.stdout == "other\n"
    assert "pipelines/deep.yaml is gone" in done.stderr
    assert "have changed since that attempt" in done.stderr


def test_a_step_that_was_not_started(deep: Project) -> None:
    done = deep("shell", "@latest", "after", stdin="echo $MLORCH_STEP\n")
    assert (done.returncode, done.stdout) == (0, "after\n")
    assert "that run did not start this step (blocked: train failed)" in done.stderr
    assert "data/model/2013-01-02.txt is missing" in done.stderr
    (deep.folder / "data" / "raw" / "2013-01-02.txt").unlink()
    missing = deep("shell", "@latest", "train", stdin='echo "[$MLORCH_INPUT_RAW]"; test -z "${MLORCH_COMMAND-}"\n')
    assert (missing.returncode, missing.stdout) == (0, "[]\n")
    assert "data/raw/2013-01-02.txt is missing" in missing.stderr
    assert "its command cannot be put together" in missing.stderr


def test_an_output_in_place_is_not_overwritten_by_the_way(project: Project) -> None:
    text = "mlorch: 1\nname: flat\nkind: feature\nowner: dana@example.org\nsteps:\n  one: {run: cp in.txt out.txt, outputs: {out: out.txt}}\n"
    (project.folder / "pipelines" / "flat.yaml").write_text(text, "utf-8")
    (project.folder / "in.txt").write_text("x\n", "utf-8")
    assert project("run", "flat").returncode == 0
    done = project("shell", "@latest", "one", stdin='echo "[${MLORCH_COMMAND-}]"\n')
    assert done.stdout == "[]\n"
    assert "writes out.txt in place" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("@latest", "trian"), 2, "did you mean `train`"),
        (("nope", "train"), 2, "there is no run nope"),
        (("@latest", "train", "--attempt", "3"), 2, "no attempt 3"),
        (("@latest", "train", "-o", "json"), 2, "--command"),
    ],
)
def test_what_cannot_be_opened(deep: Project, words: tuple[str, ...], code: int, said: str) -> None:
    done = deep("shell", *words)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert list((deep.folder / "temp").iterdir()) == []


def test_how_a_script_ends(deep: Project) -> None:
    done = deep("shell", "@latest", "train", stdin="exit 3\n")
    assert done.returncode == 1
    assert "exited with 3" in done.stderr
    assert deep("shell", "@latest", "train", "-q", stdin="true\n").stderr == ""


def test_on_a_terminal(deep: Project) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlorch", "shell", "@latest", "train"],
        cwd=deep.folder,
        env=deep.env | {"TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = read_until(ours, b"(mlorch train)")
    assert b"\xc2\xb7 deep 2013-01-02 \xc2\xb7 train, as in run" in seen
    os.write(ours, b"echo n:$((6*7)); false\nexit\n")
    seen = read_until(ours, b"n:42")
    assert b"n:42" in seen
    assert process.wait(30) == 0, "how the last command of a person ended says nothing"
    os.close(ours)


def read_until(descriptor: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen and select.select([descriptor], [], [], 30)[0]:
        seen += os.read(descriptor, 4096)
    return seen


def test_a_signal_ends_the_shell_and_removes_its_folder(deep: Project) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mlorch", "shell", "@latest", "train"],
        cwd=deep.folder,
        env=deep.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"echo there; exec sleep 60\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"there\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    process.stdin.close()
    process.stdout.close()
    assert list((deep.folder / "temp").iterdir()) == []


def test_a_run_that_is_not_over_keeps_its_mark_to_itself(deep: Project) -> None:
    """What bears the mark of a run that was cut off is ended by the next run."""
    spec = deep.folder / "pipelines" / "deep.yaml"
    spec.write_text(
        spec.read_text("utf-8").replace("      pwd >>", '      kill -9 "$(cat pid)"\n      pwd >>'), "utf-8"
    )
    killed = deep.shell(f'echo $$ > work/pid; exec "{sys.executable}" -m mlorch run deep -p 2013-01-03')
    assert killed.returncode == -signal.SIGKILL
    run_id = deep.json("runs", schema="run")["data"]["runs"][0]["run_id"]
    done = deep("shell", "@latest", "train", stdin="echo $MLORCH_RUN_ID\n")
    assert done.stdout == f"{run_id}-shell\n"
    assert "that run is not over" in done.stderr
