"""What can be imported, and that a file tells by itself what it is: every sample of every format."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.importer.formats.registry import FORMATS
from tests.e2e.rest import Rest
from tests.e2e.test_commands import until

DATA = Path(__file__).parents[1] / "data"
HEAD_BYTES = 4096
GOLDEN, TEMPLATE = ".jsonl", ".template"


def samples() -> list[Path]:
    families = sorted({each.family for each in FORMATS if each.target == "findings"})
    found = [path for family in families for path in sorted((DATA / family).glob("*"))]
    return [path for path in found if path.is_file() and path.suffix not in {GOLDEN, TEMPLATE}]


@dataclass(frozen=True)
class Started:
    sample: Path
    import_id: str


def detected(caller: Rest, head: bytes) -> dict[str, Any]:
    response = caller.http.post(
        "/api/v2/sources/detect", content=head, headers={"content-type": "application/octet-stream"}
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def start(caller: Rest, sample: Path, best: dict[str, Any]) -> str:
    if best["imports"] == "findings":
        return caller.trigger(caller.upload(sample.read_bytes()), best["source"])
    path = f"/api/v2/client/{caller.client_id}/assets/import/{best['source']}"
    answer = caller.http.post(path, files={"file": (sample.name, sample.read_bytes())})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["operationId"])


def test_the_sources_are_listed_with_what_they_take(caller: Rest) -> None:
    found = {each["source"]: each for each in caller.get("/api/v2/sources")["sources"]}
    assert found["nessus"]["name"] == "Nessus"
    assert found["nessus"]["imports"] == ["findings"]
    assert ".nessus" in found["nessus"]["extensions"]
    assert {"xml"} <= {each["syntax"] for each in found["nessus"]["formats"]}
    assert found["nmap"]["imports"] == ["findings", "assets"]
    assert found["nmap-xml"]["imports"] == ["assets"]


@pytest.mark.timeout(300)
def test_every_sample_is_recognised_and_one_of_each_format_imported(caller: Rest) -> None:
    started: dict[str, Started] = {}
    for sample in samples():
        found = detected(caller, sample.read_bytes()[:HEAD_BYTES])
        assert found["sources"], f"{sample.name} looks like {found['look']}"
        # Tools of one maker write files that are the same, so it need not be the first.
        names = [each["format"]["name"] for each in found["sources"]]
        assert any(sample.with_name(f"{sample.name}.{name}{GOLDEN}").is_file() for name in names), (sample.name, names)
        if names[0] not in started:
            started[names[0]] = Started(sample, start(caller, sample, found["sources"][0]))
    assert len(started) > 40
    for each in started.values():
        found = until(lambda: caller.detail(each.import_id), lambda detail: detail["endedAt"] is not None)  # noqa: B023
        assert found["state"] == "SUCCEEDED", (each.sample.name, found["errorStatus"])


def test_a_file_in_an_archive_tells_as_well(caller: Rest) -> None:
    sample = next(path for path in samples() if path.suffix == ".nessus").read_bytes()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "Two scans.")
        archive.writestr("scans/a.nessus", sample)
    best = detected(caller, zipped.getvalue())["sources"][0]
    assert (best["source"], best["member"]) == ("nessus", "scans/a.nessus")
    best = detected(caller, gzip.compress(sample))["sources"][0]
    assert (best["source"], best["member"]) == ("nessus", None)


@pytest.mark.parametrize(
    ("head", "look"), [(b"%PDF-1.7", "a PDF document"), (b"", "an empty file"), (b"\x00\x01", "binary data")]
)
def test_what_nobody_takes_is_named(caller: Rest, head: bytes, look: str) -> None:
    assert detected(caller, head) == {"status": "success", "look": look, "sources": []}


def test_too_much_of_a_file_is_refused(caller: Rest) -> None:
    answer = caller.http.post("/api/v2/sources/detect", content=b"x" * (256 * 1024 + 1))
    assert (answer.status_code, answer.json()["message"]) == (400, "The first 262144 bytes are enough.")
