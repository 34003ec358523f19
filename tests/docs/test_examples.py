"""What the documents show is what mlorch does: their examples are read, their commands run, their links followed.

Every block of YAML or shell in README.md and docs/ says in a comment above it what it is, or the test fails:

- `<!-- test: pipeline -->` a whole pipeline without problems; `… run` is run as well, and `… file NAME` is kept under that name
- `<!-- test: steps -->` the `steps` of one
- `<!-- test: project -->` a project file
- `<!-- test: wrong CODE -->` a pipeline with exactly this problem
- `<!-- test: console -->` commands behind `$`, run one after the other in the folder of the page, with what they print (`…` stands for
  anything in a line, and alone for any lines)
- `<!-- test: no, WHY -->` is not tried
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlorch.cli.catalogue import COMMANDS
from mlorch.cli.validate import validate

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
TRIED = ("yaml", "sh", "shell", "bash", "console")
_BLOCK = re.compile(
    r"(?:<!-- test: (?P<what>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
HEAD = "mlorch: 1\nname: example\nkind: training\nowner: dana@example.com\n"


@dataclass(frozen=True)
class Block:
    """A block of code of a page, with the words of the comment above it."""

    page: Path
    line: int
    language: str
    text: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    source = page.read_text("utf-8")
    return [
        Block(
            page,
            source.count("\n", 0, match.start()) + 1,
            match["language"],
            match["text"],
            tuple((match["what"] or "").split()),
        )
        for match in _BLOCK.finditer(source)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.language in TRIED]
SPECS = [block for block in BLOCKS if block.words and block.words[0] in ("pipeline", "steps", "wrong", "project")]
RUN = [block for block in SPECS if "run" in block.words]
CONSOLES = sorted({block.page for block in BLOCKS if block.words[:1] == ("console",)})


def test_there_is_something_to_try() -> None:
    assert SPECS
    assert RUN
    assert CONSOLES


def test_every_example_says_how_it_is_tried() -> None:
    silent = [block.name for block in BLOCKS if not block.words]
    assert not silent, f"put `<!-- test: … -->` above them: {', '.join(silent)}"


def spec_of(block: Block) -> str:
    return HEAD + block.text if block.words[0] == "steps" else block.text


@pytest.mark.parametrize("block", SPECS, ids=lambda block: block.name)
def test_specs_are_as_good_as_the_page_says(block: Block) -> None:
    if block.words[0] == "project":
        report = validate(("mlorch.yaml", block.text.encode()), [], lambda _: None)
    else:
        report = validate(None, [("pipelines/example.yaml", spec_of(block).encode())], lambda _: None)
    found = {problem.code for problem in report.diagnostics if problem.severity == "error"}
    if block.words[0] == "wrong":
        assert found == {block.words[1]}
    else:
        assert not found, report.diagnostics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty project, in which `mlorch` is the command under test."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / ".bin").mkdir()
    command = tmp_path / ".bin" / "mlorch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlorch "$@"\n', "utf-8")
    command.chmod(0o755)
    return tmp_path


def call(folder: Path, line: str) -> tuple[int, str]:
    env = {
        "PATH": f"{folder}/.bin:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_what_is_shown_as_running_runs(block: Block, folder: Path) -> None:
    text = spec_of(block)
    (folder / "pipelines" / "example.yaml").write_text(text, "utf-8")
    name = re.search(r"^name: (\w+)$", text, re.MULTILINE)
    assert name
    code, said = call(folder, f"mlorch run {name[1]}")
    assert code == 0, said
    code, said = call(folder, f"mlorch run {name[1]}")
    assert (code, "nothing to do" in said) == (0, True), said


def same(shown: list[str], printed: list[str]) -> bool:
    """Whether the lines printed are those shown, where `…` stands for anything."""
    if not shown:
        return not printed
    if shown[0] == "…":
        return any(same(shown[1:], printed[index:]) for index in range(len(printed) + 1))
    # Columns are as wide as what stands in them, which differs from run to run.
    pattern = ".*".join(re.sub(r"(?:\\ )+", " +", re.escape(part)) for part in shown[0].split("…"))
    return bool(printed) and re.fullmatch(pattern, printed[0].rstrip()) is not None and same(shown[1:], printed[1:])


@pytest.mark.parametrize("page", CONSOLES, ids=lambda page: page.name)
def test_commands_print_what_the_page_shows(page: Path, folder: Path) -> None:
    for block in blocks_of(page):
        if block.words[:1] == ("pipeline",) and "file" in block.words:
            path = folder / block.words[block.words.index("file") + 1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.words[:1] == ("console",):
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, _, shown = part.partition("\n")
                _, said = call(folder, line)
                assert same(shown.splitlines(), said.splitlines()), f"{block.name}: $ {line}\n{said}"


def test_the_comparison_can_fail() -> None:
    assert same(["a … c", "…", "end"], ["a bb  c", "x", "y", "end"])
    assert not same(["a b"], ["a c"])
    assert not same(["a"], ["a", "b"])
    assert not same(["a", "b"], ["a"])


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have on GitHub."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(page.read_text("utf-8"))
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"`((?:tests|mlorch|docs|schemas|benchmarks)/[\w./-]+)`", page.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_picture_of_the_rooms_is_the_one_that_the_code_is_held_to() -> None:
    arrows = runpy.run_path(str(ROOT / "tests" / "architecture" / "test_rooms.py"))["ARROWS"]
    table = (
        (ROOT / "docs" / "architecture.md")
        .read_text("utf-8")
        .partition("| room | may import |")[2]
        .partition("\n\n")[0]
    )
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines()[2:]]
    drawn = {room.strip("`"): set(re.findall(r"`(\w+)`", may)) for room, may in rows}
    assert drawn == {room: set(may) for room, may in arrows.items() if not room.startswith("__")}


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {
        name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert named <= targets
    assert {"demo", "test"} <= named


def test_every_command_that_is_named_exists() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:`|\$ |&& |bin/|^)mlorch ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert named <= COMMANDS.keys()


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    assert [page.name for page in sorted((ROOT / "docs").glob("*.md")) if f"({page.name})" not in index] == [
        "README.md"
    ]
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    assert [
        page.name for page in (ROOT / "docs" / "decisions").glob("0*.md") if f"({page.name})" not in decisions
    ] == []
