"""A question about very many things in two processes: the same answers, whatever becomes of the second one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, signal, sys, threading
from mlorch.world import copies, halves

halves.MANY = 10
copies.cpus = lambda: {cpus}
own = os.getpid()
asked_here = []

def question(number):
    if os.getpid() != own:
        {there}
    else:
        asked_here.append(number)
    return number % 3 == 0

{before}
found = halves.asked(question, {count})
answers = [next(found) for _ in range({taken})]
found.close()
print(len(asked_here), [bool(answer) for answer in answers] == [number % 3 == 0 for number in range({taken})])
try:
    os.waitpid(-1, os.WNOHANG)
    print("a process is left")
except ChildProcessError:
    print("none left")
"""


def ask(there: str = "pass", before: str = "", cpus: int = 2, count: int = 100, taken: int = 100) -> str:
    """In a process of its own: one with threads must not be copied, and those who run tests may have some."""
    script = SCRIPT.format(there=there, before=before, cpus=cpus, count=count, taken=taken)
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_later_ones_are_asked_by_a_copy() -> None:
    assert ask() == "48 True\nnone left\n"


def test_what_a_copy_that_ends_early_did_not_say_is_asked_here() -> None:
    assert ask(there="os.kill(os.getpid(), signal.SIGKILL)") == "100 True\nnone left\n"


def test_an_error_in_the_copy_is_met_here() -> None:
    assert ask(there="raise ValueError") == "100 True\nnone left\n"


def test_few_questions_or_one_cpu_need_no_copy() -> None:
    assert ask(count=9, taken=9) == "9 True\nnone left\n"
    assert ask(cpus=1) == "100 True\nnone left\n"


def test_a_process_with_threads_is_not_copied() -> None:
    before = "stop = threading.Event(); thread = threading.Thread(target=stop.wait, daemon=True); thread.start()"
    assert ask(before=before) == "100 True\nnone left\n"


def test_nobody_waits_for_a_copy_whose_answers_are_not_wanted() -> None:
    assert ask(there="threading.Event().wait()", taken=3) == "3 True\nnone left\n"
