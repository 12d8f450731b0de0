"""Files in zip and gzip, as people upload them."""

from __future__ import annotations

import gzip

import pytest

from tests.e2e.rest import Rest
from tests.scans import nessus
from tests.unit.importer.engine.archives.packing import zipped

SCAN = nessus(hosts=3, plugins=4)


@pytest.mark.parametrize(
    ("name", "packed"),
    [("scan.zip", zipped({"scan.nessus": SCAN, "report.pdf": b"%PDF-1.7"})), ("scan.nessus.gz", gzip.compress(SCAN))],
    ids=["zip", "gzip"],
)
def test_a_packed_scan_goes_in_and_the_findings_of_the_scan_come_out(caller: Rest, name: str, packed: bytes) -> None:
    row = caller.wait(caller.trigger(caller.upload(packed, name), fileName=name))
    assert (row["status"], row["progress"]) == ("IMPORT COMPLETE", 100)
    assert len(caller.flaws()) == 4
    detail = caller.detail(row["key"])
    assert (detail["counters"]["read"], detail["counters"]["inserted"]) == (12, 12)
    left_out = [caution["message"] for caution in detail["cautions"]]
    assert left_out == (['Left out of the archive: "report.pdf" (a PDF document).'] if name == "scan.zip" else [])
    # The scan itself brings nothing that was not there.
    again = caller.detail(caller.imported(SCAN)["key"])
    assert again["counters"]["unchanged"] == 12


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (zipped({"scan.nessus": SCAN[:-40] + b" " * (100 << 20)}), "ARCHIVE_TOO_LARGE"),
        (zipped({"readme.txt": bytes(100 << 20)}), "ARCHIVE_TOO_LARGE"),
        (gzip.compress(SCAN[:-40] + b" " * (100 << 20)), "ARCHIVE_TOO_LARGE"),
        (zipped({"scan.nessus": SCAN})[:-10], "TRUNCATED"),
        (zipped({"inner.zip": zipped({"scan.nessus": SCAN})}), "WRONG_FORMAT"),
    ],
    ids=["bomb", "bomb beside", "gzip bomb", "cut", "nested"],
)
def test_a_bad_archive_ends_in_error_with_its_reason_and_imports_nothing(
    caller: Rest, packed: bytes, code: str
) -> None:
    row = caller.imported(packed)
    assert (row["status"], row["state"]) == ("ERROR", "FAILED")
    assert row["errorStatus"].startswith(f"{code}: ")
    assert caller.flaws() == []
