"""What the body of a piece of data says about itself, read while it passes: its id, and whether it is the last one.

`{"data": {…}, "clientGeneratedId": "…", "completed": true}`, with the members in any order and `data` of any size: it
is passed over without being kept. The grammar of the outer object is held to; of what is nested, strings and brackets
are followed, and the rest is left to the parser, which reads the stored body later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

import msgspec

from runtime.errors import InvalidArgument

LONGEST_TOKEN = 64 * 1024
"""Of a name, and of a value that is neither object nor array; of what is longer, no memory would be enough."""
LONGEST_ID = 255
SLICE = 64 * 1024
"""Nested bytes are looked at in slices, so that the last one, which is read byte by byte, is short."""

DATA, ID, COMPLETED = "data", "clientGeneratedId", "completed"

SPACE = re.compile(rb"[ \t\r\n]*")
STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
SCALAR = re.compile(rb"(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?=[ \t\r\n,}])")
MARKS = re.compile(rb'["\\{}\[\]]')
OPENING, CLOSING = b"{[", b"}]"
DEPTHS = tuple(1 if code in OPENING else -1 for code in range(256))
NOT_BRACKETS = bytes(code for code in range(256) if code not in OPENING + CLOSING)


@dataclass(frozen=True, slots=True)
class Said:
    """What a body says. `chunk_id` is empty where it says none."""

    chunk_id: str
    is_completed: bool
    has_data: bool


class Place(Enum):
    """What comes next in the outer object."""

    START = "{"
    FIRST_NAME = "a name or }"
    NAME = "a name"
    COLON = ":"
    VALUE = "a value"
    NESTED = "the end of a nested value"
    COMMA = ", or }"
    END = "nothing more"


class DataBody:
    """Takes a body piece by piece, and holds no more of it than LONGEST_TOKEN and SLICE."""

    def __init__(self) -> None:
        self._place = Place.START
        self._buffer = b""
        self._name = ""
        self._nesting = Nesting()
        self._values: dict[str, object] = {}
        self._seen: set[str] = set()
        self._enough = 0

    def add(self, piece: bytes) -> None:
        """Raises InvalidArgument: INVALID_JSON as soon as this cannot be such a body, INVALID_DATA for a member."""
        self._buffer += piece
        if len(self._buffer) >= self._enough:
            self._read()

    def finish(self) -> Said:
        """What it said. Raises InvalidArgument when it has ended too early."""
        self._read()
        if self._place is not Place.END:
            raise bad_json("it ends too early")
        chunk_id, is_completed = self._values.get(ID), self._values.get(COMPLETED)
        if chunk_id is not None and (not isinstance(chunk_id, str) or not 1 <= len(chunk_id) <= LONGEST_ID):
            raise bad_member(ID, f"{ID} must be a text of 1 to {LONGEST_ID} characters.")
        if isinstance(chunk_id, str) and "\0" in chunk_id:
            raise bad_member(ID, f"{ID} must not contain a NUL character.")
        if is_completed is not None and not isinstance(is_completed, bool):
            raise bad_member(COMPLETED, f"{COMPLETED} must be true or false.")
        return Said(chunk_id or "", bool(is_completed), has_data=DATA in self._seen and DATA not in self._values)

    def _read(self) -> None:
        self._enough = 0
        while self._step():
            pass

    def _step(self) -> bool:
        """One token, or one slice of what is nested. False when more bytes are needed."""
        if self._place is Place.NESTED:
            return self._pass_over()
        self._buffer = self._buffer[SPACE.match(self._buffer).end() :]  # type: ignore[union-attr]
        if not self._buffer:
            return False
        match self._place:
            case Place.END:
                raise bad_json("something follows its end")
            case Place.FIRST_NAME | Place.NAME:
                return self._read_name()
            case Place.VALUE:
                return self._read_value()
            case _:
                self._read_mark()
        return True

    def _read_mark(self) -> None:
        following = {
            (Place.START, b"{"): Place.FIRST_NAME,
            (Place.COLON, b":"): Place.VALUE,
            (Place.COMMA, b","): Place.NAME,
            (Place.COMMA, b"}"): Place.END,
        }.get((self._place, self._buffer[:1]))
        if following is None:
            raise bad_json(f"{self._place.value} is missing")
        self._place, self._buffer = following, self._buffer[1:]

    def _read_name(self) -> bool:
        if self._place is Place.FIRST_NAME and self._buffer[:1] == b"}":
            self._place, self._buffer = Place.END, self._buffer[1:]
            return True
        if self._buffer[:1] != b'"':
            raise bad_json(f"{self._place.value} is missing")
        token = self._token(STRING)
        if token is None:
            return False
        self._name = str(decoded(token))
        if self._name in {DATA, ID, COMPLETED}:
            if self._name in self._seen:
                raise bad_member(self._name, f"{self._name} stands there twice.")
            self._seen.add(self._name)
        self._place = Place.COLON
        return True

    def _read_value(self) -> bool:
        if self._buffer[:1] in {b"{", b"["}:
            if self._name in {ID, COMPLETED} or (self._name == DATA and self._buffer[:1] == b"["):
                kind = "an object" if self._name == DATA else "a text" if self._name == ID else "true or false"
                raise bad_member(self._name, f"{self._name} must be {kind}.")
            self._place, self._nesting = Place.NESTED, Nesting()
            return True
        token = self._token(STRING if self._buffer[:1] == b'"' else SCALAR)
        if token is None:
            return False
        value = decoded(token)
        if self._name == DATA and value is not None:
            raise bad_member(DATA, "data must be an object.")
        if self._name in {DATA, ID, COMPLETED}:
            self._values[self._name] = value
        self._place = Place.COMMA
        return True

    def _token(self, pattern: re.Pattern[bytes]) -> bytes | None:
        """The token that the buffer begins with; None while it may still be incomplete."""
        found = pattern.match(self._buffer)
        if found is not None:
            self._buffer = self._buffer[found.end() :]
            return found.group()
        if len(self._buffer) > LONGEST_TOKEN:
            raise bad_json(f"a name or a value has more than {LONGEST_TOKEN} bytes")
        if pattern is SCALAR and re.search(rb"[ \t\r\n,}]", self._buffer) is not None:
            raise bad_json("a value is none")
        if pattern is STRING and re.search(rb"[\x00-\x1f]", self._buffer) is not None:
            raise bad_json("a text is none")
        # A token that comes byte by byte is not looked at anew with each of them.
        self._enough = min(2 * len(self._buffer), LONGEST_TOKEN + 1)
        return None

    def _pass_over(self) -> bool:
        if not self._buffer:
            return False
        end = self._nesting.add(self._buffer[:SLICE])
        if end is None:
            self._buffer = self._buffer[SLICE:]
            return True
        self._place, self._buffer = Place.COMMA, self._buffer[end:]
        return True


class Nesting:
    """Finds the end of an object or array that begins with the first byte."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False

    def add(self, piece: bytes) -> int | None:
        """Where behind its last byte the piece goes on; None while it has not ended."""
        if self._depth and not self._may_end(piece):
            return None
        return self._find_end(piece)

    def _may_end(self, piece: bytes) -> bool:
        """Whether all brackets are closed somewhere in the piece. Where not, the piece is done with.

        Without a loop over its bytes: a body of 64 MiB would hold up everybody else.
        """
        text = piece[1:] if self._is_escaped else piece
        backslashes = len(text) - len(text.rstrip(b"\\"))
        is_escaped = backslashes % 2 == 1
        clean = (text[:-1] if is_escaped else text).replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = clean.split(b'"')
        brackets = b"".join(parts[self._is_in_string :: 2]).translate(None, NOT_BRACKETS)
        depths = list(accumulate((DEPTHS[each] for each in brackets), initial=self._depth))
        if min(depths) <= 0:
            return True
        self._depth, self._is_escaped = depths[-1], is_escaped
        self._is_in_string ^= len(parts) % 2 == 0
        return False

    def _find_end(self, piece: bytes) -> int | None:
        at = int(self._is_escaped)
        self._is_escaped = False
        while found := MARKS.search(piece, at):
            mark, at = found.group(), found.end()
            if mark == b"\\":
                self._is_escaped = at == len(piece)
                at += 1
            elif mark == b'"':
                self._is_in_string = not self._is_in_string
            elif not self._is_in_string:
                self._depth += 1 if mark in OPENING else -1
                if self._depth == 0:
                    return at
        return None


def decoded(token: bytes) -> object:
    """Raises InvalidArgument for what is no text, such as half of a surrogate pair."""
    try:
        value: object = msgspec.json.decode(token)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_json("a name or a value is none") from None
    return value


def bad_json(why: str) -> InvalidArgument:
    return InvalidArgument("INVALID_JSON", f"The body is not a JSON object: {why}.")


def bad_member(name: str, message: str) -> InvalidArgument:
    return InvalidArgument("INVALID_DATA", message, field=name)
