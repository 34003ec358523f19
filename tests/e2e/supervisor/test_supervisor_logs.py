"""Logs: binary, endless or absent, bounded on the disk, without secrets."""

from __future__ import annotations

import base64
import json
import os
import urllib.parse
from typing import Any

import pytest

KIB = 1024
MIB = 1024 * KIB


def test_a_log_is_for_its_owner_only(bench: Any) -> None:
    bench.run("a", ("true",))
    assert (bench.folder / "a.log").stat().st_mode & 0o777 == 0o600
    assert bench.log("a") == b""


def test_both_streams_in_order(bench: Any) -> None:
    bench.run("a", "echo 1; echo 2 >&2; echo 3")
    assert bench.log("a") == b"1\n2\n3\n"


def test_binary_output_is_kept_byte_by_byte(bench: Any) -> None:
    bench.run("a", ("python3", "-S", "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)) * 64)"))
    assert bench.log("a") == bytes(range(256)) * 64


def test_a_step_may_close_its_output(bench: Any) -> None:
    assert bench.run("a", "exec >&- 2>&-; sleep 0.05; exit 5").exit_code == 5
    assert bench.run("b", "exec >&- 2>&-; sleep 0.05; exit 5", masks=(b"secret-1",)).exit_code == 5


@pytest.mark.parametrize("masks", [(), (b"never-printed",)], ids=["file", "pipe"])
def test_a_long_log_keeps_head_and_tail(bench: Any, masks: tuple[bytes, ...]) -> None:
    done = bench.run("a", "seq -f 'line %.0f' 1 200000", log_limit=64 * KIB, masks=masks)
    assert done.exit_code == 0
    log = bench.log("a")
    assert len(log) < 65 * KIB
    assert log.startswith(b"line 1\nline 2\n")
    assert log.endswith(b"line 199999\nline 200000\n")
    whole = sum(len(f"line {number}\n") for number in range(1, 200001))
    head, mark, tail = log.partition(b"\n[mlorch: ")
    cut, _, tail = tail.partition(b" bytes of this log were cut out here; log_limit is 65536]\n")
    assert mark
    assert len(head) + int(cut) + len(tail) == whole
    assert b"\0" not in log


def test_a_log_of_just_its_limit_is_whole(bench: Any) -> None:
    bench.run("a", ("head", "-c", str(64 * KIB), "/dev/zero"), log_limit=64 * KIB)
    assert bench.log("a") == b"\0" * 64 * KIB
    bench.run("b", ("head", "-c", str(64 * KIB + 1), "/dev/zero"), log_limit=64 * KIB)
    assert b" bytes of this log were cut out here" in bench.log("b")


@pytest.mark.parametrize("masks", [(), (b"never-printed",)], ids=["file", "pipe"])
def test_an_endless_log_is_bounded_on_the_disk_while_it_grows(bench: Any, masks: tuple[bytes, ...]) -> None:
    # Two gigabytes at most, should nothing bound it.
    bench.submit("a", f"yes {'x' * 100} | head -c 2000000000; sleep 1000", log_limit=4 * MIB, masks=masks)
    path = bench.folder / "a.log"

    def long_and_yet_small() -> bool:
        status = path.stat()
        return bool(status.st_size > 300 * MIB and status.st_blocks * 512 < 40 * MIB)

    bench.until(lambda: path.exists() and long_and_yet_small())
    bench.executor.cancel("a")
    assert bench.end("a").cause == "cancelled"
    assert path.stat().st_size < 4 * MIB + KIB


def test_output_is_no_silence(bench: Any) -> None:
    done = bench.run("a", "for i in 1 2 3 4 5 6; do echo; sleep 0.2; done", heartbeat=0.9)
    assert done.cause == "exit"
    done = bench.run("b", "echo; sleep 1000", heartbeat=0.4)
    assert done.cause == "heartbeat"
    assert done.duration_s >= 0.4


def test_secrets_are_masked_in_whatever_form_they_come(bench: Any) -> None:
    secret = 'p4ss/w"ord+ü with blanks?'
    raw = secret.encode()
    program = f"""
import base64, json, sys, urllib.parse, binascii
raw = {raw!r}
out = sys.stdout.buffer
for before in (b"", b"a", b"bc", b"user:"):
    out.write(base64.b64encode(before + raw + b"!tail") + b"\\n")
    out.write(base64.urlsafe_b64encode(before + raw) + b"\\n")
text = raw.decode()
for line in (urllib.parse.quote(text), urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text), json.dumps(text),
             json.dumps(text, ensure_ascii=False), repr(text), raw.hex(), raw.hex().upper(), text):
    out.write(b"[" + line.encode() + b"]\\n")
"""
    assert bench.run("a", ("python3", "-S", "-c", program), masks=(raw,)).exit_code == 0
    log = bench.log("a").decode()
    forms = [secret, urllib.parse.quote(secret), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1], raw.hex()]
    assert [form for form in forms if form in log] == []
    for before in (b"", b"a", b"bc", b"user:"):
        whole = base64.b64encode(before + raw).decode()
        assert whole[8:-8] not in log
    assert log.count("***") == 17


def test_secrets_split_over_writes_are_masked(bench: Any) -> None:
    program = """
import os, sys, time
secret = "s3cret-value"
for cut in range(1, len(secret)):
    os.write(1, b"<" + secret[:cut].encode())
    time.sleep(0.01)
    os.write(1, secret[cut:].encode() + b">\\n")
os.write(1, b"s3cret-valu")
"""
    assert bench.run("a", ("python3", "-S", "-c", program), masks=(b"s3cret-value",)).exit_code == 0
    assert bench.log("a") == b"<***>\n" * 11 + b"s3cret-valu"


def test_masked_output_is_seen_while_the_step_runs(bench: Any) -> None:
    bench.submit("a", "echo progress; until [ -e go ]; do sleep 0.01; done", masks=(b"s3cret-value",))
    bench.until(lambda: bench.log("a") == b"progress\n")
    (bench.folder / "go").touch()
    assert bench.end("a").exit_code == 0


def test_a_grandchild_that_keeps_the_pipe_open_does_not_hang_us(bench: Any) -> None:
    done = bench.run("a", "setsid --fork sleep 1000; echo done s3cret-value", masks=(b"s3cret-value",))
    assert done.exit_code == 0
    assert bench.log("a") == b"done ***\n"


def test_no_secret_is_in_the_arguments_of_the_supervisor_or_the_record(bench: Any) -> None:
    bench.submit("a", "echo s3cret-value; until [ -e go ]; do sleep 0.01; done", masks=(b"s3cret-value",))
    bench.until(lambda: "a" in bench.running)
    supervisor = bench.executor.supervisor_pid
    with open(f"/proc/{supervisor}/cmdline", "rb") as file:
        assert b"s3cret" not in file.read()
    (bench.folder / "go").touch()
    bench.end("a")
    found = [name for name in os.listdir(bench.folder) if b"s3cret-value" in (bench.folder / name).read_bytes()]
    assert found == []
