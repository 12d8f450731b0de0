"""How the mappings of sources are carried out, as the formats do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialects.assets.problems import Problem
from services.importer.assets.preview_child import Order, Syntax
from services.importer.assets.preview_process import previewed
from services.importer.formats import registry
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.rules import AttributeRule

SYNTAXES: Mapping[str, Syntax] = {"csv": "csv", "external": "chunk"}
"""By the type of a source; all others are read as JSON, as which the fetcher lands them."""


class FormatRules:
    """The `Rules` of the formats of this installation."""

    def read_rule(self, mapping: Mapping[str, Any]) -> AttributeRule | Problem:
        try:
            return registry.read_object_rule(mapping)
        except registry.InvalidMapping as error:
            return Problem(error.code, error.place, error.message)

    def check(self, type_: str, plan: ObjectPlan) -> Problem | None:
        try:
            if SYNTAXES.get(type_) == "csv":
                registry.table_reader(plan)
            else:
                registry.array_readers(plan)
        except registry.InvalidMapping as error:
            return Problem(error.code, f"mapping.{error.place}".rstrip("."), error.message)
        return None

    async def preview(self, type_: str, plan: ObjectPlan, sample: bytes, limit: int) -> dict[str, Any]:
        """`formats/objects/preview.py`, in plain lists and dicts."""
        return await previewed(Order(SYNTAXES.get(type_, "json"), plan, sample, limit))
