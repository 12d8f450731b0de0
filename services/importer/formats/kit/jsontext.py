"""The text of one JSON document of any size, read value by value; no more of it is held than the value being read.

The standard library's C scanner decodes a value that is whole in the buffer. Where it stops because the buffer ends,
as much again is read and the value is decoded anew, so each character is decoded about twice at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from services.importer.formats.kit.encoding import Note, Utf8Blocks, tidy_text
from services.importer.formats.kit.format import ByteStream, DamagedFile, Position
from services.importer.formats.kit.values import clean

DEPTH_LIMIT = 256
# In characters; and a value may not consist of more than so many, which take far more memory than their text.
RECORD_LIMIT = 64 << 20
VALUE_LIMIT = 4_000_000

_BUFFER_CHARACTERS = 256 << 10
_FEW_CHARACTERS = 1 << 20

# Numbers stay as they are written: no limit on digits, no infinity, and text is what formats want of them.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda _: None, strict=False)

_SPACES = " \t\r\n"
_SPACE = re.compile(f"[{_SPACES}]*+")
# Most names are like this: without escapes, and whole in the buffer.
_PLAIN_NAME = re.compile(f'[{_SPACES}]*+"([^"\\\\]*+)"[{_SPACES}]*+:')
# What may stand at the end of a buffer and become a value, number or escape when more comes.
_BEGINNING = re.compile(r"|t[ru]{0,2}|f[als]{0,3}|n[ul]{0,2}|Na?|-?(?:I[a-z]{0,6})?|[.eE][+-]?\d*|u[0-9A-Fa-f]{0,4}")
_BEGINNING_CHARACTERS = 16
_IN_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_BETWEEN_BRACKETS = re.compile(r'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+', re.DOTALL)
_CLOSING = {"[": "]", "{": "}"}
# NUL, and halves of surrogate pairs.
_UNFIT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89A-Fa-f])")


class JsonText:
    """A place in the text of a document. `path` is what a position says besides the line; its reader sets it.

    Raises `DamagedFile`: `TRUNCATED`, `MALFORMED_JSON`, `TOO_DEEP`, `RECORD_TOO_LARGE`.
    """

    def __init__(self, stream: ByteStream, decoder: json.JSONDecoder = _DECODER) -> None:
        self._decoder = decoder
        self._source = Utf8Blocks(stream)
        self._parts: Iterator[str] = map(self._decoded, self._source)
        self.notes: list[Note] = self._source.notes
        self.path = ""
        self._text, self._at = "", 0
        self._line, self._counted = 1, 0
        self._left_behind = 0

    @property
    def head(self) -> bytes:
        """How the input begins, once anything was read."""
        return self._source.head

    def line(self) -> int:
        """The line of the place, from 1."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def offset(self) -> int:
        """Characters before the place."""
        return self._left_behind + self._at

    def peek(self) -> str:
        """The next character that is not white space; "" at the end of the input."""
        while True:
            character = self._text[self._at : self._at + 1]
            if character in _SPACES:
                self._at = _end(_SPACE, self._text, self._at)
                character = self._text[self._at : self._at + 1]
            if character or not self._read_on():
                return character

    def take(self, *accepted: str) -> str:
        """Pass over the next character, which must be one of these."""
        character = self._text[self._at : self._at + 1]
        if character in accepted:
            self._at += 1
            return character
        character = self.peek()
        if not character:
            self._refuse_cut()
        if character not in accepted:
            self._refuse("MALFORMED_JSON", f"The document is not valid JSON: {' or '.join(accepted)} is missing.")
        self._at += 1
        return character

    def name(self) -> str:
        """The name of a member, with the colon behind it, passed over."""
        if plain := _PLAIN_NAME.match(self._text, self._at):
            self._at = plain.end()
            return plain[1]
        if self.peek() != '"':
            self.take('"')
        name: str = self.value()
        self.take(":")
        return name

    def value(self) -> Any:
        """The value that begins here: dict, list, str, bool or None; a number is a str, unless `decoder` makes more."""
        opening = self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                self._grow(error)
            except RecursionError:
                self._refuse_depth()
            else:
                # A number at the end of the buffer may go on in what follows.
                if opening in '"[{' or not self._is_beginning(end):
                    break
                self._read_on_or_refuse(len(self._text) - self._at)
        # With no more brackets than levels there is nothing to look for.
        brackets = self._text.count("[", self._at, end) + self._text.count("{", self._at, end)
        if brackets > DEPTH_LIMIT and _is_too_deep(value):
            self._refuse_depth()
        if self._text.find("\\u", self._at, end) >= 0 and _UNFIT_ESCAPE.search(self._text, self._at, end):
            value = self._cleaned(value)
        self._at = end
        return value

    def skip(self) -> None:
        """Pass over the value that begins here; where it is large, only its brackets and strings are looked at."""
        opening = self.peek()
        if opening == '"':
            self._skip_string()
        elif opening not in _CLOSING:
            self.value()
        else:
            try:
                _, self._at = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._is_unfinished(error):
                    self._refuse_syntax(error)
                self._skip_container()
            except RecursionError:
                self._skip_container()

    def _skip_container(self) -> None:
        awaited: list[str] = []
        while True:
            self._at = _end(_BETWEEN_BRACKETS, self._text, self._at)
            if self._at == len(self._text):
                self._read_on_or_refuse()
                continue
            character = self._text[self._at]
            if character == '"':
                self._skip_string()
                continue
            if character in _CLOSING:
                awaited.append(_CLOSING[character])
                if len(awaited) > DEPTH_LIMIT:
                    self._refuse_depth()
            elif awaited.pop() != character:
                self._refuse("MALFORMED_JSON", "The document is not valid JSON: its brackets do not match.")
            self._at += 1
            if not awaited:
                return

    def _skip_string(self) -> None:
        self._at += 1
        while True:
            self._at = _end(_IN_STRING, self._text, self._at)
            if self._text.startswith('"', self._at):
                self._at += 1
                return
            # The end, or a backslash before it.
            self._read_on_or_refuse()

    def _grow(self, error: json.JSONDecodeError) -> None:
        """Read as much again, when that is what the value lacks."""
        if not self._is_unfinished(error):
            self._refuse_syntax(error)
        pending = len(self._text) - self._at
        if pending > RECORD_LIMIT:
            self._refuse("RECORD_TOO_LARGE", f"A record has more than {RECORD_LIMIT} characters.")
        if pending > _FEW_CHARACTERS and sum(self._text.count(sign, self._at) for sign in ",[{") > VALUE_LIMIT:
            self._refuse("RECORD_TOO_LARGE", f"A record has more than {VALUE_LIMIT} values.")
        self._read_on_or_refuse(pending)

    def _is_unfinished(self, error: json.JSONDecodeError) -> bool:
        """Did the scanner stop only because the buffer ends?"""
        if error.msg.startswith("Unterminated string"):
            return True
        return self._is_beginning(error.pos)

    def _is_beginning(self, at: int) -> bool:
        """Is all that is left of the buffer the beginning of something?"""
        rest = self._text[at : at + _BEGINNING_CHARACTERS + 1]
        return len(rest) <= _BEGINNING_CHARACTERS and _BEGINNING.fullmatch(rest.strip()) is not None

    def _read_on(self, characters: int = 0) -> bool:
        """Let go of what is behind the place and read at least this much more; False when there is nothing more."""
        self.line()
        parts, wanted = [self._text[self._at :]], max(characters, _BUFFER_CHARACTERS)
        for part in self._parts:
            parts.append(part)
            wanted -= len(part)
            if wanted <= 0:
                break
        left = len(parts[0])
        self._left_behind += self._at
        self._text, self._at, self._counted = "".join(parts), 0, 0
        return len(self._text) > left

    def _read_on_or_refuse(self, characters: int = 0) -> None:
        if not self._read_on(characters):
            self._refuse_cut()

    def _decoded(self, block: bytes) -> str:
        text = tidy_text(block)
        return self._source.mend(block).decode("utf-8") if text is None else text

    def _cleaned(self, value: Any) -> Any:
        fit = _fit(value)
        if fit != value:
            message = "Characters that no text can have (NUL, halves of surrogate pairs) were replaced by U+FFFD."
            self.notes.append(Note("INVALID_TEXT", message))
        return fit

    def _refuse_cut(self) -> NoReturn:
        self._at = len(self._text)
        self._refuse("TRUNCATED", "The file ends in the middle of the document.")

    def _refuse_syntax(self, error: json.JSONDecodeError) -> NoReturn:
        self._at = error.pos
        self._refuse("MALFORMED_JSON", f"The document is not valid JSON: {error.msg.rstrip(' :')}.")

    def _refuse_depth(self) -> NoReturn:
        self._refuse("TOO_DEEP", f"Values are nested more than {DEPTH_LIMIT} deep.")

    def _refuse(self, code: str, message: str) -> NoReturn:
        raise DamagedFile(code, message, Position(self.line(), 0, self.path)) from None


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where the match ends of a pattern that always matches."""
    found = pattern.match(text, at)
    return found.end() if found else at


def _is_too_deep(value: Any) -> bool:
    """Are containers nested in this value beyond the limit? Level by level, since the stack has a limit of its own."""
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for container in level
            for inner in (container.values() if container.__class__ is dict else container)
            if inner.__class__ is dict or inner.__class__ is list
        ]
        if not level:
            return False
    return True


def _fit(value: Any) -> Any:
    """The value with clean texts; no deeper than the limit."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_fit(each) for each in value]
    if isinstance(value, dict):
        return {clean(name): _fit(each) for name, each in value.items()}
    return value
