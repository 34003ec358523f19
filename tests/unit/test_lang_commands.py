from __future__ import annotations

import pytest

from mlorch.lang.commands import CommandError, RenderedCommand, executed, parse_command, render_command
from mlorch.lang.expressions import ExpressionError

SCOPE: dict[str, object] = {
    "params": {
        "x": "a b$(id)", "n": 3, "on": True, "l": ["a b", "c"], "e": [], "m": {"k": 1}, "null": None, "big": "x" * 131072, "nul": "a\0b",
        "half": "\ud800", "hole": [None],
    },
    "outputs": {"o": "out/a.csv", "odd": "out/a'b.csv"},
    "partition": {"key": "2013-01-01"},
}  # fmt: skip


def rendered(run: str | tuple[str, ...], shell: str = "") -> RenderedCommand:
    return render_command(parse_command(run, shell), SCOPE, "bash")


@pytest.mark.parametrize(
    ("run", "argv"),
    [
        ("touch out/a", ("touch", "out/a")),
        ("  touch   a\n", ("touch", "a")),
        ("tool 'a b' \"c d\"e ''", ("tool", "a b", "c de", "")),
        ('tool --x=${{ params.x }} "${{ params.x }}"', ("tool", "--x=a b$(id)", "a b$(id)")),
        ("tool ${{ params.l }} ${{ params.e }} z", ("tool", "a b", "c", "z")),
        ("tool ${{ params.n }} ${{ params.on }} ${{ params.m }}", ("tool", "3", "true", '{"k":1}')),
        (("tool", "a${{ params.x }}", "${{ params.l }}", "$X", "*"), ("tool", "aa b$(id)", "a b", "c", "$X", "*")),
        ("${{ params.l }} x", ("a b", "c", "x")),
        ("python -c 'print(1)'", ("python", "-c", "print(1)")),
        ("true", ("true",)),
    ],
)  # fmt: skip
def test_what_needs_no_shell_is_split_before_values_are_filled_in(
    run: str | tuple[str, ...], argv: tuple[str, ...]
) -> None:
    assert parse_command(run).mode == "argv"
    got = rendered(run)
    assert (got.argv, got.env) == (argv, ())


@pytest.mark.parametrize(
    "run",
    [
        "a | b", "a; b", "a && b", "a > b", "echo $X", "echo *.csv", "echo ~/x", "X=1 tool", "cd x", "exit 3", "export X=1", "set -x", "a\nb",
        'echo "$X"', "echo a\\ b", "source x", ". x", "ulimit -n 5", "echo {a,b}", "echo 'open", "! tool", "tool # note", "time tool",
        "if", "[[ a ]]", "echo [a]", "umask 022", "exec tool",
    ],
)  # fmt: skip
def test_what_needs_a_shell_gets_one(run: str) -> None:
    assert parse_command(run).mode == "shell"
    assert rendered(run).argv == ("bash", "-euo", "pipefail", "-c", run)
    assert render_command(parse_command(run), SCOPE, "sh").argv == ("sh", "-eu", "-c", run)


def test_a_shell_that_was_asked_for_is_taken() -> None:
    assert render_command(parse_command("touch a", "sh"), SCOPE, "bash").argv == ("sh", "-eu", "-c", "touch a")
    assert render_command(parse_command("touch a", "bash"), SCOPE, "sh").argv[0] == "bash"
    assert rendered("print(1)\n", "python").argv == ("python3", "-c", "print(1)\n")


def test_values_travel_as_variables_and_each_only_once() -> None:
    got = rendered('cat "${{ params.x }}" ${{ params.x }} > ${{ outputs.o }}')
    assert got.argv[-1] == 'cat "${MLORCH_E0}" "${MLORCH_E0}" > "${MLORCH_E1}"'
    assert got.env == (("MLORCH_E0", "a b$(id)"), ("MLORCH_E1", "out/a.csv"))
    assert got.display == "cat \"a b\\$(id)\" 'a b$(id)' > out/a.csv"
    assert got.words == ("cat", "a b$(id)", "a b$(id)", "out/a.csv")


def test_a_list_is_several_words_of_a_shell_text_too() -> None:
    got = rendered("a=(${{ params.l }}) && f ${{ params.e }} z")
    assert got.argv[-1] == 'a=("${MLORCH_E0_0}" "${MLORCH_E0_1}") && f  z'
    assert got.env == (("MLORCH_E0_0", "a b"), ("MLORCH_E0_1", "c"))


def test_an_inner_shell_gets_references_too() -> None:
    got = rendered(("bash", "-ec", "echo ${{ params.x }}"))
    assert (got.argv, got.env) == (("bash", "-ec", 'echo "${MLORCH_E0}"'), (("MLORCH_E0", "a b$(id)"),))
    assert got.display == "bash -ec 'echo '\"'\"'a b$(id)'\"'\"''"
    assert rendered(("sh", "-c", "echo $1", "_", "${{ params.x }}")).argv[-1] == "a b$(id)"


@pytest.mark.parametrize(
    ("run", "message", "hint"),
    [
        ("echo '${{ params.x }}'", "inside single quotes", "double quotes"), ("echo 'a ${{ params.x }}' | b", "inside single quotes", "double quotes"),
        ("echo $'${{ params.x }}'", "inside `$'…'`", '"$MLORCH_PARAM_X"'), ("echo `x ${{ params.x }}`", "inside backquotes", ""),
        ("echo ${X:-${{ params.x }}}", "inside `${…}`", ""), ("echo $((1 + ${{ params.n }}))", "in arithmetic", ""),
        ("((x = ${{ params.n }}))", "in arithmetic", ""), ("for ((i = 0; i < ${{ params.n }}; i++)); do a; done", "in arithmetic", ""),
        ("cat <<'E'\n${{ params.x }}\nE", "delimiter is quoted", "quotes off"), ("cat <<${{ params.x }}\nE", "in the delimiter", "fixed word"),
        ("cat <<\\E\n${{ params.x }}\nE", "delimiter is quoted", ""), ("echo $${{ params.x }}", "right after a `$`", ""),
        ("echo \\${{ params.x }}", "after a backslash", ""), ('echo "\\${{ params.x }}"', "after a backslash", ""),
        ("a[${{ params.n }}]=1", "index of an array", ""), ("a=([${{ params.n }}]=1)", "index of an array", ""),
        ("eval ${{ params.x }}", "`eval` would read it as code", "single quotes"), ('command eval "${{ params.x }}"', "as code", ""),
        ('trap "rm ${{ outputs.o }}" EXIT', "`trap`", "$MLORCH_OUTPUT_O"), ("let x=${{ params.n }}", "`let`", ""), ("read ${{ params.x }}", "", ""),
        ("printf -v ${{ params.x }} a; b", "`printf -v`", ""), ("[[ ${{ params.n }} -gt 1 ]]", "evaluates what it compares", "[ … ]"),
        ("[ -v ${{ params.x }} ]", "", ""), ("[ ${{ params.x }} ${{ params.x }} ]", "for an operator", ""), ("unset ${{ params.x }}", "", ""),
        ("declare ${{ params.x }}=1", "as a name", ""), ("declare -i x=${{ params.n }}", "evaluate values", ""), ("alias x=${{ params.x }}", "", ""),
        ("typeset -i n; n=${{ params.n }}", "evaluate values", ""), ("PS4=${{ params.x }} tool", "`PS4`", ""),
        ("python -c \"print('${{ params.x }}')\"", "`python` would read it as code", 'os.environ["MLORCH_PARAM_X"]'),
        (("python3.11", "-Ic", "print('${{ params.x }}')"), "as code", ""), (("perl", "-e", "${{ params.x }}"), "as code", "PARAM_X"),
        ('su -c "${{ params.x }}" root; a', "`su` would read it as code", ""), (("script", "-qc", "${{ params.x }}"), "`script` would", ""),
        ('bash -c "echo ${{ params.x }}" | cat', "`bash` would read it as code", ""), ("env X=1 bash -c ${{ params.x }}; a", "as code", ""),
        ("echo \"${X:-'}\" ${{ params.x }};", "shells read differently", ""), ("echo $[1] ${{ params.x }}", "shells read differently", ""),
        ('echo $"a ${{ params.x }}"', "shells read differently", ""), ('echo "${{ params.x }}; b', "never closed", ""),
        ("echo $(a ${{ params.x }}", "never closed", ""), ("cat <<E $(\n${{ params.x }}\nE\n)", "", ""), ('cat <<E "\n" ${{ params.x }}\nE\n', "", ""),
        ("echo ${{ secrets.KEY }}", "a secret does not go into a command", "$KEY"), ("", "is empty", ""), (" \n", "is empty", ""), ((), "is empty", ""),
        ("a\0b", "NUL byte", ""), ("echo $((case x in x) echo ${{ params.n }};; esac))", "", ""), ("cat <<E\n$((${{ params.n }}))\nE\n", "arithmetic", ""),
    ],
)  # fmt: skip
def test_where_a_value_could_become_code_it_is_refused(run: str | tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(CommandError) as error:
        parse_command(run)
    assert message in error.value.message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("run", "message", "hint"),
    [
        # Options before the code of a shell, and programs that hand code to one.
        (("bash", "-oc", "pipefail", "echo '${{ params.x }}'"), "inside single quotes", ""),
        (("bash", "--norc", "+x", "-c", "echo '${{ params.x }}'"), "inside single quotes", ""),
        (("bash", "-c", "--", "echo '${{ params.x }}'"), "inside single quotes", ""),
        (("bash", "+c", "-e", "echo '${{ params.x }}'"), "inside single quotes", ""),
        ('cd .; bash -euo pipefail -c "${{ params.x }}"', "`bash` would read it as code", ""),
        ('cd .; bash +x -c -- "${{ params.x }}"', "`bash` would read it as code", ""),
        (("flock", "l", "-c", "echo ${{ params.x }}"), "`flock` would read it as code", '"$MLORCH_PARAM_X"'),
        ('cd .; flock -w 5 l -c "echo ${{ params.x }}"', "`flock` would read it as code", ""),
        (("su", "root", "-c", "echo ${{ params.x }}"), "`su` would read it as code", '"$MLORCH_PARAM_X"'),
        (("su", "root", "--command=${{ params.x }}"), "`su` would read it as code", ""),
        ('cd .; $SHELL -c "echo ${{ params.x }}"', "a program that a variable names", ""),
        ('B=bash; nice "$B" -ec "${{ params.x }}"', "a program that a variable names", ""),
        ('find . -exec sh -c true \\; -exec sh -c "${{ params.x }}" \\;', "`sh` would read it as code", ""),
        (("python", "-cprint(${{ params.x }})"), "`python` would read it as code", ""),
        # The program of an awk.
        (("awk", 'BEGIN{print "${{ params.x }}"}'), "`awk` would read it as code", "pass it with `-v value=${{ params.x }}`"),
        ('awk "BEGIN{print \\"${{ params.x }}\\"}"', "`awk` would read it as code", "-v value="),
        (("gawk", "-F", ",", "-e", "${{ params.x }}"), "`gawk` would read it as code", "-v value="),
        (("gawk", "--source=${{ params.x }}"), "`gawk` would read it as code", "-v value="),
        (("mawk", "-v", "x=${{ params.x }}", "${{ params.x }}"), "`mawk` would read it as code", ""),
        ('xargs nawk -- "${{ params.x }}" < f', "`nawk` would read it as code", ""),
        # Variables that a shell executes, or evaluates as numbers.
        ("BASH_ENV=${{ params.x }} bash x.sh", "the shell runs what `BASH_ENV` holds", "fixed text"), ("export ENV=${{ params.x }}", "`ENV`", ""),
        ("declare -x BASH_ENV=${{ params.x }}", "`BASH_ENV`", ""), ("env BASH_ENV=${{ params.x }} bash x.sh; a", "`BASH_ENV`", ""),
        (("env", "-u", "Y", "BASH_ENV=${{ params.x }}", "bash", "x.sh"), "`BASH_ENV`", ""), ("RANDOM=${{ params.x }}; a", "evaluates values", "another name"),
        ("SECONDS=${{ params.x }} a", "`SECONDS`", ""), ("export OPTIND=${{ params.x }}", "`OPTIND`", ""), ("RANDOM[0]=${{ params.x }}", "`RANDOM`", ""),
        ("RANDOM=(${{ params.x }})", "`RANDOM`", ""), ("for SRANDOM in ${{ params.x }}; do a; done", "`SRANDOM`", ""),
        ("select LINENO in ${{ params.x }}; do a; done", "`LINENO`", ""), ("read BASHPID <<< ${{ params.x }}", "`BASHPID`", ""),
        ("while read -r x HISTCMD; do a; done <<E\n${{ params.x }}\nE\n", "`HISTCMD`", ""),
        ("cd .; printf -v SECONDS %s ${{ params.x }}", "`SECONDS`", ""),
        # A shell that is told to run what it reads.
        ('. /dev/stdin <<< "${{ params.x }}"', "run what it reads", "script"), ("source /dev/stdin <<<${{ params.x }}", "run what it reads", ""),
        (". /dev/fd/3 3<<E\n${{ params.x }}\nE\n", "run what it reads", ""),
    ],
)  # fmt: skip
def test_what_runs_a_value_by_a_longer_way_is_refused_too(run: str | tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(CommandError) as error:
        parse_command(run)
    assert message in error.value.message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    "run",
    [
        ("awk", "-v", "x=${{ params.x }}", "-F", "${{ params.x }}", "{print x}", "${{ params.x }}"), ("awk", "-F${{ params.x }}", "{print}", "f"),
        ("gawk", "-f", "${{ params.x }}", "${{ params.x }}"), "which awk ${{ params.x }}", "apt install gawk ${{ params.x }} | cat",
        "awk -v x=${{ params.x }} '{print x}' f > y", "awk -vx=${{ params.x }} '{print x}' f > y", 'awk "{print > \\"${{ outputs.o }}\\"}" f',
        "cd .; $PYTHON train.py -c ${{ params.x }}", "cd .; bash run.sh -c ${{ params.x }}", ("sh", "run.sh", "-c", "${{ params.x }}"),
        "flock l python x.py -c ${{ params.x }}", "cd .; flock l $PY x.py -c ${{ params.x }}", 'cd .; sort "$F" -c ${{ params.x }}',
        ("tool", "script", "x", "-c", "${{ params.x }}"), "for i in ${{ params.x }}; do read x; done", "ENVIRONMENT=${{ params.x }} a; . ./env.sh",
        "docker run -e ENV=${{ params.x }} image env", ("env", "A=1", "python", "x.py", "ENV=${{ params.x }}"),
    ],
)  # fmt: skip
def test_what_only_looks_like_it_may_stand(run: str | tuple[str, ...]) -> None:
    assert parse_command(run).references


@pytest.mark.parametrize(
    "before",
    [
        "", "env X=1", "/usr/bin/env -u Y", "nice -n 5", "nohup", "time", "timeout -k 5 10", "stdbuf -oL", "setsid", "flock -w 5 l", "ionice -c 2 -n 0",
        "taskset -c 0-3", "taskset 0x1", "chrt -f 5", "xargs -n1", "find . -name x -exec", "uv run", "conda run -n e", "nice env X=1 timeout 5",
        "env -C d", "nice --adjustment 5", "numactl --membind 0",
    ],
)  # fmt: skip
def test_a_shell_that_is_given_its_variables_gets_values_in_them(before: str) -> None:
    got = rendered((*before.split(), "bash", "-euo", "pipefail", "-c", "echo ${{ params.x }}"))
    assert (got.argv[-1], got.env) == ('echo "${MLORCH_E0}"', (("MLORCH_E0", "a b$(id)"),))


@pytest.mark.parametrize(
    ("before", "who"),
    [
        ("env -i", "env"), ("env -", "env"), ("env -iu X", "env"), ("env --ignore-environment X=1", "env"), ("env -u MLORCH_E0", "env"),
        ("docker run img", "docker"), ("podman run img", "podman"), ("kubectl exec pod --", "kubectl"), ("nsenter -t 1", "nsenter"),
        ("chroot d", "chroot"), ("sudo", "sudo"), ("systemd-run", "systemd-run"), ("timeout 5 docker run img", "docker"), ("mystery", "mystery"),
    ],
)  # fmt: skip
def test_a_value_is_not_lost_on_the_way_to_a_shell_without_the_variables(before: str, who: str) -> None:
    for run in ((*before.split(), "sh", "-c", "echo ${{ params.x }}"), f'{before} sh -c "echo ${{{{ params.x }}}}"'):
        with pytest.raises(CommandError) as error:
            parse_command(run)
        assert f"`{who}`, which starts that, may not hand variables on" in error.value.message
        assert "`sh -c '… \"$1\"' sh ${{ params.x }}`" in error.value.hint
    assert rendered((*before.split(), "sh", "-c", 'echo "$1"', "sh", "${{ params.x }}")).argv[-1] == "a b$(id)"
    assert rendered((*before.split(), "sh", "-c", "wc ${{ outputs.o }}")).argv[-1] == "wc out/a.csv"


def test_what_ssh_is_given_is_code_over_there() -> None:
    with pytest.raises(CommandError) as error:
        parse_command(("ssh", "host", "sh", "-c", "echo ${{ params.x }}"))
    assert "file" in error.value.hint


@pytest.mark.parametrize(
    ("run", "reference"),
    [
        ("x=$(tool ${{ params.x }})", 'x=$(tool "${MLORCH_E0}")'), ('"$(tool "${{ params.x }}")";', '"$(tool "${MLORCH_E0}")";'),
        ("cat <<E\n${{ params.x }}\nE\n", "cat <<E\n${MLORCH_E0}\nE\n"), ("# ${{ params.x }}\na", "# ${MLORCH_E0}\na"),
        ("case ${{ params.x }} in a) b;; esac", 'case "${MLORCH_E0}" in a) b;; esac'), ("export X=${{ params.x }}", 'export X="${MLORCH_E0}"'),
        ("(a | b ${{ params.x }})", '(a | b "${MLORCH_E0}")'), ("a <<< ${{ params.x }}", 'a <<< "${MLORCH_E0}"'), ("a $$${{ params.x }}", 'a $$"${MLORCH_E0}"'),
        ("$(case x in x) a;; esac) ${{ params.x }}", '$(case x in x) a;; esac) "${MLORCH_E0}"'), ("a \\\\${{ params.x }}", 'a \\\\"${MLORCH_E0}"'),
        ("[[ ${{ params.x }} == b ]]", '[[ "${MLORCH_E0}" == b ]]'), ("[ -f ${{ params.x }} ] && a", '[ -f "${MLORCH_E0}" ] && a'),
        ("((1 + 1)); a ${{ params.x }}", '((1 + 1)); a "${MLORCH_E0}"'), ("f() { a ${{ params.x }}; }", 'f() { a "${MLORCH_E0}"; }'),
        ("a 2>${{ params.x }}", 'a 2>"${MLORCH_E0}"'), ("cat <<A <<-B\n'\nA\n\t\"\n\tB\na ${{ params.x }}", "cat <<A <<-B\n'\nA\n\t\"\n\tB\na \"${MLORCH_E0}\""),
        ("cat <<E\na\\\nE\n'\nE\na ${{ params.x }}", "cat <<E\na\\\nE\n'\nE\na \"${MLORCH_E0}\""),
    ],
)  # fmt: skip
def test_each_context_gets_the_reference_that_is_right_for_it(run: str, reference: str) -> None:
    assert rendered(run).argv[-1] == reference


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ('tool "${{ params.l }}"', "is a list"), ("tool x${{ params.l }}", "is a list"), ("a > ${{ params.l }}", "is a list"),
        ("X=${{ params.l }}; a", "is a list"), (("tool", "x${{ params.l }}"), "is a list"), ("tool ${{ params.big }}", "takes 128 KiB"),
        ("tool ${{ params.big }};", "takes 128 KiB"), ("tool ${{ params.nul }}", "NUL byte"), ("tool ${{ params.nul }};", "NUL byte"),
        ("tool ${{ params.half }}", "no text that can be encoded"), ("${{ params.e }}", "its list has no items"),
        ("python -c \"open('${{ outputs.odd }}')\"", "could be code here"),
    ],
)  # fmt: skip
def test_values_that_cannot_stand_there_are_refused(run: str | tuple[str, ...], message: str) -> None:
    command = parse_command(run)
    with pytest.raises(CommandError) as error:
        render_command(command, SCOPE, "bash")
    assert message in error.value.message


@pytest.mark.parametrize(
    "run", ["tool ${{ params.null }}", "tool ${{ params.null }};", "tool ${{ params.hole }}", "tool ${{ params.none }}"]
)
def test_null_and_what_is_not_there_are_errors_of_the_expression(run: str) -> None:
    with pytest.raises(ExpressionError) as error:
        rendered(run)
    assert error.value.offset == run.index("params")


def test_paths_may_stand_in_code_while_they_are_harmless() -> None:
    assert rendered("python -c \"open('${{ outputs.o }}')\"").argv == ("python", "-c", "open('out/a.csv')")


def test_a_python_text_takes_no_values_and_names_the_variable() -> None:
    with pytest.raises(CommandError) as error:
        parse_command("open('${{ inputs.raw }}')", "python")
    assert (error.value.offset, error.value.hint) == (10, 'use the variable os.environ["MLORCH_INPUT_RAW"]')
    with pytest.raises(CommandError) as error:
        parse_command("print(${{ 1 + 1 }})", "python")
    assert "under `env`" in error.value.hint


def test_an_error_in_a_list_names_its_item() -> None:
    with pytest.raises(CommandError) as error:
        parse_command(("tool", "a ${{ 2 ** 3 }}"))
    assert (error.value.word, error.value.offset) == (1, 6)
    with pytest.raises(CommandError, match="needs no shell"):
        parse_command(("tool",), "bash")


def test_a_command_knows_what_it_uses() -> None:
    command = parse_command('x ${{ params.a }} "$MLORCH_PARAM_B" ${MLORCH_PARAM_C_D} > $MLORCH_OUTPUT_TABLE')
    assert command.references == {("params", "a")}
    assert command.used_env_params == {"b", "c_d"}
    assert command.mentions_output("table")
    assert not command.mentions_output("tab")
    assert parse_command("cp a ${{ outputs.tab }}").mentions_output("tab")
    assert parse_command("os.environ['MLORCH_PARAM_B']", "python").used_env_params == {"b"}
    assert parse_command("sort a -o 'out/b c' > \"out/d\" && echo x$Y").words == (
        "sort",
        "a",
        "-o",
        "out/b c",
        "out/d",
        "echo",
    )
    assert parse_command("sort > out/${{ partition.key }}.csv").words == ("sort", "out/${{ partition.key }}.csv")


@pytest.mark.parametrize(
    ("run", "found"),
    [
        ("python jobs/x.py --log y.py", ["jobs/x.py"]), ("python3.11 -u -W error jobs/x.py", ["jobs/x.py"]), ("python -m pkg.mod x", ["pkg.mod"]),
        ("python -Im pkg.mod", ["pkg.mod"]), ("python -mpkg", ["pkg"]), ("python -c 'import x' y.py", []), ("python - x.py", []), ("python", []),
        ("./jobs/x.sh a", ["./jobs/x.sh"]), ("bash -eu jobs/x.sh", ["jobs/x.sh"]), ("bash -o pipefail x.sh", ["x.sh"]), ("sh -c 'python a.py'", ["a.py"]),
        ("Rscript --vanilla x.R", ["x.R"]), ("Rscript -e 'x' y.R", []), ("perl -I lib x.pl", ["x.pl"]), ("node x.js", ["x.js"]),
        ("env -u Y X=1 python x.py", ["x.py"]), ("X=1 python x.py", ["x.py"]), ("exec nice -n 5 python x.py", ["x.py"]), ("time python x.py", ["x.py"]),
        ("timeout -k 5 10m python x.py", ["x.py"]), ("uv run --with pandas python x.py", ["x.py"]), ("uv run x.py a.csv", ["x.py"]),
        ("uv run -m pkg.mod", ["pkg.mod"]), ("poetry run python -m a", ["a"]), ("cp a.py b.py", []), ("x.py a", []), (". ./env.sh; a", ["./env.sh"]),
        ("cat a.csv | python x.py > b.csv 2> c.py", ["x.py"]), ("if test -f a.py; then python b.py; else ./c; fi", ["b.py", "./c"]),
        ("for i in a.py; do python x.py $i; done", ["x.py"]), ("y=$(python x.py)", ["x.py"]), ("(cd d && python x.py)", ["x.py"]),
        ("python ${{ params.x }} b.py", []), ("python $X/x.py", []), ("f() { python x.py; }\nf", ["x.py"]), ("case a in a.py) ./b;; esac", ["./b"]),
        ("[[ a.py == b ]] || python x.py # ./y", ["x.py"]), ("cat <<E\npython y.py\nE\npython x.py", ["x.py"]), ("a=(./x.py); ./y", ["./y"]),
        (("python", "jobs/x.py", "${{ params.x }}"), ["jobs/x.py"]), (("bash", "-c", "python x.py ${{ params.x }}"), ["x.py"]), ("a 'open", []),
    ],
)  # fmt: skip
def test_what_is_executed_is_found_and_nothing_else(run: str | tuple[str, ...], found: list[str]) -> None:
    assert [name for _, name in executed(parse_command(run))] == found


def test_a_module_is_told_from_a_path() -> None:
    assert executed(parse_command("python -m a.b")) == (("module", "a.b"),)
    assert executed(parse_command("python a/b.py")) == (("path", "a/b.py"),)
    assert executed(parse_command("import x", "python")) == ()
