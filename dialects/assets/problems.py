"""What is wrong with a schema and mapping, and the error that tells of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import InvalidArgument

PROBLEMS = "data_validation_errors"
"""Metadata of the error: JSON, as the envelope shows it."""
MOST_SHOWN = 10
"""An answer has 4 KB for all of its errors."""
LONGEST_SHOWN = 150


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` is stable; `path` is where in the document (`schema.objectSchema.objectTypes[0].name`)."""

    code: str
    path: str
    message: str


def invalid_mapping(problems: Sequence[Problem], reason: str = "INVALID_MAPPING") -> InvalidArgument:
    """At least one of them. The message is that of the first one, and how many more there are."""
    first = problems[0]
    more = f" There are {len(problems) - 1} more." if len(problems) > 1 else ""
    shown = [
        {"code": each.code, "path": each.path[-LONGEST_SHOWN:], "message": each.message[:LONGEST_SHOWN]}
        for each in problems[:MOST_SHOWN]
    ]
    return InvalidArgument(
        reason,
        f"{first.path or 'The document'}: {first.message}{more}",
        field=first.path[-LONGEST_SHOWN:],
        **{PROBLEMS: json.dumps(shown)},
    )
