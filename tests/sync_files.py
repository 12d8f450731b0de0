"""Sync files (cc5) of any content, right and wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

FAMILY_COLUMNS = ("entityId: string", "name: string", "status: string", "familySize: number", "disabled: bool")


def sync_file(
    rows: Iterable[str],
    *,
    workspace: str,
    bucket: str,
    entity_type: str = "wks_family",
    data_source: str = "cc-family",
    keys: Sequence[str] = ("entityId",),
    columns: Sequence[str] = FAMILY_COLUMNS,
    footer: str | None = None,
    reference: str = "ref-0001",
) -> str:
    """The rows between a header and a right footer, or another `footer`; empty: none."""
    body = list(rows)
    head = [
        f"00|AGENCY01|cc5|20260102030405|{reference}",
        f"01|{entity_type}|{workspace}|{bucket}|{data_source}|upsert",
        "|".join(("02", *keys)),
        "|".join(("03", *columns)),
    ]
    counted = sum(row.startswith(("10|", "90|")) for row in body)
    last = f"99|{counted}" if footer is None else footer
    return "\n".join([*head, *body, *([last] if last else [])]) + "\n"


def family(number: int | str, name: str = "Garcia", status: str = "new", size: str = "3", disabled: str = "0") -> str:
    """A row 10 of FAMILY_COLUMNS."""
    return f"10|F{number}|{name}|{status}|{size}|{disabled}"
