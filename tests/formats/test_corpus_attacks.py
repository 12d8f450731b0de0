"""Real files of Pentera and Scythe. Nobody's tests assert anything about them: the counts are those of their rows."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from services.importer.formats.kit.format import WrongFormat
from services.importer.formats.registry import BY_NAME, recognise
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")


def test_actions_of_pentera() -> None:
    (path,) = (CORPUS / "pentera").glob("*.csv")
    data = path.read_bytes()
    format_ = BY_NAME["pentera_csv"]
    assert format_.sniff(data[:4096])
    rows = [list(format_.read(raw)) for raw, _ in format_.walk(BytesIO(data))]
    records = [record for row in rows for record in row]
    assert len(rows) == 4
    assert [(each.title, each.severity) for each in records if isinstance(each, Finding)] == [
        ("BlueKeep (CVE-2019-0708) Vulnerability Discovery", 0),
        ("Password Crack Level 1", 0),
        ("Password Crack Level 2", 0),
    ]
    assert [each.name for each in records if isinstance(each, Asset)] == ["1.1.1.1", "1.1.1.2", "someDomain\\someUser"]
    assert [each.asset for each in records if isinstance(each, AffectedAsset)] == ["1.1.1.1", "someDomain\\someUser"]
    assert [each.code for each in records if isinstance(each, Caution)] == [
        "NO_RESULT_LEFT_OUT",
        "CREDENTIALS_LEFT_OUT",
        "CREDENTIALS_LEFT_OUT",
    ]
    assert not [part for part in ("645114766d", "9b64264735", "d5cef1114f") if part in repr(records)]


def test_threat_definitions_of_scythe() -> None:
    paths = list((CORPUS / "scythe").iterdir())
    assert paths
    for path in paths:
        data = path.read_bytes()
        assert [each.name for each in recognise(data[:4096])] == ["scythe"]
        with pytest.raises(WrongFormat, match="threat definition"):
            list(BY_NAME["scythe"].walk(BytesIO(data)))


def test_every_file_is_counted() -> None:
    assert sorted(path.suffix for name in ("pentera", "scythe") for path in (CORPUS / name).iterdir()) == [
        ".csv",
        ".json",
    ]
