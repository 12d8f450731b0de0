"""The mapping that a run was started with, as the database has it."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from services.importer.targets.objects.plan import ObjectPlan

log = structlog.get_logger(__name__)


def stored_plan(value: Any) -> ObjectPlan | None:
    """`imports.plan`; None where there is none, or none of this release's shape."""
    if value is None:
        return None
    try:
        return msgspec.convert(value, ObjectPlan)
    except msgspec.ValidationError as error:
        log.warning("a stored mapping cannot be read", error=str(error))
        return None
