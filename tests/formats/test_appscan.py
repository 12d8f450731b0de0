"""What is special about reports of AppScan: groups of definitions before and after the issues."""

from __future__ import annotations

from io import BytesIO

from services.importer.formats.appscan import xml
from services.importer.formats.appscan.read import read
from services.importer.targets.findings.records import AffectedAsset, Asset, Record
from tests.formats.golden import DATA


class InPortions:
    """Gives so many bytes for each read."""

    def __init__(self, data: bytes, size: int) -> None:
        self._stream, self._size = BytesIO(data), size

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._size))


def records_of(size: int) -> list[Record]:
    data = (DATA / "appscan" / "standard-two-types.xml").read_bytes()
    late = data.replace(b"<url-group>", b"<x-group>").replace(b"</url-group>", b"</x-group>")
    urls = data[data.index(b"<url-group>") : data.index(b"</url-group>") + 12]
    late = late.replace(b"</issue-group>", b"</issue-group>" + urls)
    return [record for raw, _ in xml.walk(InPortions(late, size)) for record in read(raw)]


def test_what_is_known_of_an_issue_does_not_depend_on_how_the_file_is_read() -> None:
    assert records_of(1) == records_of(1 << 20)


def test_an_issue_whose_url_is_defined_later_names_an_asset_that_follows() -> None:
    raws = [raw for raw, _ in xml.walk(BytesIO((DATA / "appscan" / "groups-behind-issues.xml").read_bytes()))]
    (affected,) = read(raws[0])
    assert isinstance(affected, AffectedAsset)
    late = {record.ref: record.name for record in read(raws[-1]) if isinstance(record, Asset)}
    assert late[affected.asset] == "a.example.com"
