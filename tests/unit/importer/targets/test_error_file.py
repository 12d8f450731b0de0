import pytest

from services.importer.targets.records.error_file import SyncErrorFile


@pytest.mark.parametrize("row", ["10|a|b|", "90|a", "10", "90", "10|"])
def test_rows_of_the_two_types_are_counted_however_short(row: str) -> None:
    assert SyncErrorFile().is_counted(row)


@pytest.mark.parametrize("row", ["11|a", "100|a", "", "note|10|", " 10|a", "99|1"])
def test_no_other_row_is_counted(row: str) -> None:
    assert not SyncErrorFile().is_counted(row)
