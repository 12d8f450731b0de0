"""Reads the rule of an attribute out of a mapping document, as it is put: docs/field-mapping.md.

The published members are `attributeLocators` and `objectMappingIQL`; the others are ours. Members of an attribute
mapping that nobody knows are no error, as the published schema has it; those of its parts are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.sources import Places, source_of
from services.importer.formats.objects.mapping.texts import placeholders_of
from services.importer.formats.objects.mapping.transformations import steps_of
from services.importer.targets.objects.rules import AttributeRule

QUERY_LIMIT = 4_096
VALUE_LIMIT = 16_384
DEPTH = 32

_MEMBERS = MappingProxyType(
    {
        "attributeLocators": "locators",
        "objectMappingIQL": "query",
        "concatenator": "concatenator",
        "template": "template",
        "conditions": "branches",
        "transformations": "transformations",
        "default": "default",
    }
)
_NAMES = MappingProxyType({inner: outer for outer, inner in _MEMBERS.items()})
_VALUE_MAP = "valueMap"
# How msgspec says where something is wrong.
_PLACE = re.compile(r"^(.*) - at `\$\.?(.*)`$", re.DOTALL)
_UNFIT = re.compile("[\0\ud800-\udfff]")


def read_attribute_mapping(document: Mapping[str, Any]) -> AttributeRule:
    """The rule that an attribute mapping describes; it can be carried out, whatever the attribute's type.

    Raises `InvalidMapping`, its place in the words of the document.
    """
    _check_texts(document, "", DEPTH)
    rule = _converted({inner: document[outer] for outer, inner in _MEMBERS.items() if document.get(outer) is not None})
    rule = _with_value_map(rule, document.get(_VALUE_MAP))
    if not (rule.locators or rule.query or rule.template is not None or rule.branches or rule.default is not None):
        message = "There must be locators, a template, conditions or a default: nothing says where the values are."
        raise InvalidMapping("LOCATOR_MISSING", "attributeLocators", message)
    for name, text, limit in (("default", rule.default, VALUE_LIMIT), ("objectMappingIQL", rule.query, QUERY_LIMIT)):
        if text and len(text) > limit:
            raise InvalidMapping("MAPPING_MALFORMED", name, f"The text has more than {limit} characters.")
    if rule.query:
        try:
            placeholders_of(rule.query)
        except InvalidMapping as error:
            raise error.within("objectMappingIQL") from None
    source_of(rule, Places(), "")
    _check_transformations(rule, has_value_map=document.get(_VALUE_MAP) is not None)
    return rule


def _check_transformations(rule: AttributeRule, *, has_value_map: bool) -> None:
    try:
        steps_of(rule.transformations)
    except InvalidMapping as error:
        last = f"transformations[{len(rule.transformations) - 1}]"
        if has_value_map and error.place.startswith(last):
            raise InvalidMapping(error.code, _VALUE_MAP, error.message) from None
        raise


def _converted(members: dict[str, Any]) -> AttributeRule:
    if isinstance(transformations := members.get("transformations"), list):
        members["transformations"] = list(map(_with_formats, transformations))
    try:
        return msgspec.convert(members, AttributeRule)
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        told, place = (found[1], found[2]) if found else (str(error), "")
        name = re.split(r"[.\[]", place, maxsplit=1)[0]
        place = _NAMES.get(name, name) + place[len(name) :]
        raise InvalidMapping("MAPPING_MALFORMED", place, f"{told}.") from None


def _with_formats(transformation: Any) -> Any:
    """One format of dates may stand without an array around it."""
    if isinstance(transformation, dict) and isinstance(transformation.get("from"), str):
        return {**transformation, "from": [transformation["from"]]}
    return transformation


def _with_value_map(rule: AttributeRule, values: Any) -> AttributeRule:
    """The short form of a transformation, which comes last."""
    if values is None:
        return rule
    step = {"type": _VALUE_MAP, "values": values}
    try:
        (mapped,) = _converted({"transformations": [step]}).transformations
    except InvalidMapping as error:
        raise InvalidMapping(error.code, _VALUE_MAP, error.message) from None
    return msgspec.structs.replace(rule, transformations=(*rule.transformations, mapped))


def _check_texts(value: Any, place: str, depth: int) -> None:
    """Raises `InvalidMapping` for what no text of the database can be, and for what no mapping needs to be."""
    if isinstance(value, str) and _UNFIT.search(value):
        raise InvalidMapping("MAPPING_MALFORMED", place, "A text has a NUL character or half of a surrogate pair.")
    if not depth:
        raise InvalidMapping("MAPPING_MALFORMED", place, f"The mapping is nested more than {DEPTH} deep.")
    if isinstance(value, Mapping):
        for name, each in value.items():
            inner = f"{place}.{name}" if place else str(name)
            _check_texts(name, inner, depth - 1)
            _check_texts(each, inner, depth - 1)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            _check_texts(each, f"{place}[{at}]", depth - 1)
