"""Whatever is done to a file, only the outcomes of the contract come out, and the shortcuts change none of them."""

from __future__ import annotations

import random
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.importer.formats.kit.format import DamagedFile, Format, RecordError, WrongFormat
from services.importer.formats.registry import FORMATS
from tests.formats.bounds import check
from tests.formats.golden import samples
from tests.formats.spoiling import documents, everything_read_by_expat, result, spoiled

# Those that read parts of a file without expat.
SHORTCUTS = pytest.mark.parametrize(
    "format_",
    [each for each in FORMATS if each.name in {"nessus", "burp", "nmap", "nmap_assets", "openvas", "qualys_vm_report"}],
    ids=lambda each: each.name,
)
EACH = pytest.mark.parametrize("format_", FORMATS, ids=lambda each: each.name)
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@EACH
@BOUNDED
@given(seed=st.integers(0, 2**32))
def test_spoiled_files_end_in_an_outcome_of_the_contract(format_: Format, seed: int) -> None:
    rng = random.Random(seed)
    data = spoiled(rng.choice(documents(format_)), rng)
    with suppress(WrongFormat, DamagedFile):
        for raw, _ in format_.walk(BytesIO(data)):
            with suppress(RecordError):
                for record in format_.read(raw):
                    check(record)


@EACH
def test_huge_values_in_every_place_are_bounded(format_: Format) -> None:
    for data in documents(format_):
        for place in (b">", b'="', b"<![CDATA["):
            at = 0
            for _ in range(12):
                at = (
                    data.index(place, at + 1 + len(data) // 40) if data.find(place, at + 1 + len(data) // 40) > 0 else 0
                )
                if not at:
                    break
                huge = data[: at + len(place)] + b"7" * 1_200_000 + data[at + len(place) :]
                with suppress(WrongFormat, DamagedFile):
                    for raw, _ in format_.walk(BytesIO(huge)):
                        with suppress(RecordError):
                            for record in format_.read(raw):
                                check(record)


@EACH
@BOUNDED
@given(data=st.binary(max_size=300))
def test_any_bytes_end_in_an_outcome_of_the_contract(format_: Format, data: bytes) -> None:
    items, refused = result(format_, data)
    # A table may be a header alone.
    assert refused or (format_.syntax == "csv" and not items)


@EACH
@BOUNDED
@given(data=st.binary(max_size=60), at=st.floats(0, 1))
def test_any_bytes_within_a_sample_end_in_an_outcome_of_the_contract(format_: Format, data: bytes, at: float) -> None:
    whole = samples(format_)[-1].read_bytes()
    cut = int(at * len(whole))
    assert result(format_, whole[:cut] + data + whole[cut:]) is not None


@SHORTCUTS
def test_shortcuts_change_nothing(format_: Format) -> None:
    for data in documents(format_):
        for changed in (data, data.replace(b"/>", b" />"), data.replace(b"\n", b"\r\n"), data.replace(b'"', b"'")):
            quick = result(format_, changed)
            with everything_read_by_expat():
                assert quick == result(format_, changed)


@SHORTCUTS
@BOUNDED
@given(seed=st.integers(0, 2**32))
def test_shortcuts_change_nothing_in_spoiled_files(format_: Format, seed: int) -> None:
    rng = random.Random(seed)
    data = spoiled(rng.choice(documents(format_)), rng)
    quick = result(format_, data)
    with everything_read_by_expat():
        assert quick == result(format_, data)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")
@SHORTCUTS
def test_shortcuts_change_nothing_in_real_files(format_: Format) -> None:
    for path in sorted(CORPUS.glob(f"{format_.family}*/*")):
        data = path.read_bytes()
        quick = result(format_, data)
        with everything_read_by_expat():
            assert quick == result(format_, data), path.name
