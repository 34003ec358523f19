"""A machine of its own as far as cron is concerned: nobody's crontab is touched, and no job of this machine runs.

The real `crontab` and `cron` of Debian are called in a mount namespace where the spool is a temporary folder and the system's tables
are empty. That takes root, or a sudo that asks for no password.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.runner import install_mlorch

if TYPE_CHECKING:
    from pathlib import Path

_ENTER = """\
set -e
mount --bind "$1/spool" /var/spool/cron/crontabs
mount --bind "$1/empty" /etc/cron.d
mount --bind /dev/null /etc/crontab
mount -t tmpfs tmpfs /run
shift
exec "$@"
"""


@dataclass
class Machine:
    """`folder` holds the spool; `mlorch` is a command installed as by pip."""

    folder: Path
    mlorch: Path

    def words(self, *command: str | Path) -> list[str]:
        """The words that call a command on this machine, with an environment of its own."""
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        path = f"PATH={self.mlorch.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        env = ["env", "-i", path, "HOME=/root", "LOGNAME=root", "TERM=dumb", "LANG=C.UTF-8"]
        return [*root, *env, "unshare", "--mount", "sh", "-c", _ENTER, "enter", str(self.folder), *map(str, command)]

    def __call__(self, *command: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.words(*command), input=data, capture_output=True, timeout=60, check=False)

    def crontab(self, user: str = "root") -> bytes:
        """A crontab's own bytes: its file in the spool, without the three lines that `crontab` puts at the top."""
        file = self.folder / "spool" / user
        done = self("cat", file)
        return b"".join(done.stdout.splitlines(keepends=True)[3:]) if done.returncode == 0 else b""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    missing = [tool for tool in ("/usr/bin/crontab", "/usr/sbin/cron", "/usr/bin/unshare") if not os.path.exists(tool)]
    assert not missing, f"these tests need {', '.join(missing)}: call .ci/tools"
    for name in ("spool", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "spool").chmod(0o1733)
    machine = Machine(tmp_path, install_mlorch(tmp_path / "venv"))
    able = machine("true")
    assert able.returncode == 0, f"these tests need root, or a sudo that asks for no password: {able.stderr!r}"
    return machine
