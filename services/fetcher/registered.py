"""Sources of kinds that an operator has added: readers, which are Python packages installed beside the fetcher.

A reader is registered under its name as an entry point of the group `hythe.readers`. It is called with the options of
the source, its secrets and a client for HTTP, and gives rows as mappings, by and by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from dialects.assets.source_settings import CustomSettings, Secrets
from services.fetcher.failures import SourceError
from services.fetcher.http import Http
from services.fetcher.way import Way

GROUP = "hythe.readers"

Reader = Callable[[Mapping[str, Any], Mapping[str, str], Http], Iterable[Any]]


def read(settings: CustomSettings, secrets: Secrets, way: Way) -> Iterator[Mapping[str, Any]]:
    """What the reader gives. Raises SourceError READER_UNKNOWN, or READER_INVALID for what is no row."""
    reader = registered(settings.reader)
    with Http(way) as http:
        for number, row in enumerate(reader(settings.options, secrets.values, http), start=1):
            if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
                raise SourceError("READER_INVALID", f"Row {number} of the reader is no mapping of names to values.")
            yield row


def registered(name: str) -> Reader:
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise SourceError("READER_UNKNOWN", f'No reader is installed under the name "{name}".')
    reader: Reader = next(iter(found)).load()
    return reader
