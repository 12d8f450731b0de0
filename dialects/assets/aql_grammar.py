"""The grammar of AQL, and what is made of its rules while it is read.

Which token can come next depends on where the reader is: behind a comparison a bare word is a value, whatever it says;
in front of one it is a name, which has no dots. Only keywords that could stand where a name can are reserved: NOT, and
ORDER followed by BY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from lark import Token, Transformer, v_args

from dialects.assets.aql_tree import (
    AQL_UNSUPPORTED,
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
    Path,
    Placeholder,
    Query,
    Value,
)

DEEPEST = 50
MOST_VALUES = 1_000
LONGEST_PATH = 10
MOST_STEPS = 500
"""Comparisons, each counted as often as its path has names: every name behind a dot is a join."""

GRAMMAR = r"""
query: [condition] [order]
order: ORDERBY path [ASC | DESC]

?condition: conjunction | conjunction (_OR conjunction)+ -> either
?conjunction: term | term (_AND term)+ -> both
?term: NOT term -> negated
    | LPAR condition ")" -> group
    | clause
?clause: path COMPARE value -> compared
    | path [NOT] (LIKE | STARTSWITH | ENDSWITH) value -> matched
    | path [NOT] _IN values -> listed
    | path _IS [NOT] _EMPTY -> emptied
    | path [NOT] HAVING NAME "(" (condition ("," condition)?)? ")" -> having

path: (NAME | STRING) ("." (NAME | STRING))*
?values: "(" value ("," value)* ")" -> several
    | function -> several
    | placeholder -> several
?value: WORD -> word
    | STRING -> text
    | placeholder
    | function
placeholder: PLACEHOLDER
function: WORD "(" [argument ("," argument)*] ")"
argument: (WORD | STRING)+

ORDERBY.2: /order\s+by(?![\w-])/i
ASC.2: /asc(?![\w-])/i
DESC.2: /desc(?![\w-])/i
_AND.2: /and(?![\w-])/i
_OR.2: /or(?![\w-])/i
NOT.2: /not(?![\w-])/i
_IN.2: /in(?![\w-])/i
_IS.2: /is(?![\w-])/i
_EMPTY.2: /empty(?![\w-])/i
LIKE.2: /like(?![\w-])/i
STARTSWITH.2: /startswith(?![\w-])/i
ENDSWITH.2: /endswith(?![\w-])/i
HAVING.2: /having(?![\w-])/i
COMPARE: /==|!=|<=|>=|=|<|>/
LPAR: "("
NAME: /[^\s()=!<>,."'“”„{}\\]+/
WORD: /[^\s()=!<>,"'“”„{}\\][^\s()=!<>,"“”„{}\\]*/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
PLACEHOLDER.2: /\$\{[^{}]+\}/
%ignore /\s+/
"""

TOKENS = {
    "$END": "the end",
    "ORDERBY": "ORDER BY",
    "COMPARE": "'='",
    "NAME": "a name",
    "WORD": "a value",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "DOT": "'.'",
    "STRING": "",
    "PLACEHOLDER": "",
}
"""What an error calls a token, where not by its own name; nothing for those that another one stands for."""

ESCAPED = re.compile(r"""\\(["'\\])""")
REFERENCES = {
    "inboundreferences": Direction.INBOUND,
    "inr": Direction.INBOUND,
    "outboundreferences": Direction.OUTBOUND,
    "outr": Direction.OUTBOUND,
}
NEGATED = {
    Operator.LIKE: Operator.NOT_LIKE,
    Operator.STARTS_WITH: Operator.NOT_STARTS_WITH,
    Operator.ENDS_WITH: Operator.NOT_ENDS_WITH,
}


class _Names(NamedTuple):
    """A path, and where it begins."""

    path: Path
    column: int


class _Part(NamedTuple):
    """A condition, how deep its text is nested, and how much there is to compare."""

    condition: Condition
    depth: int
    steps: int


@v_args(inline=True)
class Builder(Transformer[Token, Query]):
    """Its methods are the rules, called as soon as each is read: no tree of tokens is built, and nothing recurses."""

    def __init__(self, *, placeholders: bool) -> None:
        super().__init__()
        self._placeholders = placeholders

    def query(self, part: _Part | None, order: Order | None) -> Query:
        if part and part.steps > MOST_STEPS:
            raise AqlError(f"The query compares more than {MOST_STEPS} attributes.", 0)
        return Query(part.condition if part else None, order)

    def order(self, keyword: Token, names: _Names, direction: Token | None) -> Order:
        return Order(names.path, direction is not None and direction.type == "DESC", names.column)

    def either(self, *parts: _Part) -> _Part:
        return _joined(Or(tuple(part.condition for part in parts)), parts)

    def both(self, *parts: _Part) -> _Part:
        return _joined(And(tuple(part.condition for part in parts)), parts)

    def negated(self, keyword: Token, part: _Part) -> _Part:
        return _Part(Not(part.condition), _deeper(part.depth, keyword), part.steps)

    def group(self, parenthesis: Token, part: _Part) -> _Part:
        return part._replace(depth=_deeper(part.depth, parenthesis))

    def compared(self, names: _Names, sign: Token, value: Value) -> _Part:
        return _compare(names, Operator(sign.value), value)

    def matched(self, names: _Names, negation: Token | None, keyword: Token, value: Value) -> _Part:
        operator = Operator(keyword.value.upper())
        return _compare(names, NEGATED[operator] if negation else operator, value)

    def listed(self, names: _Names, negation: Token | None, values: tuple[Value, ...]) -> _Part:
        if len(values) > MOST_VALUES:
            raise AqlError(f"The list at position {names.column} has more than {MOST_VALUES} values.", names.column)
        return _compare(names, Operator.NOT_IN if negation else Operator.IN, *values)

    def emptied(self, names: _Names, negation: Token | None) -> _Part:
        return _compare(names, Operator.NOT_EMPTY if negation else Operator.EMPTY)

    def having(
        self, names: _Names, negation: Token | None, keyword: Token, function: Token, *arguments: _Part
    ) -> _Part:
        direction = REFERENCES.get(function.lower())
        column = _column(function)
        if direction is None:
            raise AqlError(f"The function {function} at position {column} is not supported.", column, AQL_UNSUPPORTED)
        if len(arguments) > 1:
            raise AqlError(f"{function} at position {column} takes no types of references.", column, AQL_UNSUPPORTED)
        if tuple(map(str.lower, names.path)) != ("object",):
            raise AqlError(f"Only object HAVING {function} can be asked, not of an attribute.", names.column)
        inner = arguments[0] if arguments else None
        found: Condition = Having(direction, inner.condition if inner else None)
        depth, steps = (inner.depth, inner.steps + 1) if inner else (0, 1)
        return _Part(Not(found) if negation else found, _deeper(depth, function), steps)

    def path(self, *tokens: Token) -> _Names:
        column = _column(tokens[0])
        if len(tokens) > LONGEST_PATH:
            raise AqlError(f"The path at position {column} has more than {LONGEST_PATH} names.", column)
        return _Names(tuple(unquoted(token) if token.type == "STRING" else str(token) for token in tokens), column)

    def several(self, *values: Value) -> tuple[Value, ...]:
        return values

    def word(self, token: Token) -> Value:
        return str(token)

    def text(self, token: Token) -> Value:
        """In the query of a mapping, a placeholder may be in quotes, which it has by itself anyway."""
        text = unquoted(token)
        if not self._placeholders or "${" not in text:
            return text
        if text.startswith("${") and text.endswith("}") and text.count("{") == text.count("}") == 1:
            return self._placeholder(text, _column(token))
        column = _column(token)
        raise AqlError(f"The text at position {column} has a placeholder and something else.", column)

    def placeholder(self, token: Token) -> Value:
        return self._placeholder(token, _column(token))

    def function(self, name: Token, *arguments: str | None) -> Value:
        return Function(name.lower(), tuple(argument for argument in arguments if argument is not None))

    def argument(self, *tokens: Token) -> str:
        """Words that are not parted by a comma are one argument, as in now(-2h 15m)."""
        return " ".join(unquoted(token) if token.type == "STRING" else token for token in tokens)

    def _placeholder(self, text: str, column: int) -> Placeholder:
        if not self._placeholders:
            raise AqlError(f"Placeholder at position {column} is not supported in current context.", column)
        locator = text[2:-1].strip()
        if not locator:
            raise AqlError(f"The placeholder at position {column} names nothing.", column)
        return Placeholder(locator)


def unquoted(token: str) -> str:
    """The text of a string as it is written."""
    return ESCAPED.sub(r"\1", token[1:-1])


def _compare(names: _Names, operator: Operator, *values: Value) -> _Part:
    return _Part(Comparison(names.path, operator, values, names.column), 0, len(names.path))


def _joined(condition: Condition, parts: Iterable[_Part]) -> _Part:
    parts = tuple(parts)
    return _Part(condition, max(part.depth for part in parts), sum(part.steps for part in parts))


def _deeper(depth: int, token: Token) -> int:
    if depth >= DEEPEST:
        column = _column(token)
        raise AqlError(f"What begins at position {column} is nested more than {DEEPEST} deep.", column)
    return depth + 1


def _column(token: Token) -> int:
    return token.start_pos or 0
