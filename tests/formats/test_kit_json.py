"""The JSON walk of the kit: paths, contexts, damage, limits, and what it does with bytes that come in odd portions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from services.importer.formats.kit import jsontext
from services.importer.formats.kit.encoding import Utf8Blocks
from services.importer.formats.kit.format import DamagedFile, Item, RecordError, WrongFormat
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import each, inner, is_true, members_of, text, texts

REPORT = {
    "tool": "x",
    "unused": [{"a": [1, {"b": "]}"}]}, '"'],
    "site": [
        {"name": "one", "rules": {"k": 1}, "alerts": [{"id": 1}, {"id": 2, "text": 'ä\\"🦊'}], "late": True},
        {"name": "two", "alerts": []},
        {"alerts": {"id": 3}},
        {"alerts": None},
    ],
    "other": [[1], [2.5, -1e3]],
}


def walked(data: bytes, **more: Any) -> list[Item]:
    asked: dict[str, Any] = {"items": frozenset({"site[].alerts[]"}), "signs": frozenset({"tool"}), **more}
    return list(walk_json(BytesIO(data), **asked))


def values(data: bytes, **more: Any) -> list[Any]:
    return [item.raw.value for item in walked(data, **more)]


def damage(data: bytes, **more: Any) -> DamagedFile:
    with pytest.raises(DamagedFile) as caught:
        walked(data, **more)
    return caught.value


def dumped(value: Any, **how: Any) -> bytes:
    return json.dumps(value, **how).encode()


@pytest.fixture
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that each value crosses its end."""
    monkeypatch.setattr(jsontext, "_BUFFER_CHARACTERS", 1)
    monkeypatch.setattr(Utf8Blocks.__init__, "__defaults__", (1,))


def test_items_are_given_with_path_and_line() -> None:
    items = walked(dumped(REPORT, indent=1))
    assert [item.raw.value["id"] for item in items] == ["1", "2", "3"]
    assert [item.position.path for item in items] == ["site[0].alerts[0]", "site[0].alerts[1]", "site[2].alerts[0]"]
    lines = dumped(REPORT, indent=1).decode().splitlines()
    assert [lines[item.position.line].strip() for item in items] == ['"id": 1', '"id": 2,', '"id": 3']
    assert {item.raw.path for item in items} == {"site[].alerts[]"}


@pytest.mark.usefixtures("small_buffer")
def test_the_size_of_a_read_changes_nothing() -> None:
    for data in (dumped(REPORT, indent=2), dumped(REPORT, ensure_ascii=False)):
        assert values(data) == [{"id": "1"}, {"id": "2", "text": 'ä\\"🦊'}, {"id": "3"}]
        assert values(data, items=frozenset({"other[][]"})) == ["1", "2.5", "-1000.0"]
        assert values(data, items=frozenset({"unused[]"})) == [{"a": ["1", {"b": "]}"}]}, '"']
        cut = damage(data[:-1])
        assert (cut.code, cut.position.line) == ("TRUNCATED", data.count(b"\n") + 1)


def test_members_with_ids_for_names_are_items_too() -> None:
    document = {"tool": "x", "assets": {"a": {"id": 1}, "b.c": {"id": 2}, "d": 3}, "after": {"e": {"id": 4}}}
    items = walked(dumped(document), items=frozenset({"assets{}"}))
    assert [item.raw.value for item in items] == [{"id": "1"}, {"id": "2"}, "3"]
    assert [item.position.path for item in items] == ["assets.a", "assets.b.c", "assets.d"]
    assert {item.raw.path for item in items} == {"assets{}"}
    both = frozenset({"assets{}", "assets[]"})
    assert [item.raw.path for item in walked(dumped(document), items=both)] == ["assets{}"] * 3
    listed = dumped({"tool": "x", "assets": [{"id": 1}, {"id": 2}]})
    assert [item.position.path for item in walked(listed, items=both)] == ["assets[0]", "assets[1]"]
    assert values(dumped({"tool": "x", "assets": {}}), items=both) == []


def test_contexts_are_made_once_of_what_stood_before() -> None:
    made: list[dict[str, Any]] = []

    def make(kept: dict[str, Any], above: tuple[Any, ...]) -> tuple[Any, ...]:
        made.append(dict(kept))
        return (*above, kept.get("name", kept.get("tool")))

    items = walked(
        dumped(REPORT), contexts={"": make, "site[]": make}, keep=frozenset({"tool", "name", "rules", "late"})
    )
    assert made == [{"tool": "x"}, {"name": "one", "rules": {"k": "1"}}, {}]
    assert [item.raw.above for item in items][:2] == [(("x",), (("x",), "one"))] * 2
    assert items[0].raw.above[1] is items[1].raw.above[1]


def test_a_closing_context_is_an_item_with_all_it_keeps() -> None:
    keep = frozenset({"name", "late"})
    items = walked(dumped(REPORT), contexts={"site[]": lambda kept, _: kept}, keep=keep, closing=frozenset({"site[]"}))
    assert [(item.raw.path, item.raw.value.get("name")) for item in items] == [
        ("site[].alerts[]", None),
        ("site[].alerts[]", None),
        ("site[]", "one"),
        ("site[]", "two"),
        ("site[].alerts[]", None),
        ("site[]", None),
        ("site[]", None),
    ]
    assert items[2].raw.value == {"name": "one", "late": True}
    assert items[2].position.path == "site[0]"


def test_a_document_may_be_an_array_and_have_items_of_several_paths() -> None:
    both = {"items": frozenset({"[].a[]", "[].b"}), "signs": frozenset({"[].b"})}
    found = walked(b' [ {"b": {"x": 1}, "a": [true, null]} , 7, {"a": "text"} ]\n', **both)
    assert [(item.raw.path, item.raw.value) for item in found] == [
        ("[].b", {"x": "1"}),
        ("[].a[]", True),
        ("[].a[]", None),
    ]


def test_numbers_are_the_text_of_the_file() -> None:
    data = b'{"tool": 1, "site": {"alerts": [' + b"7" * 6000 + b", 1e999, 0.10, NaN, -Infinity]}}"
    assert values(data) == ["7" * 6000, "1e999", "0.10", None, None]


def test_the_last_of_two_equal_keys_counts() -> None:
    assert values(b'{"tool": 1, "site": [{"alerts": [{"a": 1, "a": 2}], "alerts": [3]}]}') == [{"a": "2"}, "3"]


def test_every_prefix_of_a_document_is_cut_and_not_malformed() -> None:
    data = rb'{"tool":-1.5e+3,"unused":[true,null,"\u00e9\\"],"site":[{"alerts":[{"id":[false,"\ud83e\udd8a"]}]}]}'
    for end in range(1, len(data)):
        assert (damage(data[:end]).code, end) == ("TRUNCATED", end)


def test_items_that_were_whole_come_before_the_damage() -> None:
    walk = walk_json(BytesIO(dumped(REPORT)[:-60]), items=frozenset({"site[].alerts[]"}), signs=frozenset({"tool"}))
    assert [next(walk).raw.value["id"] for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize(
    ("spoiled", "line"),
    [
        (b'{"tool": 1,\n "site": [{"alerts": [{"id" 1}]}]}', 2),
        (b'{"tool": 1,\n "site": [{"alerts": [{"id": 1},]}]}', 2),
        (b'{"tool": 1,\n "site": [{"alerts": [{"id": 1}]}],}', 2),
        (b'{"tool": 1,\n\n "site": [{"alerts": [tru]}]}', 3),
        (b'{"tool": 1,\n\n "site": [{"alerts": [01]}]}', 3),
        (b'{"tool": "\\x",\n "site": [{"alerts": [{"id": "\\q"}]}]}', 2),
        (b'{"tool": 1, "site": [{"alerts": [{"id": 1}]}]}\n{"tool": 1}', 2),
        (b'{"tool": 1, "site": [{"alerts": [{"id": 1}]}]}\nx', 2),
        (b'{tool: 1, "site": []}', 1),
        (b'{"tool": 1 "site": []}', 1),
        (b'{"tool": 1, "unused": [}, "site": []}', 1),
    ],
)
def test_what_is_not_json_is_malformed_with_its_line(spoiled: bytes, line: int) -> None:
    error = damage(spoiled)
    assert (error.code, error.position.line) == ("MALFORMED_JSON", line)


@pytest.mark.usefixtures("small_buffer")
def test_brackets_of_what_is_passed_over_must_match() -> None:
    assert damage(b'{"tool": 1, "unused": [{"a": [}]]}').code == "MALFORMED_JSON"


def test_white_space_alone_is_an_empty_file() -> None:
    for data in (b"", b" \r\n\t", b"\xef\xbb\xbf"):
        assert damage(data).code == "EMPTY_FILE"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<a/>", "XML with the root element <a>"),
        (b"a,b\n1,2\n", "text"),
        (b"%PDF-1.7 xxxxxx", "PDF"),
        (b'"tool"', "text"),
        (b'{"site": []}', "JSON without tool"),
        (b'[{"tool": 1}]', "JSON without tool"),
        (b'{"site": [{"alerts": [{"id": 1}]}], "tool": 1}', "JSON without tool"),
    ],
)
def test_another_file_is_told_by_what_it_looks_like(data: bytes, told: str) -> None:
    with pytest.raises(WrongFormat, match=told):
        walked(data)


def test_a_sign_may_be_a_member_of_the_first_item() -> None:
    signs = frozenset({"site[].alerts[].id"})
    assert len(values(dumped(REPORT), signs=signs)) == 3
    with pytest.raises(WrongFormat):
        values(b'{"tool": 1, "site": [{"alerts": [{"x": 1}]}]}', signs=signs)


@pytest.mark.parametrize("place", [b'{"tool": 1, "site": [{"alerts": [%b]}]}', b'{"tool": 1, "x": %b, "site": []}'])
@pytest.mark.parametrize("depth", [300, 20_000, 400_000])
def test_deep_nesting_is_refused(place: bytes, depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * depth + b"1" + closing * depth
        if depth > 1_000 or b"alerts" in place:
            assert damage(place % deep).code == "TOO_DEEP"


def test_nesting_within_the_limit_is_fine() -> None:
    deep = b"[" * 256 + b"]" * 256
    assert len(values(b'{"tool": 1, "site": [{"alerts": [%b]}]}' % deep)) == 1
    assert damage(b'{"tool": 1, "site": [{"alerts": [[%b]]}]}' % deep).code == "TOO_DEEP"


def test_a_record_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "RECORD_LIMIT", 1 << 20)
    fits, large = ('{"tool": 1, "site": [{"alerts": ["%s"]}]}' % ("x" * size) for size in (1 << 19, 3 << 20))
    assert len(values(fits.encode())) == 1
    assert damage(large.encode()).code == "RECORD_TOO_LARGE"
    assert values(large.replace("alerts", "unused").encode()) == []


def test_a_record_of_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "VALUE_LIMIT", 10_000)
    assert damage(b'{"tool": 1, "site": [{"alerts": [[' + b"1," * (2 << 20) + b"1]]}]}").code == "RECORD_TOO_LARGE"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(encoding: str) -> None:
    told = json.dumps(REPORT, ensure_ascii=False)
    assert values(told.encode(encoding)) == values(told.encode())


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\x1b", b"\\ud800", b"\\u0000x"])
def test_what_no_text_can_have_is_replaced_and_told(bad: bytes) -> None:
    items = walked(b'{"tool": 1, "site": [{"alerts": [{"id": "a%bb"}, {"id": "c"}]}]}' % bad)
    assert "\ufffd" in items[0].raw.value["id"]
    assert items[0].raw.value["id"].encode()
    assert [note.code for item in items for note in item.raw.notes] == ["INVALID_TEXT"]


def test_line_breaks_and_tabs_in_strings_are_let_pass() -> None:
    assert values(b'{"tool": 1, "site": [{"alerts": ["a\tb\nc"]}]}') == ["a\tb\nc"]


def test_memory_is_that_of_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield b'{"tool": 1, "unused": [' + b'["%b"],' % (b"u" * 4_000) * 1_000
        yield b'1], "logo": "' + b"l" * 8_000_000 + b'", "site": [{"alerts": ['
        for number in range(200):
            yield b'{"id": %d, "text": "%b"},' % (number, b"t" * 30_000)
        yield b"0]}]}"

    class Pieces:
        def __init__(self) -> None:
            self._left = b"".join(pieces())

        def read(self, size: int, /) -> bytes:
            data, self._left = self._left[:size], self._left[size:]
            return data

    read_on = jsontext.JsonText._read_on

    def watched(self: jsontext.JsonText, characters: int = 0) -> bool:
        held.append(len(self._text) - self._at)
        return read_on(self, characters)

    monkeypatch.setattr(jsontext.JsonText, "_read_on", watched)
    walk = walk_json(Pieces(), items=frozenset({"site[].alerts[]"}), signs=frozenset({"tool"}))
    assert sum(1 for _ in walk) == 201
    assert max(held) < 40_000


def test_paths_of_members_are_shown_by_the_head() -> None:
    head = dumped(REPORT, indent=1)
    assert member_paths(head) >= {
        "tool",
        "unused[].a[].b",
        "site[].name",
        "site[].rules.k",
        "site[].alerts[].text",
        "site[].late",
        "other",
    }
    assert "site[].alerts" in member_paths(head)
    assert member_paths(head[:40]) == {"tool", "unused", "unused[].a", "unused[].a[].b"} & member_paths(head[:40])
    assert member_paths(b'[{"a": {"b": "x: \\"y\\":"}}, {"c') == {"[].a", "[].a.b"}
    assert member_paths('\ufeff {"a": 1, "b'.encode("utf-16-le")) == {"a"}
    assert member_paths(b'{"a": "cut "') == {"a"}
    for other in (b"", b"<a/>", b'"a":', b"a,b"):
        assert member_paths(other) == frozenset()


def test_members_are_asked_whatever_kind_they_are() -> None:
    members = {"a": " x ", "n": None, "t": True, "l": ["p", None, "", "q", {"r": 1}], "o": {"i": "1"}}
    assert (text(members, "n", "missing", "a"), text(members, "t"), text(members, "l")) == ("x", "true", "")
    assert (inner(members, "o"), inner(members, "a"), inner(members, "n")) == ({"i": "1"}, {}, {})
    assert (each(members, "l"), each(members, "o"), each(members, "a")) == ([{"r": 1}], [{"i": "1"}], [])
    assert (texts(members, "l"), texts(members, "a"), texts(members, "n")) == (["p", "q"], ["x"], [])
    assert (is_true(members, "t"), is_true(members, "a")) == (True, False)
    assert members_of(members) is members
    with pytest.raises(RecordError, match="not a JSON object"):
        members_of("x")
