"""Reads AQL: text in, a tree out, in time and memory that the length of the text bounds.

Keywords and operators are read whatever their case; a name or value with a space or a sign of the language stands in
quotes. Where Atlassian's description leaves it open: single quotes are as good as double ones, a backslash means
itself except before a quote or another one, and a query without a condition is all objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import cast

from lark import Lark, UnexpectedCharacters, UnexpectedToken

from dialects.assets.aql_grammar import GRAMMAR, TOKENS, Builder
from dialects.assets.aql_tree import AqlError, Query

LONGEST_QUERY = 10_000
LONGEST_QUOTE = 100
END = "$END"
NOT_TEXT = re.compile("[\0\ud800-\udfff]")
"""NUL and halves of surrogate pairs, which the database takes in no text."""


def parse_aql(text: str, *, placeholders: bool = False) -> Query:
    """`placeholders`: it is the query of a mapping, in which `${locator}` may stand for values.

    Raises AqlError that says where reading ended and what could have stood there.
    """
    _check_characters(text)
    try:
        return cast(Query, _parser(placeholders).parse(text))
    except UnexpectedToken as error:
        column = len(text) if error.token.type == END else error.token.start_pos or 0
        raise _unexpected(text, column, error.accepts) from None
    except UnexpectedCharacters as error:
        column = cast(int, error.pos_in_stream)
        raise _unexpected(text, column, error.allowed or ()) from None


@cache
def _parser(placeholders: bool) -> Lark:
    """Takes no state from query to query, so threads may share it."""
    return Lark(GRAMMAR, parser="lalr", start="query", transformer=Builder(placeholders=placeholders))


def _check_characters(text: str) -> None:
    if len(text) > LONGEST_QUERY:
        raise AqlError(f"The query is longer than {LONGEST_QUERY} characters.", LONGEST_QUERY)
    if wrong := NOT_TEXT.search(text):
        column = wrong.start()
        raise AqlError(f"The query has a character at position {column} that no text can have.", column)


def _unexpected(text: str, column: int, expected: Iterable[str]) -> AqlError:
    """In the words of Atlassian's parser: https://confluence.atlassian.com/x/QDvSQ."""
    words = sorted(filter(None, (TOKENS.get(name, name.lstrip("_")) for name in expected)))
    found = text[column : column + 20].split(maxsplit=1)
    what = "it ends there" if not found else f"found '{found[0]}'"
    if found and found[0][0] in "\"'":
        what = "the text in quotes does not end"
    quote = text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"
    message = f"{what}, expected {' or '.join(words)}" if words else what
    return AqlError(f'AQL "{quote}" has invalid syntax at position {column} with error message "{message}"', column)
