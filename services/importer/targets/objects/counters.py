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
