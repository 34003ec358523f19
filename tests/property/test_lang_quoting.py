"""A value never becomes code: whatever it holds, a real shell hands it on as these very characters."""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlorch.lang.commands import CommandError, parse_command, render_command
from mlorch.lang.expressions import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from mlorch.lang.rendering import Shell

PIECES = [
    "$(touch pwned)", "`touch pwned`", '"', "'", "\\", " ", "  ", "\n", "\t", "*", "?", "[a]", "~", "#", "!", ";", "|",
    "&", ">", "<", "$", "${HOME}", "$'x'", "{a,b}", "--", "-e", "=", "%s", "é", "\U0001f600", "\r", "EOF\n", "\nEOF\n", "a", "",
]  # fmt: skip
nasty = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
anything = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
values = st.one_of(nasty, anything)

# Each gives the value between two marks, so that a value that ends in newlines can be told.
CONTEXTS: dict[str, str] = {
    "a word": "printf '<%s>' ${{ params.NAME }}",
    "glued to text": "printf '%s' '<'${{ params.NAME }}'>'",
    "in double quotes": "printf '%s' \"<${{ params.NAME }}>\"",
    "an assignment": "X=${{ params.NAME }}; printf '<%s>' \"$X\"",
    "an assignment in quotes": 'X="<${{ params.NAME }}>"; printf \'%s\' "$X"',
    "an export": "export X=${{ params.NAME }}; printf '<%s>' \"$X\"",
    "a command substitution": "printf '%s' \"$(printf '<%s>' ${{ params.NAME }})\"",
    "quotes in a substitution": "printf '%s' \"$(printf '%s' \"<${{ params.NAME }}>\")\"",
    "a function's argument": "f() { printf '<%s>' \"$1\"; }; f ${{ params.NAME }}",
    "a subshell": "(printf '<%s>' ${{ params.NAME }})",
    "a loop": "for x in ${{ params.NAME }}; do printf '<%s>' \"$x\"; done",
    "a case": "case x in (y) ;; x) printf '<%s>' ${{ params.NAME }};; esac",
    "after a here-document": "cat >/dev/null <<EOF\n\"'`echo`\nEOF\nprintf '<%s>' ${{ params.NAME }}",
    "after a comment": "# it's ${{ params.NAME }}\nprintf '<%s>' ${{ params.NAME }}",
    "a list": "printf '%s' '<'; printf '%s' ${{ [params.NAME] }}; printf '%s' '>'",
    "a condition": "if [ ${{ params.NAME }} = ${{ params.NAME }} ]; then printf '<%s>' ${{ params.NAME }}; fi",
}


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as path:
        yield path


def run(shell: Shell, text: str, scope: Mapping[str, object], folder: str) -> subprocess.CompletedProcess[bytes]:
    rendered = render_command(parse_command(text, shell), scope, shell)
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **dict(rendered.env)}
    return subprocess.run(
        rendered.argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, cwd=folder, check=False, timeout=30
    )


@pytest.mark.parametrize("shell", ["bash", "sh"])
@settings(max_examples=30, deadline=None)
@given(batch=st.lists(values, min_size=1, max_size=12))
def test_every_context_hands_on_the_very_characters(shell: Shell, folder: str, batch: list[str]) -> None:
    scope = {"params": {f"p{index}": value for index, value in enumerate(batch)}}
    lines = [
        template.replace("NAME", f"p{index}") + "\nprintf '\\0'"
        for template in CONTEXTS.values()
        for index in range(len(batch))
    ]
    ended = run(shell, "\n".join(lines), scope, folder)
    assert ended.stderr == b""
    got = ended.stdout.split(b"\0")[:-1]
    wanted = [f"<{value}>".encode() for _ in CONTEXTS for value in batch]
    assert got == wanted
    assert not os.listdir(folder)


@pytest.mark.parametrize("shell", ["bash", "sh"])
@settings(max_examples=30, deadline=None)
@given(batch=st.lists(values, min_size=1, max_size=12))
def test_a_here_document_hands_on_the_very_characters(shell: Shell, folder: str, batch: list[str]) -> None:
    scope = {"params": {f"p{index}": value for index, value in enumerate(batch)}}
    text = "".join(
        f"cat <<EOF; printf '\\0'\n<${{{{ params.p{index} }}}}> \"'\nEOF\ncat <<-'A' /dev/null - ; printf '\\0'\n\t'$x\n\tA\n"
        for index in range(len(batch))
    )
    ended = run(shell, text, scope, folder)
    got = ended.stdout.split(b"\0")[:-1]
    assert got == [part for value in batch for part in (f"<{value}> \"'\n".encode(), b"'$x\n")]
    assert not os.listdir(folder)


@settings(max_examples=30, deadline=None)
@given(batch=st.lists(values, min_size=1, max_size=12))
def test_the_display_does_the_same_when_pasted(folder: str, batch: list[str]) -> None:
    scope = {"params": {f"p{index}": value for index, value in enumerate(batch)}}
    contexts = [text for name, text in CONTEXTS.items() if name != "after a comment"]
    lines = [text.replace("NAME", f"p{index}") + "\nprintf '\\0'" for text in contexts for index in range(len(batch))]
    display = render_command(parse_command("\n".join(lines)), scope, "bash").display
    ended = subprocess.run(["bash", "-euc", display], capture_output=True, cwd=folder, check=False, timeout=30)
    assert ended.stdout.split(b"\0")[:-1] == [f"<{value}>".encode() for _ in contexts for value in batch]


@settings(max_examples=60, deadline=None)
@given(listed=st.lists(values, max_size=5), value=values)
def test_an_argument_is_the_very_characters(listed: list[str], value: str) -> None:
    scope = {"params": {"x": value, "l": listed}}
    for run_text in (
        'tool a${{ params.x }}"b c" ${{ params.l }} "${{ params.x }}"',
        ("tool", "a${{ params.x }}b c", "${{ params.l }}", "${{ params.x }}"),
    ):
        command = parse_command(run_text)
        assert command.mode == "argv"
        assert render_command(command, scope, "bash").argv == ("tool", f"a{value}b c", *listed, value)


FRAGMENTS = [
    "${{ params.x }}", "${{ params.x }}", '"${{ params.x }}"', " ", "\n", "; ", '"', "'", "`", "\\", "$", "$(", ")", "(", "{ ", "; }",
    "${X:-", "}", "$((", "))", "((", "1+", "printf '<%s>' ", "echo ", "a", "# ", "<<EOF\n", "<<'EOF'\n", "\nEOF\n", "<<-\tEOF\n", "| cat",
    "case x in ", "x) ", ";;", " esac", "[[ ", " ]]", " = ", "X=", "a=(", "if true; then ", "; fi", "for i in ", "; do ", "; done", "&& ",
    "$'", '$"', "f() ", "$X", "${#X}", "<(", ">/dev/null ", "2>&1 ", "[ ", " ]", "<<< ", "=~ ", "!", "$[", "]", "-v ", "-eq ",
]  # fmt: skip
SLOT = "${{ params.x }}"
HOSTILE = "a[$(touch pwned)] *'\" $(touch pwned)`touch pwned`\n; touch pwned #"


@pytest.mark.parametrize("shell", ["bash", "sh"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(fragments=st.lists(st.sampled_from(FRAGMENTS), min_size=3, max_size=14))
def test_in_any_text_a_hostile_value_stands_where_a_harmless_one_would(
    shell: Shell, folder: str, fragments: list[str]
) -> None:
    text = "X=1 Y=2\n" + "".join(fragments)
    try:
        harmless = run(shell, text, {"params": {"x": "QQQQ"}}, folder)
        hostile = run(shell, text, {"params": {"x": HOSTILE}}, folder)
    except (CommandError, ExpressionError):
        return
    assert "pwned" not in os.listdir(folder)
    # `$$` is another number each time.
    if harmless.returncode == 0 and "$$" not in text:
        assert b"MLORCH" not in harmless.stdout
        assert hostile.returncode == 0
        assert hostile.stdout == harmless.stdout.replace(b"QQQQ", HOSTILE.encode())


class Texts:
    """Shell texts that a person could write, made up at random: values in all places that a shell has for a word."""

    def __init__(self, random: Random) -> None:
        self.pick = random.choice
        self.count = random.randint
        self.inside = 0

    def word(self, depth: int) -> str:
        made = {
            "quoted": lambda: '"' + self.quoted(depth) + '"',
            "substitution": lambda: '"' + self.substitution(depth) + '"',
        }
        plain = [SLOT, SLOT, f'"b {SLOT} c"', "a", "'s q'", "\\ ", "$X", "${Y:-z}", "$((1+2))", "`echo k`", "${#X}", '"\\""', "=",
                 "{a,b}", "#", '""', "${Y:-'}'}", '${Y:-"}"}', "$'q\\n'", "\\\n", "$(( (1+2)*3 ))", "${X%%'*'}", "'\"'"]  # fmt: skip
        return "".join(
            made.get(kind := self.pick([*plain, *made]), lambda kind=kind: kind)() for _ in range(self.count(1, 3))
        )

    def quoted(self, depth: int) -> str:
        plain = [
            "t ",
            SLOT,
            SLOT,
            "$X",
            "\\$",
            "it's",
            "${Y:-z}",
            "\\\\",
            "#",
            "\n",
            "$((3))",
            "`echo k`",
            ")",
            '${Y:-"q"}',
        ]
        return "".join(self.pick([*plain, self.substitution(depth)]) for _ in range(self.count(0, 4)))

    def substitution(self, depth: int) -> str:
        if depth <= 0:
            return "$(echo e)"
        self.inside += 1
        text = self.commands(depth - 1)
        self.inside -= 1
        return f"$({text})"

    def simple(self, depth: int) -> str:
        text = self.pick(["printf '<%s>' ", "printf '%s, ' "]) + " ".join(
            self.word(depth) for _ in range(self.count(0, 3))
        )
        after = ["", "", "", " 2>&1", " > /dev/null", f" # it's a $( {SLOT}\n:"]
        return self.pick(["", "", "A=" + self.word(depth) + " "]) + text + self.pick(after)

    def here_document(self) -> str:
        if (
            self.inside
        ):  # bash 5.2 writes a substitution anew before it runs it, and may lose the end of a here-document in it
            return self.simple(0)
        delimiter, end = self.pick(
            [("EOF", "EOF"), ("'EOF'", "EOF"), ("\\EOF", "EOF"), ("-EOF", "\tEOF"), ('"E F"', "E F")]
        )
        lines = ["x'y\n", 'q"r\n', "$X\n", "\\$z\n", "`echo l`\n", "$(echo e)\n", "a)b\n", "#c\n", "line\\\n"]
        if delimiter in ("EOF", "-EOF"):
            lines += [f"{SLOT}\n", f'"{SLOT}"\n'] * 2
        body = "".join(self.pick(lines) for _ in range(self.count(0, 4)))
        return f"cat <<{delimiter}{self.pick(['', ' | cat', f' && echo {SLOT}'])}\n{body}{end}\n"

    def command(self, depth: int) -> str:
        if depth <= 0 or self.count(0, 2) == 0:
            return self.simple(depth)
        inner, word, simple = self.commands(depth - 1), self.word(depth), self.simple(depth)
        return self.pick([
            f"( {inner}\n)", f"{{ {inner}\n}}", f"if true; then {inner}\nfi", f"for i in {word} {SLOT}; do {inner}\ndone",
            f"case a in (a|'b)') {inner}\n;; *) {simple}\n;; esac", f"case {word} in a) {inner}\n;; *) {simple}\n;; esac",
            f"f() {{ {inner}\n}}; f {SLOT}", self.here_document(), f"[ {SLOT} = b ] || {simple}", f"x=$((1<<2)); {simple}",
            f"while false; do {inner}\ndone", f"! {simple}",
        ])  # fmt: skip

    def commands(self, depth: int) -> str:
        between = self.pick(["; ", "\n", " && ", " | cat; ", " || true; "])
        return between.join(self.command(depth) for _ in range(self.count(1, 2)))


@pytest.mark.parametrize("shell", ["bash", "sh"])
@settings(max_examples=100, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_in_a_sound_text_too(shell: Shell, folder: str, random: Random) -> None:
    text = "X=1\n" + Texts(random).commands(3)
    try:
        harmless = run(shell, text, {"params": {"x": "QQQQ"}}, folder)
        hostile = run(shell, text, {"params": {"x": HOSTILE}}, folder)
    except CommandError:
        return
    assert "pwned" not in os.listdir(folder)
    if harmless.returncode == 0:
        assert b"MLORCH" not in harmless.stdout
        assert hostile.stdout == harmless.stdout.replace(b"QQQQ", HOSTILE.encode())
