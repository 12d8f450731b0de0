"""The counters of an object type, as they stand in `import_progress.entities` by its id.

The words of Atlassian's execution status for them: objectsCreated, objectsUpdated, objectsIdentical,
objectsMissingUpdated, objectsMissingDeleted, entriesInSource, duplicateEnries, emptyLabelEntries,
emptyExternalIdEntries, objectsFilteredWithQlQuery, objectsWithUpdatedReferences, errorCount.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from types import MappingProxyType

from services.importer.engine.progress import OF_TYPE
from services.importer.engine.target import Tally
from services.importer.targets.objects.records import SkipReason

# Errors of an item of which nobody knows what it would have become.
NO_TYPE = 0
# Different messages of a type, of all types together, and characters of one. Progress is written by the second.
MOST_OF_TYPE, MOST_MESSAGES, LONGEST_MESSAGE = 10, 200, 300


class Counter(StrEnum):
    """`not_found` are references whose object there is not; Atlassian counts no such thing."""

    CREATED = "created"
    UPDATED = "updated"
    IDENTICAL = "identical"
    MISSING_UPDATED = "missing_updated"
    MISSING_DELETED = "missing_deleted"
    ENTRIES = "entries"
    DUPLICATES = "duplicates"
    EMPTY_LABELS = "empty_labels"
    EMPTY_KEYS = "empty_keys"
    FILTERED = "filtered"
    UPDATED_REFERENCES = "updated_references"
    NOT_FOUND = "not_found"
    ERRORS = "errors"


BY_REASON = MappingProxyType(
    {
        SkipReason.FILTERED: Counter.FILTERED,
        SkipReason.IDENTIFIER_EMPTY: Counter.EMPTY_KEYS,
        SkipReason.LABEL_EMPTY: Counter.EMPTY_LABELS,
    }
)


@cache
def name_of(type_id: int, counter: Counter) -> str:
    """Of the tally's entities."""
    return f"{type_id}{OF_TYPE}{counter}"


def count(tally: Tally, type_id: int, counter: Counter, number: int = 1) -> None:
    """Adds to a counter."""
    name = name_of(type_id, counter)
    tally.entities[name] = tally.entities.get(name, 0) + number


def counted(tally: Tally, type_id: int, counter: Counter) -> int:
    """What a counter says."""
    return tally.entities.get(name_of(type_id, counter), 0)


def tell(tally: Tally, type_id: int, code: str, message: str) -> None:
    """Keeps what was wrong with an entry of a type, while there is room: the first of what differs."""
    told = [code, message[:LONGEST_MESSAGE]]
    kept = tally.messages.get(str(type_id), [])
    if told in kept or len(kept) >= MOST_OF_TYPE or sum(map(len, tally.messages.values())) >= MOST_MESSAGES:
        return
    tally.messages[str(type_id)] = [*kept, told]
