"""Any path, through cron's own reading and a real shell, arrives as it was."""

from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.engine.crontab import Entry, block, install, line, percent_escaped, quoted, remove

PATHS = st.text(alphabet=st.sampled_from("a%\\'\" $`!#*~é;&|<>(){}="), min_size=1, max_size=12)
LINES = st.text(alphabet=st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20)


def as_cron_reads(command: str) -> str:
    """What Debian's cron gives to the shell: up to the first bare `%`, the backslash of `\\%` taken off."""
    out: list[str] = []
    escaped = False
    for char in command:
        if escaped:
            if char == "%":
                out.pop()
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "%":
            break
        out.append(char)
    return "".join(out)


@settings(max_examples=60, deadline=None)
@given(st.lists(PATHS, min_size=1, max_size=4))
def test_words_arrive_as_they_were(words: list[str]) -> None:
    command = "printf '%s\\n' " + " ".join(quoted(word) for word in words)
    done = subprocess.run(["sh", "-c", as_cron_reads(percent_escaped(command))], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(f"{word}\n" for word in words)


@given(PATHS, PATHS)
def test_no_path_ends_the_line_early(project: str, state: str) -> None:
    command = line(Entry(f"/{project}", ("/bin/mlorch",), f"/{state}")).removeprefix("* * * * * ")
    assert as_cron_reads(command).endswith("2>&1")


@given(st.lists(LINES, max_size=6), PATHS)
def test_other_lines_are_left_alone(lines: list[str], project: str) -> None:
    entry = Entry(f"/{project}", ("/bin/mlorch",), "/s")
    text = "".join(f"{item}\n" for item in lines)
    once = install(text, entry)
    assert block(entry) in once
    assert install(once, entry) == once
    assert remove(once, entry.project) == text
