"""docs/guarantees.md names tests; none of them may have gone."""

from __future__ import annotations

import re
from pathlib import Path

from tests.chaos.checker.invariants import INVARIANTS
from tests.chaos.planted import BUGS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = re.compile(r"`(?:tests/[\w/]*)?(test_\w+)(\.py)?`")


def test_every_test_that_is_named_exists() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    code = "\n".join(file.read_text() for file in files)
    known = {file.stem for file in files}
    missing = [
        name for name, is_file in NAMED.findall(TEXT) if (name not in known if is_file else f"def {name}(" not in code)
    ]
    assert NAMED.findall(TEXT)
    assert missing == []


def test_every_invariant_and_every_planted_bug_has_a_line() -> None:
    assert [name for name in INVARIANTS if f"\n| {name} | " not in TEXT] == []
    assert TEXT.count("| Planted bug |") == 1
    planted = TEXT.partition("| Planted bug |")[2].partition("\n\n")[0]
    assert planted.count("\n| ") == 1 + len(BUGS) - 1
