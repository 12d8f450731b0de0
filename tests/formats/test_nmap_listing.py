"""What the quick ways through an Nmap report take is what a parser takes, for scripts of all kinds and broken ports."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.importer.formats.nmap.listing import listing_in
from services.importer.formats.nmap.xml import FINDINGS as NMAP
from tests.formats.spoiling import everything_read_by_expat, result

_KEYS = ("is_exploit", "id", "type", "cvss", "cvss_type")
_IDS = ("CVE-2024-1001", "CVE-2024-1002", "cve-2024-1001", "EDB-ID:7", "1337DAY-CVE-2024-1001", "CVE-2024-1", "a b", "")
_VALUES = {
    "id": st.sampled_from(_IDS),
    "cvss": st.sampled_from(("7.5", "0", "10.0", "10.1", "-1", "n/a", "", "7.5\n", "\u0667.5")),
    "type": st.sampled_from(("cve", "", "exploitdb", "C V E", "a&amp;b")),
    "is_exploit": st.sampled_from(("true", "false", "TRUE", "")),
    "cvss_type": st.sampled_from(("cvss3.1", "cvss2.0", "cvss9", "")),
}
_LIKELY = {"id": st.sampled_from(_IDS[:4]), "cvss": st.sampled_from(("7.5", "0", "10.1")), "type": st.just("cve")}
_PRODUCTS = st.sampled_from(("cpe:/a:b:c:1", "b &amp; c", "", "x" * 600))


def _script(product: str, rows: list[str]) -> str:
    tables = "".join(f"<table>\n{row}</table>\n" for row in rows)
    return f'<script id="vulners" output="text"><table key="{product}">\n{tables}</table>\n</script>'


def _report(scripts: list[str], times: int = 1) -> bytes:
    port = '<port protocol="tcp" portid="80"><state state="open" reason="a"/>' + "".join(scripts) + "</port>\n"
    # The parser reads the last host in any case.
    host = (
        '<host starttime="1" endtime="2"><status state="up" reason="a"/>\n<address addr="10.0.0.1" addrtype="ipv4"/>\n'
        f"<ports>{port * times}</ports>\n</host>\n"
    )
    return f'<nmaprun scanner="nmap">\n{host * 3}</nmaprun>\n'.encode()


@st.composite
def _rows(draw: st.DrawFn) -> list[str]:
    keys = draw(st.permutations(_KEYS))[: draw(st.integers(1, 5))]
    likely = draw(st.booleans())
    values = {**_VALUES, **_LIKELY, "is_exploit": st.just("false"), "cvss_type": st.just("cvss3.1")}
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        told = {key: draw((values if likely else _VALUES)[key]) for key in keys}
        rows.append("".join(f'<elem key="{key}">{value}</elem>\n' for key, value in told.items()))
    return rows


@given(scripts=st.lists(st.builds(_script, _PRODUCTS, _rows()), max_size=2), times=st.integers(1, 3))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_outputs_of_vulners_mean_what_a_parser_makes_of_them(scripts: list[str], times: int) -> None:
    data = _report(scripts, times)
    quick = result(NMAP, data)
    with everything_read_by_expat():
        assert quick == result(NMAP, data)


_PLAIN = '<elem key="id">CVE-2024-1001</elem>\n<elem key="cvss">7.5</elem>\n'


def test_the_usual_output_is_a_listing() -> None:
    listing = listing_in(_script("cpe:/a:b:c:1", [_PLAIN, _PLAIN.replace("1001", "1002")]))
    assert listing is not None
    assert listing.columns == {"id": ["CVE-2024-1001", "CVE-2024-1002"], "cvss": ["7.5", "7.5"]}
    assert listing.rows()[1] == {"id": "CVE-2024-1002", "cvss": "7.5"}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [_PLAIN, _PLAIN.replace("cvss", "epss")],
        [_PLAIN, "<x></x>"],
        [_PLAIN.replace("7.5", "7.5</elem>")],
        [_PLAIN + _PLAIN],
        [_PLAIN.replace("id", "title")],
        ['<elem key="cvss">7.5</elem>\n<elem key="type">cve</elem>\n'],
    ],
)
def test_what_is_not_of_one_kind_is_no_listing(rows: list[str]) -> None:
    assert listing_in(_script("cpe:/a:b:c:1", rows)) is None


def test_a_port_without_its_end_is_not_taken_for_the_beginning_of_a_known_one() -> None:
    end = b'<script id="a" output="b"/></port>\n'
    whole = _report(['<script id="a" output="b"/>'])
    second = whole.index(b"</host>")
    broken = whole[:second] + whole[second:].replace(end, b"", 1)
    assert (result(NMAP, whole)[1], result(NMAP, broken)[1][:2]) == ((), ("DamagedFile", "MALFORMED_XML"))
