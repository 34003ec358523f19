"""What a step finds when it starts, and what is left when it has ended."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from mlorch.executors.local import LocalExecutor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAEMON = "setsid --fork sh -c 'echo $$ > {file}; exec sleep 1000'; until [ -s {file} ]; do :; done"


def test_what_a_step_inherits(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    monkeypatch.setenv("TAKEN", "secret source")
    done = bench.run(
        "a", 'echo "$OUTER,$GIVEN,${TAKEN-gone}"; pwd', env=(("GIVEN", "a b\nc"),), unset=("TAKEN", "NEVER")
    )
    assert done.exit_code == 0
    assert bench.log("a").decode() == f"outer,a b\nc,gone\n{bench.folder}\n"


def test_arguments_arrive_as_they_are(bench: Any) -> None:
    words = ("$(x)", "a b", "'", '"', "", "\n", "\udcff", "ü")
    bench.run("a", ("printf", "%s|", *words))
    assert bench.log("a") == b"".join(os.fsencode(word) + b"|" for word in words)


def test_the_command_is_looked_for_in_the_path_of_the_step(bench: Any) -> None:
    tool = bench.folder / "bin" / "my-tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    assert bench.run("a", ("my-tool",), env=(("PATH", f"relative:{tool.parent}"),)).exit_code == 0
    assert bench.log("a") == b"mine\n"
    assert bench.run("b", ("my-tool",)).cause == "spawn"
    assert bench.run("c", ("my-tool",), env=(("PATH", "bin"),)).exit_code == 0, "relative to the working folder"
    assert bench.run("d", ("bin/my-tool",)).exit_code == 0


def test_a_step_has_its_own_session_no_input_and_only_its_descriptors(bench: Any) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        with open(bench.folder / "lock", "w", encoding="ascii") as lock:
            lends = (lock.fileno(),)
            script = "read x || echo eof; [ $(ps -o sid= -p $$) = $$ ] && echo own; for f in /proc/$$/fd/*; do readlink $f; done"
            bench.run("a", script, lends=lends)
    finally:
        os.close(read)
        os.close(write)
    lines = bench.log("a").decode().splitlines()
    log = str(bench.folder / "a.log")
    assert lines[:2] == ["eof", "own"]
    assert sorted(line for line in lines[2:] if line) == sorted(["/dev/null", log, log, str(bench.folder / "lock")])


def test_no_signal_is_ignored_or_blocked(bench: Any) -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        bench.run("a", ("grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"))
    finally:
        signal.signal(signal.SIGHUP, former)
    masks = [int(line.split()[1], 16) for line in bench.log("a").decode().splitlines()]
    # 32 and 33 are the C library's own; its `posix_spawn` has them ignored in whatever it starts.
    assert [mask & ~(0b11 << 31) for mask in masks] == [0, 0]


def test_use_of_the_machine(bench: Any) -> None:
    small = bench.run("a", ("true",))
    assert 0 < small.peak_rss_bytes < 16 * 1024 * 1024, "a supervisor that grows shows in every step"
    large = bench.run("b", ("python3", "-S", "-c", "x = b'x' * (64 << 20); sum(range(2_000_000))"))
    assert 64 << 20 < large.peak_rss_bytes < 200 << 20
    assert large.cpu_s > 0.01


def test_the_record_says_what_is_told(bench: Any) -> None:
    done = bench.run("a", "exit 4")
    assert bench.recorded("a") == done
    bench.run("b", ("nothing-of-this-name",))
    assert bench.recorded("b") == bench.ended["b"]


def test_a_background_job_ends_with_its_step(
    bench: Any, lives: Callable[[int], bool], number: Callable[[Path], int]
) -> None:
    assert bench.run("a", "sleep 1000 & echo $! > pid").exit_code == 0
    assert not lives(number(bench.folder / "pid"))


def test_a_daemon_ends_with_its_step(bench: Any, lives: Callable[[int], bool], number: Callable[[Path], int]) -> None:
    done = bench.run("a", DAEMON.format(file="pid"))
    assert (done.cause, done.exit_code) == ("exit", 0)
    assert not lives(number(bench.folder / "pid"))


def test_a_daemon_of_another_step_lives_on(
    bench: Any, lives: Callable[[int], bool], number: Callable[[Path], int]
) -> None:
    bench.submit("a", DAEMON.format(file="pid") + "; until [ -e go ]; do sleep 0.01; done")
    daemon = number(bench.folder / "pid")
    bench.run("b", "sleep 1000 & true")
    assert lives(daemon)
    (bench.folder / "go").touch()
    bench.end("a")
    assert not lives(daemon)


def test_a_daemon_without_environment_ends_with_all_that_could_have_left_it(
    bench: Any,
    lives: Callable[[int], bool],
    number: Callable[[Path], int],
    patience: Callable[[Callable[[], object]], None],
) -> None:
    bench.submit("b", "until [ -e go ]; do sleep 0.01; done")
    bench.run("a", f'env -i PATH=$PATH sh -c "{DAEMON.format(file="pid").replace("$", chr(92) + "$")}"')
    daemon = number(bench.folder / "pid")
    assert lives(daemon), "b could have left it"
    (bench.folder / "go").touch()
    bench.end("b")
    patience(lambda: not lives(daemon))


def test_a_daemon_that_ignores_term_is_killed_after_grace(
    bench: Any, lives: Callable[[int], bool], number: Callable[[Path], int]
) -> None:
    script = "setsid --fork sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1000; done'; until [ -s pid ]; do :; done"
    done = bench.run("a", script, grace=0.1)
    assert done.exit_code == 0
    assert not lives(number(bench.folder / "pid"))


def test_what_still_writes_its_last_lines_may_finish(bench: Any) -> None:
    script = "(until [ -e go ]; do :; done; echo last) & (: > go) & echo first"
    assert bench.run("a", script).exit_code == 0
    assert bench.log("a") == b"first\nlast\n"


def test_a_time_out_ends_the_whole_tree(
    bench: Any, lives: Callable[[int], bool], number: Callable[[Path], int]
) -> None:
    done = bench.run("a", DAEMON.format(file="daemon") + "; sleep 1000 & echo $! > job; wait", timeout=0.3)
    assert (done.cause, done.signal) == ("timeout", "SIGTERM")
    assert not lives(number(bench.folder / "daemon"))
    assert not lives(number(bench.folder / "job"))


def test_a_step_that_ends_well_at_term_has_timed_out_all_the_same(bench: Any) -> None:
    done = bench.run("a", "trap 'exit 0' TERM; while :; do sleep 0.01; done", timeout=0.3)
    assert (done.cause, done.exit_code, done.signal) == ("timeout", 0, "")


def test_a_stopped_step_times_out(bench: Any) -> None:
    done = bench.run("a", "kill -STOP $$", timeout=0.2)
    assert (done.cause, done.signal) == ("timeout", "SIGTERM")


def test_cancel_of_what_waits_for_its_daemon_keeps_the_end(bench: Any, number: Callable[[Path], int]) -> None:
    script = "setsid --fork sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1000; done'; until [ -s pid ]; do :; done"
    bench.submit("a", script, grace=1000.0)
    number(bench.folder / "pid")
    bench.until(lambda: bench.record.exists() and b'"end"' in bench.record.read_bytes())
    bench.executor.cancel("a", hurry=True)
    assert (bench.end("a").cause, bench.end("a").exit_code) == ("exit", 0)


def test_many_at_once_each_with_its_own(bench: Any) -> None:
    for number in range(60):
        bench.submit(f"s{number}", f"echo {number}; exit {number}", env=(("N", str(number) * 2000),))
    for number in range(60):
        assert bench.end(f"s{number}").exit_code == number
        assert bench.log(f"s{number}") == f"{number}\n".encode()


def test_requests_larger_than_the_socket_takes(bench: Any) -> None:
    for number in range(20):
        bench.submit(f"s{number}", 'echo "${#BIG}"', env=(("BIG", "x" * 100_000),))
    for number in range(20):
        assert bench.end(f"s{number}").exit_code == 0
        assert bench.log(f"s{number}") == b"100000\n"


@pytest.mark.parametrize("script", ["kill -KILL $$", "sh -c 'kill -KILL $$'; exit $?"])
def test_out_of_memory_is_told_apart(tmp_path: Path, bench: Any, script: str) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 1\noom_kill 1\n")
    with LocalExecutor(oom_source=str(counter)) as executor:
        bench.executor, former = executor, bench.executor
        assert bench.run("a", script).cause in ("signal", "exit")
        assert bench.run("b", f"printf 'oom 2\\noom_kill 2\\n' > {counter}; {script}").cause == "oom"
        assert bench.run("c", script).cause in ("signal", "exit")
        bench.executor = former


class TestNotStarted:
    """Each says what is wrong and how to mend it, and leaves an end in the record."""

    def fails(self, bench: Any, argv: tuple[str, ...], code: int, *words: str, **more: Any) -> None:
        done = bench.run("a", argv, **more)
        assert (done.cause, done.exit_code, done.signal, done.errno) == ("spawn", None, "", code), done
        for word in words:
            assert word in done.spawn_error
        assert bench.run("afterwards", ("true",)).exit_code == 0

    def script(self, bench: Any, text: bytes, mode: int = 0o755) -> str:
        path = bench.folder / "script"
        path.write_bytes(text)
        path.chmod(mode)
        return str(path)

    def test_missing(self, bench: Any) -> None:
        self.fails(bench, ("no-such-thing", "x"), errno.ENOENT, "no-such-thing", "command not found", "PATH=")

    def test_missing_path(self, bench: Any) -> None:
        self.fails(bench, ("./nowhere/x",), errno.ENOENT, "./nowhere/x", "no such file")

    def test_empty(self, bench: Any) -> None:
        self.fails(bench, (), errno.ENOENT, "empty")

    def test_not_executable(self, bench: Any) -> None:
        path = self.script(bench, b"#!/bin/sh\n", 0o644)
        self.fails(bench, (path,), errno.EACCES, "chmod +x")

    def test_not_executable_on_the_path(self, bench: Any) -> None:
        path = self.script(bench, b"#!/bin/sh\n", 0o644)
        self.fails(bench, ("script",), errno.EACCES, "chmod +x", path, env=(("PATH", str(bench.folder)),))

    def test_a_folder(self, bench: Any) -> None:
        self.fails(bench, (str(bench.folder),), errno.EACCES, "folder")

    def test_a_missing_interpreter(self, bench: Any) -> None:
        path = self.script(bench, b"#! /opt/nowhere/python3 -u\nprint()\n")
        self.fails(bench, (path,), errno.ENOENT, "/opt/nowhere/python3", "interpreter", "is missing")

    def test_line_ends_of_windows(self, bench: Any) -> None:
        path = self.script(bench, b"#!/bin/sh\r\necho\r\n")
        self.fails(bench, (path,), errno.ENOENT, "CR LF")

    def test_neither_program_nor_script(self, bench: Any) -> None:
        path = self.script(bench, b"echo hello\n")
        self.fails(bench, (path,), errno.ENOEXEC, "#!/bin/sh")

    def test_a_missing_working_folder(self, bench: Any) -> None:
        self.fails(bench, ("true",), errno.ENOENT, "working folder", "/nowhere/at/all", cwd="/nowhere/at/all")

    def test_a_log_that_cannot_be(self, bench: Any) -> None:
        self.fails(bench, ("true",), errno.ENOENT, "log", "/nowhere/log", log="/nowhere/log")

    def test_arguments_that_are_too_long(self, bench: Any) -> None:
        self.fails(bench, ("true", "x" * 200_000), errno.E2BIG, "200000", "in a file")

    def test_a_nul_byte(self, bench: Any) -> None:
        self.fails(bench, ("true", "a\0b"), errno.EINVAL, "null")
        bench.ended.clear()
        self.fails(bench, ("tr\0ue",), errno.EINVAL, "NUL")

    def test_text_that_no_process_can_be_given(self, bench: Any) -> None:
        self.fails(bench, ("true", "\ud800"), errno.EINVAL, "surrogates")
