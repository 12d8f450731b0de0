"""Texts, numbers, keys and addresses of the kit."""

from __future__ import annotations

import hashlib

import pytest

from services.importer.formats.kit.addresses import ip_address, mac_address, origin
from services.importer.formats.kit.cvss import score, system_of, vector_of
from services.importer.formats.kit.evidence import (
    EVIDENCE_LIMIT,
    base64_bytes,
    base64_text,
    body_text,
    cautions_of,
    evidence,
)
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.memo import Memo
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.values import (
    KEY_LIMIT,
    clean,
    decimal,
    finding_key,
    line,
    paragraphs,
    port_number,
    public_number,
    title_number,
    unique_lines,
    whole,
)
from services.importer.targets.findings.records import Score, Severity


def test_clean_replaces_what_postgresql_refuses() -> None:
    assert clean("a\0b\ud800c\udfff") == "a\ufffdb\ufffdc\ufffd"
    assert clean("Größe 東京 \U0001f600") == "Größe 東京 \U0001f600"


def test_line_is_one_bounded_line() -> None:
    assert line("  a\n\tb   c ") == "a b c"
    assert line("x" * 1_000, 10) == "x" * 10
    assert line("") == ""


def test_a_finding_is_keyed_by_its_own_id_else_by_its_title() -> None:
    assert finding_key("19506", "anything") == "19506"
    assert finding_key(None, "Old  Rope\n") == finding_key("", "old rope") == hashlib.sha256(b"old rope").hexdigest()
    assert finding_key(None, "Old Ropes") != finding_key(None, "Old Rope")


def test_an_id_that_is_too_long_for_a_key_is_hashed() -> None:
    assert finding_key("i" * KEY_LIMIT, "") == "i" * KEY_LIMIT
    assert finding_key("i" * (KEY_LIMIT + 1), "") == hashlib.sha256(b"i" * (KEY_LIMIT + 1)).hexdigest()


def test_the_number_of_a_title_is_that_of_plextrac() -> None:
    assert title_number("Old Rope") == int(hashlib.sha256(b"Old Rope").hexdigest(), 16) % 10**8


@pytest.mark.parametrize(
    ("native_id", "is_taken"), [("1", True), ("2147483647", True), ("2147483648", False), ("0", False), ("x", False)]
)
def test_the_public_number_is_the_scanners_where_it_fits(native_id: str, is_taken: bool) -> None:
    assert public_number(native_id, "t") == (int(native_id) if is_taken else title_number("t"))


@pytest.mark.parametrize("text", ["", "x", "1e9", "1.", ".5", "--1", "9" * 16, "٣", "1,5", "nan", "0x1"])
def test_what_is_no_plain_decimal_is_none(text: str) -> None:
    assert decimal(text) is None


def test_decimals_and_whole_numbers() -> None:
    assert (decimal(" 7.5 "), decimal("-1"), whole("007"), whole("-1"), whole("9" * 19)) == (7.5, -1.0, 7, None, None)


@pytest.mark.parametrize("text", ["65536", "-1", "http", "80/tcp", "9" * 30])
def test_a_bad_port_is_a_record_error(text: str) -> None:
    with pytest.raises(RecordError) as caught:
        port_number(text)
    assert (caught.value.code, caught.value.field, caught.value.value) == ("INVALID_PORT", "port", text)


def test_good_ports() -> None:
    assert [port_number(text) for text in ("", "0", "443", "65535")] == [0, 0, 443, 65_535]


def test_lines_and_paragraphs_leave_out_what_is_empty_or_repeated() -> None:
    assert unique_lines("a\n b \n\na", "b\nc") == "a\nb\nc"
    assert paragraphs(" a ", "", "\n", "b") == "a\n\nb"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\n", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("256.1.1.1", ""),
        ("1.2.3", ""),
        ("1.2.3.4.5", ""),
        ("host.example", ""),
        ("::::", ""),
        ("", ""),
    ],
)
def test_ip_addresses_have_one_form(text: str, found: str) -> None:
    assert ip_address(text) == found


def test_mac_addresses_have_one_form() -> None:
    assert mac_address("00-15-5d-0a-01-10\n00:00:00:00:00:01") == "00:15:5D:0A:01:10"
    assert mac_address("none") == ""


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://Shop.example", ("https", "shop.example", 443)),
        ("http://shop.example:8080/x", ("http", "shop.example", 8080)),
        ("https://[2001:db8::1]:8443", ("https", "2001:db8::1", 8443)),
        ("shop.example", ("", "shop.example", 0)),
        ("http://shop.example:99999", ("", "http://shop.example:99999", 0)),
        ("http://[broken", ("", "http://[broken", 0)),
        ("", ("", "", 0)),
    ],
)
def test_origins(url: str, found: tuple[str, str, int]) -> None:
    assert origin(url) == found


def test_identifiers_are_found_once_in_order() -> None:
    assert cves_in(["cve-2024-10001, CVE-2014-3566", "CVE-2024-10001", "XCVE-2020-1", "CVE-20-1"]) == (
        "CVE-2024-10001",
        "CVE-2014-3566",
    )
    assert cwes_in(["CWE-79: x", "CWE:20", "cwe 0", "CWE_89", "SCWE-7", "CWE-79"]) == (79, 20, 89)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CVSS2#AV:N/AC:L/Au:N/C:P/I:P/A:P", ("cvss2", "AV:N/AC:L/Au:N/C:P/I:P/A:P")),
        ("(AV:N/AC:L/Au:N/C:P/I:P/A:P)", ("cvss2", "AV:N/AC:L/Au:N/C:P/I:P/A:P")),
        ("CVSS:3.0/AV:N/AC:L/PR:N", ("cvss3", "CVSS:3.0/AV:N/AC:L/PR:N")),
        ("CVSS:3.1/AV:N/AC:L/PR:N", ("cvss3_1", "CVSS:3.1/AV:N/AC:L/PR:N")),
        ("CVSS3#AV:N/AC:L/PR:N", ("cvss3", "CVSS:3.0/AV:N/AC:L/PR:N")),
        ("CVSS:4.0/AV:N/AC:L/AT:N", ("cvss4", "CVSS:4.0/AV:N/AC:L/AT:N")),
        ("AV:N/AC:L/PR:N", ("cvss3_1", "CVSS:3.1/AV:N/AC:L/PR:N")),
        ("AV:N/AC:L/AT:N/PR:N", ("cvss4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N")),
        ("", ("", "")),
        ("see vendor", ("", "")),
        ("CVSS:3.1/<b>", ("", "")),
    ],
)
def test_vectors_have_one_form(text: str, found: tuple[str, str]) -> None:
    assert vector_of(text) == found


def test_a_score_joins_base_and_temporal_vector() -> None:
    made = score("cvss2", "CVSS2#AV:N/AC:L/Au:N/C:P/I:P/A:P", "7.5", "CVSS2#E:U/RL:OF/RC:C", "5.5")
    assert made == Score("cvss2", "AV:N/AC:L/Au:N/C:P/I:P/A:P/E:U/RL:OF/RC:C", 7.5, 5.5)
    made = score("cvss3", "CVSS:3.1/AV:N", "9.8", "CVSS:3.1/E:U", "")
    assert made == Score("cvss3_1", "CVSS:3.1/AV:N/E:U", 9.8)


def test_a_score_outside_the_scale_is_left_out() -> None:
    assert score("cvss3", "", "11", "", "-1") is None
    assert score("cvss3", "", "10.0") == Score("cvss3", "", 10.0)


def test_names_of_systems() -> None:
    assert [system_of(name) for name in ("cvss2.0", "CVSSv3", "cvss3.1", "cvss4.0", "epss")] == [
        "cvss2",
        "cvss3",
        "cvss3_1",
        "cvss4",
        "",
    ]


@pytest.mark.parametrize(
    ("base", "severity"),
    [
        (0.0, Severity.INFORMATIONAL),
        (0.1, Severity.LOW),
        (3.9, Severity.LOW),
        (4.0, Severity.MEDIUM),
        (6.9, Severity.MEDIUM),
        (7.0, Severity.HIGH),
        (8.9, Severity.HIGH),
        (9.0, Severity.CRITICAL),
        (10.0, Severity.CRITICAL),
    ],
)
def test_bands_are_those_of_cvss(base: float, severity: Severity) -> None:
    assert severity_of_score(base) is severity


def test_words_of_severity() -> None:
    assert severity_of_word(" HIGH ") is Severity.HIGH
    assert severity_of_word("None") is Severity.INFORMATIONAL
    assert severity_of_word("Serious?") is None


def test_evidence_is_cut_at_its_limit_and_keeps_the_true_length() -> None:
    whole_piece, cut_piece = evidence("a", "x" * EVIDENCE_LIMIT), evidence("b", "x" * (EVIDENCE_LIMIT + 1))
    assert (len(whole_piece.code), whole_piece.length) == (EVIDENCE_LIMIT, EVIDENCE_LIMIT)
    assert (len(cut_piece.code), cut_piece.length) == (EVIDENCE_LIMIT, EVIDENCE_LIMIT + 1)
    assert [caution.code for caution in cautions_of((whole_piece, cut_piece))] == ["EVIDENCE_CUT"]


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ("SGk=", "Hi"),
        ("SGk", "Hi"),
        ("S G\nk=", "Hi"),
        ("SGkh=", "Hi!"),
        ("AP8=", "\ufffd\ufffd"),
        ("é", "é"),
        ("", ""),
    ],
)
def test_base64_is_decoded_as_well_as_it_can(encoded: str, text: str) -> None:
    assert base64_text(encoded) == text


def test_only_well_formed_base64_is_bytes() -> None:
    assert base64_bytes(b"SGk=") == b"Hi"
    assert [base64_bytes(data) for data in (b"SGk", b"S Gk=", b"SGk=]", b"=")] == [None] * 4


def test_bodies_are_text_without_nul() -> None:
    assert body_text(b"a\x00\xff\xc3\xa9") == "a\ufffd\ufffdé"


def test_a_memo_forgets_the_oldest_beyond_its_limit() -> None:
    memo: Memo[str, int] = Memo(10)
    for number, name in enumerate("abc"):
        memo.put(name, number, 4)
    assert [memo.get(name) for name in "abc"] == [None, 1, 2]
    memo.put("c", 7, 4)
    memo.put("huge", 1, 11)
    assert (memo.get("c"), memo.get("huge"), len(memo)) == (7, None, 2)
