"""A GitHub runner for the steps of a composite action: as much of one as action.yml needs, on this machine.

Each `Job` is a fresh clone and a fresh temporary folder, as on a runner that is thrown away afterwards.
"""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_IF = "${{ always() && steps.restore.outcome == 'success' }}"


def install_mlorch(folder: Path) -> Path:
    """mlorch in an environment of its own, as pip would leave it, without the network; returns the command's path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    libraries = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    paths = dict.fromkeys([str(ROOT), *site.getsitepackages()])
    (libraries / "mlorch.pth").write_text("".join(f"{path}\n" for path in paths), "utf-8")
    command = folder / "bin" / "mlorch"
    command.write_text(f"#!{folder}/bin/python\nfrom mlorch.cli.main import main\nmain()\n", "utf-8")
    command.chmod(0o755)
    return command


def git(folder: Path, *words: str) -> str:
    """What git says, in a folder and without anybody's settings."""
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t",
    }  # fmt: skip
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {words}: {done.stderr}"
    return done.stdout


@dataclass
class Job:
    """One job: a clone of `origin` in `folder`. `failed` names the step that failed first, "" for none."""

    origin: Path
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    output: str = ""
    failed: str = ""
    code: int = 0

    @property
    def clone(self) -> Path:
        """Where the project is."""
        return self.folder / "repo"

    @property
    def temp(self) -> Path:
        """`RUNNER_TEMP`."""
        return self.folder / "temp"

    def begin(self) -> Job:
        """What checkout and an install do."""
        self.temp.mkdir(parents=True)
        git(self.folder, "clone", "--quiet", str(self.origin), "repo")
        install_mlorch(self.temp / "mlorch")
        return self

    def run(self, **given: str) -> Job:
        """All steps of the action with these inputs (underscores for dashes)."""
        inputs = {name: str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()}
        inputs |= {"token": "t0ken-of-the-job"}
        inputs |= {name.replace("_", "-"): value for name, value in given.items()}
        path = os.environ["PATH"]
        outcomes: dict[str, str] = {}
        for step in ACTION["runs"]["steps"]:
            assert step.get("if", _IF) == _IF, "this runner knows no other condition"
            if "run" not in step or (self.failed and "if" not in step):
                continue
            if "if" in step and outcomes.get("restore") != "success":
                continue
            done, path = self._step(step, inputs, path)
            outcomes[step.get("id", "")] = "success" if done.returncode == 0 else "failure"
            self.output += done.stdout + done.stderr
            if done.returncode and not self.failed:
                self.failed, self.code = step["name"], done.returncode
        return self

    def _step(
        self, step: dict[str, Any], inputs: dict[str, str], path: str
    ) -> tuple[subprocess.CompletedProcess[str], str]:
        def filled(text: str) -> str:
            return _EXPRESSION.sub(lambda match: inputs[match[1].removeprefix("inputs.")], text)

        assert "${{" not in step["run"], "an expression in a shell line"
        script, summary, paths = self.temp / "step.sh", self.temp / "summary.md", self.temp / "path"
        for file in (summary, paths):
            file.write_text("", "utf-8")
        script.write_text(step["run"], "utf-8")
        env = {
            "PATH": path, "HOME": str(self.folder), "CI": "true", "GITHUB_ACTIONS": "true", "LANG": "C.UTF-8",
            "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(self.temp), "GITHUB_WORKSPACE": str(self.clone),
            "GITHUB_PATH": str(paths), "GITHUB_STEP_SUMMARY": str(summary),
            **self.env, **{name: filled(str(value)) for name, value in step.get("env", {}).items()},
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.clone / filled(step.get("working-directory", ".")),
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.summary += summary.read_text("utf-8")
        return done, ":".join([*paths.read_text("utf-8").split(), path])
