"""AQL as text, as a tree, and as text again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.assets.aql import parse_aql
from dialects.assets.aql_tree import (
    And,
    AqlError,
    Comparison,
    Condition,
    Direction,
    Function,
    Having,
    Not,
    Operator,
    Or,
    Order,
    Placeholder,
    Query,
    write_query,
)

A, B, C = (Comparison((name,), Operator.EQUAL, ("1",)) for name in "abc")


def compare(name: str, operator: Operator, *values: str | Placeholder | Function) -> Query:
    return Query(Comparison(tuple(name.split(".")), operator, values))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", Query()),
        (" \t\n ", Query()),
        ("Owner = Ada", compare("Owner", Operator.EQUAL, "Ada")),
        ('"Owner" = "Ada"', compare("Owner", Operator.EQUAL, "Ada")),
        ('"Operating System" = "Ubuntu (64-bit)"', compare("Operating System", Operator.EQUAL, "Ubuntu (64-bit)")),
        ("Name = 'Ada L.'", compare("Name", Operator.EQUAL, "Ada L.")),
        ("Name=Ada", compare("Name", Operator.EQUAL, "Ada")),
        ("Name\u00a0=\nAda", compare("Name", Operator.EQUAL, "Ada")),
        (r'Name = "15\" Screen"', compare("Name", Operator.EQUAL, '15" Screen')),
        (r"Name = 'it\'s'", compare("Name", Operator.EQUAL, "it's")),
        (r'Name = "C:\temp\\"', compare("Name", Operator.EQUAL, "C:\\temp\\")),
        ('Name = ""', compare("Name", Operator.EQUAL, "")),
        ('Name = "a\nb"', compare("Name", Operator.EQUAL, "a\nb")),
        ("Name == Ada", compare("Name", Operator.SAME, "Ada")),
        ("Name != Ada", compare("Name", Operator.NOT_EQUAL, "Ada")),
        ("Cores < -5", compare("Cores", Operator.LESS, "-5")),
        ("Cores <= 1.5", compare("Cores", Operator.LESS_OR_EQUAL, "1.5")),
        ("Cores > 1e3", compare("Cores", Operator.GREATER, "1e3")),
        ("Cores >= 0", compare("Cores", Operator.GREATER_OR_EQUAL, "0")),
        ("Address = 192.0.2.1", compare("Address", Operator.EQUAL, "192.0.2.1")),
        ("Mail = ada@example.com", compare("Mail", Operator.EQUAL, "ada@example.com")),
        ("Name = O'Neil", compare("Name", Operator.EQUAL, "O'Neil")),
        ("Name = and", compare("Name", Operator.EQUAL, "and")),
        ("Nazwa_Größe = Żółw", compare("Nazwa_Größe", Operator.EQUAL, "Żółw")),
        ("Location.Country = CH", compare("Location.Country", Operator.EQUAL, "CH")),
        ('"a.b" . c = 1', Query(Comparison(("a.b", "c"), Operator.EQUAL, ("1",)))),
        ("Name LIKE Fend", compare("Name", Operator.LIKE, "Fend")),
        ("Name like Fend", compare("Name", Operator.LIKE, "Fend")),
        ("Name not LIKE Fend", compare("Name", Operator.NOT_LIKE, "Fend")),
        ("Name startsWith Fend", compare("Name", Operator.STARTS_WITH, "Fend")),
        ("Name NOT startswith Fend", compare("Name", Operator.NOT_STARTS_WITH, "Fend")),
        ("Name ENDSWITH Fend", compare("Name", Operator.ENDS_WITH, "Fend")),
        ("Name NOT endsWith Fend", compare("Name", Operator.NOT_ENDS_WITH, "Fend")),
        ('Name IN (a, "b c",3)', compare("Name", Operator.IN, "a", "b c", "3")),
        ("Name not in (a)", compare("Name", Operator.NOT_IN, "a")),
        ("Name IS EMPTY", compare("Name", Operator.EMPTY)),
        ("Name is not empty", compare("Name", Operator.NOT_EMPTY)),
        (
            'objectType in objectTypeAndChildren("Host")',
            compare("objectType", Operator.IN, Function("objecttypeandchildren", ("Host",))),
        ),
        (
            "objectType IN (Car, objectTypeAndChildren(Host))",
            compare("objectType", Operator.IN, "Car", Function("objecttypeandchildren", ("Host",))),
        ),
        ("Created > now()", compare("Created", Operator.GREATER, Function("now"))),
        ("Created > now(-2h 15m)", compare("Created", Operator.GREATER, Function("now", ("-2h 15m",)))),
        ('Created > "now(-2h 15m)"', compare("Created", Operator.GREATER, "now(-2h 15m)")),
        ("User IN user(ada, 'bob')", compare("User", Operator.IN, Function("user", ("ada", "bob")))),
        ("a=1 AND b=1 and c=1", Query(And((A, B, C)))),
        ("a=1 OR b=1 or c=1", Query(Or((A, B, C)))),
        ("a=1 AND b=1 OR c=1", Query(Or((And((A, B)), C)))),
        ("a=1 OR b=1 AND c=1", Query(Or((A, And((B, C)))))),
        ("a=1 AND (b=1 OR c=1)", Query(And((A, Or((B, C)))))),
        ("(a=1 AND b=1) AND c=1", Query(And((And((A, B)), C)))),
        ("((a=1))", Query(A)),
        ("NOT a=1 AND b=1", Query(And((Not(A), B)))),
        ("not(a=1 OR b=1)", Query(Not(Or((A, B))))),
        ("NOT NOT a=1", Query(Not(Not(A)))),
        ("object HAVING inboundReferences()", Query(Having(Direction.INBOUND))),
        ("object having inR(a=1 OR b=1)", Query(Having(Direction.INBOUND, Or((A, B))))),
        ("Object NOT HAVING outboundReferences(a=1)", Query(Not(Having(Direction.OUTBOUND, A)))),
        ("object HAVING outR(object HAVING outR())", Query(Having(Direction.OUTBOUND, Having(Direction.OUTBOUND)))),
        ("ORDER BY Name", Query(None, Order(("Name",)))),
        ("a=1 order  by Location.Country desc", Query(A, Order(("Location", "Country"), descending=True))),
        ('a=1 ORDER BY "Serial Number" ASC', Query(A, Order(("Serial Number",)))),
        ("Order = 1 ORDER BY order", Query(Comparison(("Order",), Operator.EQUAL, ("1",)), Order(("order",)))),
        ("Android = 1 AND Notes = x", Query(And((
            Comparison(("Android",), Operator.EQUAL, ("1",)), Comparison(("Notes",), Operator.EQUAL, ("x",))
        )))),
    ],
)  # fmt: skip
def test_a_text_is_read_as(text: str, query: Query) -> None:
    assert parse_aql(text) == query
    assert parse_aql(write_query(query)) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Name Like ${os}", compare("Name", Operator.LIKE, Placeholder("os"))),
        ('"Domain Name" IN (${ domain names })', compare("Domain Name", Operator.IN, Placeholder("domain names"))),
        ("Name IN ${os}", compare("Name", Operator.IN, Placeholder("os"))),
        ('"Name" = ${6}', compare("Name", Operator.EQUAL, Placeholder("6"))),
        ('Name = "${hardDrives.name}"', compare("Name", Operator.EQUAL, Placeholder("hardDrives.name"))),
        (
            "objectType = Host AND Name = ${a} AND Key != ${b}",
            Query(
                And(
                    (
                        Comparison(("objectType",), Operator.EQUAL, ("Host",)),
                        Comparison(("Name",), Operator.EQUAL, (Placeholder("a"),)),
                        Comparison(("Key",), Operator.NOT_EQUAL, (Placeholder("b"),)),
                    )
                )
            ),
        ),
    ],
)
def test_the_query_of_a_mapping_has_placeholders(text: str, query: Query) -> None:
    assert parse_aql(text, placeholders=True) == query
    assert parse_aql(write_query(query), placeholders=True) == query


def test_elsewhere_a_placeholder_in_quotes_is_a_text() -> None:
    assert parse_aql('Name = "${os}"') == compare("Name", Operator.EQUAL, "${os}")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("objectType = Server type", 20, "found 'type', expected '(' or AND or OR or ORDER BY or the end"),
        ("Name", 4, "it ends there, expected '=' or ENDSWITH or HAVING or IN"),
        ("Name =", 6, "it ends there, expected a value"),
        ("Name = ", 7, "it ends there, expected a value"),
        ("= Ada", 0, "expected '(' or NOT or ORDER BY or a name"),
        ("Name = = Ada", 7, "expected a value"),
        ("Name ! Ada", 5, "found '!'"),
        ("Name <> Ada", 6, "found '>', expected a value"),
        ('Name = "Ada', 7, "the text in quotes does not end"),
        ("Name = “Ada”", 7, "found '“Ada”', expected a value"),
        ("(a = 1", 6, "it ends there, expected ')'"),
        ("a = 1)", 5, "found ')'"),
        ("a = 1 b = 2", 6, "found 'b', expected '(' or AND or OR"),
        ("a = 1 AND", 9, "it ends there, expected '(' or NOT or a name"),
        ("AND a = 1", 4, "found 'a', expected '.' or '='"),
        ("a..b = 1", 2, "expected a name"),
        ("a IS 5", 5, "found '5', expected EMPTY or NOT"),
        ("a IN ()", 6, "expected a value"),
        ("a IN (1,)", 8, "expected a value"),
        ("a IN (1 2)", 8, "found '2)', expected '(' or ')' or ','"),
        ("a IN b", 6, "it ends there, expected '('"),
        ("a = now(", 8, "it ends there"),
        ("a = ${b", 5, "found '{b'"),
        ("a = 1 ORDER BY", 14, "it ends there, expected a name"),
        ("a = 1 ORDER BY b c", 17, "found 'c', expected"),
        ("a = 1; DROP TABLE objects", 7, "found 'DROP'"),
        ("a = ${b}", 4, "not supported in current context"),
        ("object HAVING connectedTickets()", 14, "The function connectedTickets at position 14 is not supported"),
        ("object HAVING inR(a=1, refType = x)", 14, "takes no types of references"),
        ("Group HAVING inR()", 0, "Only object HAVING inR can be asked"),
        ("a = 1\0", 5, "that no text can have"),
        ('a = "\ud800"', 5, "that no text can have"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, column: int, message: str) -> None:
    with pytest.raises(AqlError) as refusal:
        parse_aql(text)
    assert refusal.value.column == column
    assert refusal.value.metadata == {"column": str(column)}
    assert message in refusal.value.message


@pytest.mark.parametrize(
    ("text", "column"),
    [("Name = ${}", 8), ("Name = ${ }", 7), ('Name = "x${os}"', 7), ('Name = "${a}${b}"', 7), ("${a} = 1", 1)],
)
def test_a_placeholder_is_a_whole_value_with_a_name(text: str, column: int) -> None:
    with pytest.raises(AqlError) as refusal:
        parse_aql(text, placeholders=True)
    assert refusal.value.column == column


def test_a_syntax_error_quotes_the_query_as_far_as_it_is_short() -> None:
    with pytest.raises(AqlError, match=r'^AQL "a = " has invalid syntax at position 4 with error message "it ends'):
        parse_aql("a = ")
    with pytest.raises(AqlError) as refusal:
        parse_aql("a = 1 " * 1000)
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" * 10_001, "longer than 10000 characters"),
        ("(" * 51 + "a=1" + ")" * 51, "nested more than 50 deep"),
        ("NOT " * 51 + "a=1", "nested more than 50 deep"),
        ("NOT (" * 26 + "a=1" + ")" * 26, "nested more than 50 deep"),
        ("object HAVING inR(" * 51 + "a=1" + ")" * 51, "nested more than 50 deep"),
        (f"a IN ({','.join(['1'] * 1001)})", "more than 1000 values"),
        (" OR ".join(["a=1"] * 501), "more than 500 attributes"),
        (" OR ".join(["a.b.c.d.e=1"] * 101), "more than 500 attributes"),
        (".".join(["a"] * 11) + "=1", "more than 10 names"),
    ],
)
def test_a_query_is_bounded(text: str, message: str) -> None:
    with pytest.raises(AqlError, match=message):
        parse_aql(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50 + "a=1" + ")" * 50,
        "NOT " * 50 + "a=1",
        f"a IN ({','.join(['1'] * 1000)})",
        " OR ".join(["a=1"] * 500),
        ".".join(["a"] * 10) + "=1",
        f'a = "{"x" * 9_000}"',
    ],
)
def test_up_to_the_bounds_it_is_read(text: str) -> None:
    assert parse_aql(text).condition is not None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        ")" * 10_000,
        "NOT " * 2_500,
        '"' * 9_999,
        '\\"' * 5_000,
        'a = "' + "\\" * 9_995,
        "a = '" + "\\'" * 4_900,
        "${" * 5_000,
        "a=" * 5_000,
        "a in (" * 1_666,
        "object having inR(" * 555,
        "a." * 5_000,
        "order " * 1_666,
        "a = now(" * 1_250,
        "a = " + "now(" * 2_000,
        "\u202e" * 10_000,
        "a=1 order by " + " " * 9_900,
    ],
)
def test_hostile_texts_are_refused_at_once(text: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(AqlError):
        parse_aql(text)
    assert time.perf_counter() - begin < 1


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
PATHS = st.lists(NAMES.filter(lambda text: text.isprintable()), min_size=1, max_size=3).map(tuple)
FUNCTIONS = st.builds(Function, st.sampled_from(["now", "user", "x_1"]), st.lists(TEXTS, max_size=2).map(tuple))
PLACEHOLDERS = st.builds(
    Placeholder, TEXTS.filter(lambda text: text.strip() == text != "" and not {"{", "}"} & set(text))
)
VALUES = st.one_of(TEXTS.filter(lambda text: "${" not in text), FUNCTIONS, PLACEHOLDERS)
SINGLE = [each for each in Operator if each.value not in {"IN", "NOT IN", "IS EMPTY", "IS NOT EMPTY"}]
COMPARISONS = st.one_of(
    st.builds(Comparison, PATHS, st.sampled_from(SINGLE), st.tuples(VALUES)),
    st.builds(Comparison, PATHS, st.sampled_from([Operator.EMPTY, Operator.NOT_EMPTY])),
    st.builds(
        Comparison,
        PATHS,
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.lists(VALUES, min_size=1, max_size=4).map(tuple),
    ),
)


def compound(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    having = st.builds(Having, st.sampled_from(Direction), st.none() | inner)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, inner), having)


QUERIES = st.builds(
    Query,
    st.none() | st.recursive(COMPARISONS, compound, max_leaves=8),
    st.none() | st.builds(Order, PATHS, st.booleans()),
)


@given(QUERIES)
def test_a_tree_is_read_from_its_own_text(query: Query) -> None:
    assert parse_aql(write_query(query), placeholders=True) == query


@given(st.text(max_size=60) | st.text("ab.,=!<>()\"'\\${} NOTIRDEByandilkes", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    column = 0
    try:
        query = parse_aql(text)
    except AqlError as error:
        column = error.column
    else:
        assert parse_aql(write_query(query)) == query
    assert 0 <= column <= len(text)
