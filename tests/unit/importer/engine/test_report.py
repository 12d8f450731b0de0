from __future__ import annotations

import pytest

from services.importer.engine.report import inert


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\0"])
def test_no_spreadsheet_runs_a_cell_of_the_report(start: str) -> None:
    assert inert(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("value", ["", "plain", "a=b", "'quoted"])
def test_other_cells_stay_as_they_are(value: str) -> None:
    assert inert(value) == value
