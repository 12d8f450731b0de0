"""What is wrong with a schema and mapping, or with an object, and the error that tells of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import InvalidArgument

PROBLEMS = "data_validation_errors"
"""Metadata of the error: JSON, as the envelope shows it."""
MOST_SHOWN = 10
"""An answer has 4 KB for all of its errors."""
MOST_ATTRIBUTES = 5
"""Of an object; each is told twice."""
LONGEST_SHOWN = 150
ATTRIBUTE = "rlabs-insight-attribute-"
"""What the paths of attributes begin with, before their numbers: clients take those off the members of `errors`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` is stable; `path` is where in the document (`schema.objectSchema.objectTypes[0].name`)."""

    code: str
    path: str
    message: str


def invalid_mapping(problems: Sequence[Problem], reason: str = "INVALID_MAPPING") -> InvalidArgument:
    """At least one of them. The message is that of the first one, and how many more there are."""
    path = problems[0].path
    return _invalid(problems, reason, path or "The document", path[-LONGEST_SHOWN:])


def invalid_object(problems: Sequence[Problem], name: str) -> InvalidArgument:
    """At least one; their paths are those of attributes. `name` is that of the first one's attribute."""
    return _invalid(problems, "INVALID_OBJECT", name, problems[0].path, MOST_ATTRIBUTES)


def attribute_path(attribute_id: int) -> str:
    """Where something is wrong with the values of an attribute."""
    return f"{ATTRIBUTE}{attribute_id}"


def _invalid(
    problems: Sequence[Problem], reason: str, name: str, field: str, most: int = MOST_SHOWN
) -> InvalidArgument:
    more = f" There are {len(problems) - 1} more." if len(problems) > 1 else ""
    shown = [
        {"code": each.code, "path": each.path[-LONGEST_SHOWN:], "message": each.message[:LONGEST_SHOWN]}
        for each in problems[:most]
    ]
    return InvalidArgument(
        reason,
        f"{name}: {problems[0].message}{more}",
        field=field,
        **{PROBLEMS: json.dumps(shown)},
    )
