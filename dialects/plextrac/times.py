"""Points in time as PlexTrac writes them: numbers of milliseconds in most objects, ISO 8601 texts in a few."""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def epoch_ms_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else epoch_ms(moment)


def iso_or_none(moment: datetime | None) -> str | None:
    """With milliseconds and Z, as in `2025-05-15T16:02:00.232Z`."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
