"""Every code that a diagnostic can have: what it means, and the same thing wrong and right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """`late` codes show only when values are known (at `plan` or `run`), or come from a call; the others at `validate`."""

    code: str
    title: str
    text: str
    wrong: str = ""
    right: str = ""
    late: bool = False


_ALL = (
    Code("E001", "A file cannot be read", "The file is missing, is a folder, or may not be read by this user.", late=True),
    Code(
        "E101", "Not UTF-8",
        "Specs are UTF-8 text. Editors on Windows sometimes save UTF-16 or a local encoding; choose UTF-8 when saving.",
    ),
    Code(
        "E102", "Too large",
        "A spec has at most 32 MiB, also counting what stands under `x-` keys. Data belongs into files that steps read.",
    ),
    Code("E103", "Not text", "NUL bytes and other control characters have no place in a spec; the file may be binary."),
    Code(
        "E104", "No YAML",
        "The text breaks a rule of YAML. Text with `: `, ` #` or a sign such as `*`, `&`, `%`, `@` or `!` at its begin needs quotes.",
        "schedule: */15 * * * *", "schedule: '*/15 * * * *'",
    ),
    Code(
        "E105", "An expression without quotes in `[…]` or `{…}`",
        "Inside `[…]` and `{…}` the braces of `${{ … }}` are YAML's own. Quotes make it text; in a block no quotes are needed.",
        "run: [train, ${{ params.lr }}]", 'run: [train, "${{ params.lr }}"]',
    ),
    Code("E106", "A tab", "YAML is indented with spaces. Tabs may stand inside texts and comments only.", "steps:\n\ttrain:", "steps:\n  train:"),
    Code(
        "E107", "A key twice",
        "Many readers of YAML keep the last of two equal keys in silence, so half of what was written is lost.",
        "env: {A: 1, A: 2}", "env: {A: 2}",
    ),
    Code(
        "E108", "A merge key",
        "`<<` was dropped from YAML. What steps share goes under `defaults`; a part used twice can be an anchor (`&x`, `*x`).",
        "train:\n  <<: *base", "defaults:\n  timeout: 2h",
    ),
    Code("E109", "Several documents", "One file describes one pipeline. A second document after `---` would never be looked at."),
    Code("E110", "Empty", "There is nothing in the file but blanks and comments."),
    Code("E111", "No mapping", "A spec is a mapping of keys to values, not a list and not a text.", "- mlorch: 1", "mlorch: 1"),
    Code("E112", "Too deep", "Mappings and lists may stand in each other 64 levels deep."),
    Code(
        "E113", "Anchors that blow up",
        "Aliases of aliases can stand for millions of values in a few lines, and an anchor that contains itself for infinitely many.",
        "x-a: &a [*a]", "x-a: &a [1, 2]",
    ),
    Code("E114", "A tag", "Tags such as `!!python/object` or `!Ref` mean nothing here; values are texts, numbers, true, false and null.", "timeout: !!str 5m", "timeout: 5m"),
    Code("E115", "A key that is no word", "Keys are plain words.", "{a: 1}: x", "a: x"),
    Code("E116", "A number too long", "Numbers have at most 1,000 digits; longer ones are texts, and need quotes."),
    Code("E117", "An unknown anchor", "`*name` refers to `&name` before it. Text that begins with `*` needs quotes.", "glob: *.csv", "glob: '*.csv'"),
    Code("E201", "An unknown key", "Every key has a meaning; one that is mistyped would be without effect. Keys that begin with `x-` are free for notes.", "need: [a]", "needs: [a]"),
    Code("E202", "A key is missing", "The file says less than is needed. `mlorch schema KEY` tells what a key is for."),
    Code("E203", "A value of the wrong type", "Text where a number is wanted, a list where a mapping is, a duration without its unit.", "timeout: 90", "timeout: 90s"),
    Code("E204", "Not one of the choices", "The key takes one of a few words.", "trigger_rule: all_sucess", "trigger_rule: all_success"),
    Code("E205", "A value of the wrong form", "Names, durations, sizes, addresses and the like have a form of their own.", "name: User-Features", "name: user_features"),
    Code("E206", "Too small, too large, empty", "The value is outside of what the key takes.", "retry: -1", "retry: 1"),
    Code(
        "E208", "A kind that is not orchestrated",
        "Streaming and online serving run all day, as a service; mlorch runs work that ends. Let a service manager keep such a process "
        "running, and use mlorch for the features, the training and the batch scoring around it.",
        "kind: streaming", "kind: inference",
    ),
    Code("E209", "Keys that do not go together", "Of these keys one is used at a time, or one needs the other.", "checks: [{expr: a, run: b}]", "checks: [{expr: a}]"),
    Code("E210", "An unknown signal", "Signals are named as in `kill -l`, with SIG.", "signals: [SIGKIL]", "signals: [SIGKILL]"),
    Code("E301", "An unknown step", "`needs` names steps of the same pipeline. A step of another pipeline is read as an input: `{pipeline, output}`.", "needs: [exract]", "needs: [extract]"),
    Code("E302", "Steps that wait for each other", "Order follows from `needs`, from `${{ steps.x… }}` and from an input that another step writes; in a circle nobody can begin."),
    Code("E304", "An unknown parameter", "A step lists only parameters that the pipeline or the project declares."),
    Code("E305", "An unknown secret", "A step lists only secrets that the pipeline or the project declares.", "secrets: [DB_PW]", "secrets: [DB_PASSWORD]"),
    Code("E306", "An unknown pool", "mlorch.yaml says under `pools` which pools there are, and how many slots each has.", "pool: gpus", "pool: gpu"),
    Code("E307", "More slots than there are", "A step that wants more slots of a pool than it has would wait for ever; and one step can hold 100 in all.", "pool: {gpu: 4}", "pool: {gpu: 1}"),
    Code("E401", "Two writers of one path", "Every output has a place of its own: not that of another step, pipeline or partition, and not inside another output."),
    Code("E402", "An empty path", "The path names the project itself, or nothing.", "outputs: {all: ./}", "outputs: {all: data/all/}"),
    Code(
        "E403", "A path outside of the project",
        "What a pipeline reads and writes lies in the project's folder, or below a folder that mlorch.yaml names under `roots`.",
        "outputs: {raw: /mnt/lake/raw.csv}", "outputs: {raw: '${{ roots.lake }}/raw.csv'}",
    ),
    Code("E404", "An expression that cannot be worked out", "With the values of this run the expression has no result.", late=True),
    Code("E405", "An unknown pipeline", "An input names a pipeline that is not in the project.", "a: {pipeline: feature, output: x}", "a: {pipeline: features, output: x}"),
    Code("E406", "Partitions that do not fit", "The windows of the two pipelines differ, or a label means nothing there."),
    Code("E407", "An unknown output of a pipeline", "`output` is a name that is unique in that pipeline, or `step.output`."),
    Code("E408", "One path for several partitions", "Each partition would overwrite what the others wrote: the path carries every dimension, and what is computed from a label (a date) differs from label to label.", "outputs: {o: data/x.csv}", "outputs: {o: 'data/${{ partition.day }}.csv'}"),
    Code("E409", "An output that is a pattern", "What a step writes is known before it runs: a file, or a folder that ends in `/`.", "outputs: {o: out/*.csv}", "outputs: {o: out/}"),
    Code("E410", "An unknown parameter on the command line", "`--param` and `--params-file` name parameters that the pipeline declares.", late=True),
    Code("E411", "A value that does not fit its parameter", "The value on the command line is of another type, or outside of what the parameter's schema takes.", late=True),
    Code("E412", "A parameter without a value", "It has no default, and nobody gave it a value.", late=True),
    Code("E413", "A parameter file that cannot be read", "A parameter file is a mapping of names to values, as YAML or JSON.", late=True),
    Code("E414", "Two outputs named `metrics`", "The key `metrics` makes an output of that name.", "metrics: m.json\noutputs: {metrics: n.json}", "metrics: m.json"),
    Code("E415", "An output in the state folder", "mlorch's own records live there.", "outputs: {o: .mlorch/x}", "outputs: {o: data/x}"),
    Code("E420", "A secret that is not there", "It is missing or too short, so the run stops before its first step.", late=True),
    Code("E421", "Labels that cannot be had", "The glob or command of a dimension gives no labels, or one with a comma or without a letter.", late=True),
    Code("E501", "An expression that cannot be read", "Expressions have names, indexes, arithmetic, comparison, `and or not`, `a if c else b`, and the functions min max len round sum any all abs date.", "when: params.x = 1", "when: params.x == 1"),
    Code("E502", "A name that does not exist", "Expressions name only what is declared.", "run: train ${{ params.lrr }}", "run: train ${{ params.lr }}"),
    Code("E503", "A name that is not known here", "What an expression sees depends on where it stands: the path of an output, for example, cannot depend on the run."),
    Code("E504", "A secret out of place", "Commands show in logs and process lists. A step that lists a secret finds it as a variable of that name.", "run: curl -H ${{ secrets.TOKEN }}", "secrets: [TOKEN]\nrun: curl -H $TOKEN"),
    Code("E505", "A command that cannot be started safely", "A value would become code there, or the text cannot be read for sure. Values travel as variables."),
    Code("E506", "An expression where none is filled in", "It would stay as it was typed. Commands, paths of inputs and outputs, variables, conditions and checks take expressions.", "code: ['jobs/${{ params.lang }}/*.py']", "code: ['jobs/**/*.py']"),
    Code("E507", "A shell for a list of words", "A list of words is started as it is. For a shell write a text.", "shell: bash\nrun: [echo, hi]", "shell: bash\nrun: echo hi"),
    Code("E601", "Not yet", "The key is part of the language and its shape was checked, but this version of mlorch does not act on it. Ignoring it in silence would be worse."),
    Code("E701", "A parameter that contradicts itself", "Its default does not fit its schema, or the schema is none.", "lr: {type: number, default: fast}", "lr: {type: number, default: 0.1}"),
    Code("E702", "A parameter that a schedule leaves without a value", "Nobody types `--param` when cron starts a run."),
    Code("E703", "An unknown time zone", "Names are those of the IANA database.", "timezone: CEST", "timezone: Europe/Berlin"),
    Code("E704", "A label that is none", "Labels name a window of the dimension: `2026-10-25`, `2026-W43`, `2026-10`, `2026-10-25T02+0200`.", "start: 2013-13-01", "start: 2013-12-01"),
    Code("E705", "A dimension that is unclear", "A dimension is time (`every`), or values (`values`, `glob` or `command`); at most one is time."),
    Code("E707", "Not a cron line", "Five fields: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly.", "schedule: '61 * * * *'", "schedule: '1 * * * *'"),
    Code("E708", "A variable that is taken", "Variables that begin with MLORCH_ are set by mlorch, and one name has one source.", "env: {MLORCH_STEP: x}", "env: {STEP: x}"),
    Code("E801", "Two pipelines of one name", "The name is the identity for state and selection."),
    Code("E802", "Pipelines that wait for each other", "Each reads an output of the next one, and the last one of the first."),
    Code("E803", "A group with two limits", "How many runs of a concurrency group go on at once does not depend on which of its pipelines is asked.", "concurrency: {group: db, limit: 2}", "concurrency: {group: db, limit: 1}"),
    Code("W101", "No partitions", "Features and scores are usually made window by window, so that one that is missing or wrong can be made again by itself."),
    Code("W102", "No outputs", "A step without outputs runs whenever what it needs has changed, and nothing proves that it did its work."),
    Code("W103", "An import that `code` does not cover", "What a step executes counts by itself, what its script imports does not: a change there would not run the step again.", "run: python jobs/train.py", "run: python jobs/train.py\ncode: [jobs/lib/*.py]"),
    Code("W104", "A retry without effect", "The keys of `retry` contradict each other, or what is never repeated."),
    Code("W105", "A trigger rule without needs", "The rule looks at how the steps in `needs` ended."),
    Code("W106", "A need twice", "Saying it once is enough."),
    Code("W107", "Time-outs that do not fit", "The step's time is longer than that of the whole run."),
    Code("W108", "A secret is not there now", "On this machine, in this environment, the secret has no value: a run would stop before its first step.", late=True),
)  # fmt: skip

CODES: dict[str, Code] = {code.code: code for code in _ALL}
"""Every code, in order."""


def explain(code: str) -> str | None:
    """The page of a code for people; None for one that does not exist."""
    found = CODES.get(code.strip().upper())
    if found is None:
        return None
    kind = "warning" if found.code.startswith("W") else "error"
    lines = [f"{found.code} ({kind}): {found.title}", "", *_wrap(found.text)]
    for title, example in (("Wrong", found.wrong), ("Right", found.right)):
        if example:
            lines += ["", f"{title}:", *(f"    {line}" for line in example.splitlines())]
    return "\n".join(lines) + "\n"


def _wrap(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 88, break_long_words=False, break_on_hyphens=False)
