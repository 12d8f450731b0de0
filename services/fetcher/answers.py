"""Answers in JSON, read as they come: the records of an array, one by one, and the cursor of the next page.

Memory is that of one record, wherever the array stands in its document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ijson
from ijson.common import IncompleteJSONError, JSONError

from services.fetcher.failures import SourceError

DEEPEST = 64
LONGEST_TEXT = 16 << 20
OPENING = {"start_map": dict, "start_array": list}
CLOSING = frozenset({"end_map", "end_array"})


def names_of(selector: str) -> list[str]:
    """Of a dotted path; none of the document itself."""
    return [name for name in selector.split(".") if name]


class Answer:
    """One document, fed piece by piece."""

    def __init__(self, selector: str, cursor: str = "") -> None:
        self._records_at = names_of(selector)
        self._cursor_at = names_of(cursor)
        self._ready: list[Any] = []
        self._path: list[str | None] = []
        self._building: list[Any] = []
        self._names: list[str | None] = []
        self._events: Any = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events)
        self._silent_bytes = 0
        self.cursor: Any = None
        self.has_cursor = False
        """Whether the path of the cursor has led to something, be it null."""
        self.has_records = False
        """Whether the selector has led to something, be it null or an empty array."""

    def read(self, pieces: Iterable[bytes]) -> Iterator[Any]:
        """The records. Raises SourceError for what is no JSON, or has nothing at the selector."""
        try:
            for piece in pieces:
                self._parser.send(piece)
                self._refuse_length(len(piece))
                yield from self._taken()
            self._parser.close()
            yield from self._taken()
        except (IncompleteJSONError, JSONError, UnicodeDecodeError):
            raise SourceError("SOURCE_INVALID", "The answer is no JSON, or was cut off.") from None
        if not self.has_records:
            place = ".".join(self._records_at) or "the document"
            raise SourceError("RECORDS_NOT_FOUND", f'There are no records at "{place}" in the answer.')

    def _taken(self) -> Iterator[Any]:
        for event, value in self._events:
            self._take(event, value)
        del self._events[:]
        ready, self._ready = self._ready, []
        yield from ready

    def _take(self, event: str, value: Any) -> None:
        if event == "map_key":
            (self._names if self._building else self._path)[-1] = value
        elif self._building:
            self._build(event, value)
        elif event in CLOSING:
            self._path.pop()
        elif event in OPENING:
            self._open(event)
        else:
            self._scalar(value)

    def _open(self, event: str) -> None:
        if self._cursor_at and self._path == self._cursor_at:
            place = ".".join(self._cursor_at)
            raise SourceError(
                "SOURCE_INVALID", f'The cursor at "{place}" in the answer is neither a text nor a number.'
            )
        if event == "start_array" and self._path == self._records_at:
            # Its elements are the records: they stand one deeper, in an array, which has no names.
            self.has_records = True
            self._path.append(None)
        elif self._is_record() or (event == "start_map" and self._path == self._records_at):
            self.has_records = True
            self._building.append(OPENING[event]())
            self._names.append(None)
        else:
            self._path.append(None)
        self._refuse_depth()

    def _is_record(self) -> bool:
        return self._path[:-1] == self._records_at and bool(self._path) and self._path[-1] is None and self.has_records

    def _scalar(self, value: Any) -> None:
        if self._cursor_at and self._path == self._cursor_at:
            self.cursor = value
            self.has_cursor = True
        if self._path == self._records_at:
            if value is not None:
                place = ".".join(self._records_at) or "the document"
                raise SourceError("RECORDS_NOT_FOUND", f'What stands at "{place}" in the answer is no array.')
            self.has_records = True
        elif self._is_record():
            raise SourceError("SOURCE_INVALID", "A record in the answer is no object.")

    def _build(self, event: str, value: Any) -> None:
        if event in CLOSING:
            made = self._building.pop()
            self._names.pop()
            if self._building:
                self._put(made)
            else:
                self._finish(made)
        elif event in OPENING:
            self._building.append(OPENING[event]())
            self._names.append(None)
            self._refuse_depth()
        else:
            self._put(value)

    def _put(self, value: Any) -> None:
        holder = self._building[-1]
        if isinstance(holder, dict):
            holder[self._names[-1]] = value
        else:
            holder.append(value)

    def _finish(self, made: Any) -> None:
        if not isinstance(made, dict):
            raise SourceError("SOURCE_INVALID", "A record in the answer is no object.")
        self._ready.append(made)

    def _refuse_length(self, size: int) -> None:
        """The lexer begins a text anew with each piece of it: without an end, that would take for ever."""
        self._silent_bytes = 0 if self._events else self._silent_bytes + size
        if self._silent_bytes > LONGEST_TEXT:
            raise SourceError("FETCH_LIMIT", f"A text in the answer has more than {LONGEST_TEXT} bytes.")

    def _refuse_depth(self) -> None:
        if len(self._path) + len(self._building) > DEEPEST:
            raise SourceError("SOURCE_INVALID", f"The answer is nested deeper than {DEEPEST} levels.")
