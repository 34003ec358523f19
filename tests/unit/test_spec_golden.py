"""Every code shows as written in tests/golden/diagnostics: CODE.yaml is the wrong spec, CODE.txt what is said about it.

`MLORCH_GOLDEN=write pytest tests/unit/test_spec_golden.py` writes the texts anew; read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import mlorch
from mlorch.cli.validate import validate
from mlorch.spec.codes import CODES, explain
from mlorch.views.problems import problem_lines, totals

GOLDEN = Path(__file__).parent.parent / "golden" / "diagnostics"
PACKAGE = Path(mlorch.__file__).parent
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))
_EMITTED = re.compile(r"\"([EW][0-9]{3})\"")
BY_SIZE = {"E102"}
"""Too large for a file of the repository: see test_spec_source.py."""


def files_of(data: bytes) -> dict[str, bytes]:
    """A case of one pipeline file, or of several behind lines `# file: NAME`."""
    if not data.startswith(b"# file: "):
        return {"pipelines/demo.yaml": data}
    parts = re.split(rb"^# file: (.+)\n", data, flags=re.MULTILINE)[1:]
    return {name.decode(): text for name, text in zip(parts[::2], parts[1::2], strict=True)}


def output_of(data: bytes) -> str:
    files = files_of(data)
    project = ("mlorch.yaml", files["mlorch.yaml"]) if "mlorch.yaml" in files else None
    pipelines = [(name, text) for name, text in files.items() if name.startswith("pipelines/")]
    report = validate(project, pipelines, lambda path: files[path].decode() if path in files else None)
    lines = [line for problem in report.diagnostics for line in (*problem_lines(problem), "")]
    return "\n".join([*lines, totals(report.diagnostics), ""])


@pytest.mark.parametrize("code", CASES)
def test_says_what_where_and_how_to_mend_it(code: str) -> None:
    said = output_of((GOLDEN / f"{code}.yaml").read_bytes())
    expected = GOLDEN / f"{code}.txt"
    if os.environ.get("MLORCH_GOLDEN") == "write":
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")
    assert f" {code}: " in said


def test_every_code_of_validate_has_an_example_here() -> None:
    assert set(CASES) == {code.code for code in CODES.values() if not code.late} - BY_SIZE


def test_every_code_that_the_package_emits_is_explained() -> None:
    emitted = {
        code
        for path in PACKAGE.rglob("*.py")
        if path.name != "codes.py"
        for code in _EMITTED.findall(path.read_text(encoding="utf-8"))
    }
    assert emitted - set(CODES) == set()
    assert set(CODES) - emitted == set()


def test_every_code_has_a_page() -> None:
    for code in CODES:
        page = explain(code.lower())
        assert page is not None
        assert page.startswith(code)
    assert explain("E000") is None
