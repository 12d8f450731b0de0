"""The rules of a document of schema and mapping by itself, beyond its shape and without what is there already.

Their source: https://developer.atlassian.com/cloud/assets/imports-rest-api-guide/schema-and-mapping.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections import Counter
from collections.abc import Iterable, Iterator

from dialects.assets.mapping_documents import AttributeDocument, Document, IconDocument, TypeDocument
from dialects.assets.mapping_schemas import FIRST, REFERENCE
from dialects.assets.problems import Problem

MOST_TYPES = 500
MOST_ATTRIBUTES = 5_000
MOST_MAPPINGS = 1_000
MOST_DEPTH = 10
MOST_ICON_BYTES = 64 * 1024
ICON_PIXELS = 48
PNG_HEAD = struct.Struct(">8sI4sII")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
USUAL = {"minimum_cardinality": 0, "maximum_cardinality": 1, "unique": False}


def check_rules(document: Document) -> list[Problem]:
    """What is wrong with it; in the order of the document."""
    problems = [*_check_size(document)]
    if problems:
        return problems
    return [
        *_check_external_ids(document),
        *_check_types(document),
        *_check_icons(document.icons),
        *_repeated(
            "NAME_DUPLICATE",
            (
                (f"schema.statusSchema.statuses[{number}].name", each.name.casefold())
                for number, each in enumerate(document.statuses)
            ),
        ),
    ]


def _check_size(document: Document) -> Iterator[Problem]:
    types = list(document.every_type())
    counts = (
        ("schema.objectSchema.objectTypes", "object types", len(types), MOST_TYPES),
        ("schema.objectSchema", "attributes", sum(len(each.attributes) for _, each, _ in types), MOST_ATTRIBUTES),
        ("mapping.objectTypeMappings", "mappings", len(document.mappings), MOST_MAPPINGS),
    )
    for path, what, count, most in counts:
        if count > most:
            yield Problem("DOCUMENT_TOO_LARGE", path, f"There may be {most} {what} at most; here are {count}.")
    for path, _, _ in types:
        if path.count(".children") >= MOST_DEPTH:
            yield Problem("DOCUMENT_TOO_DEEP", path, f"Object types may stand {MOST_DEPTH} deep at most.")
            return


def _check_external_ids(document: Document) -> Iterator[Problem]:
    """All object types and attributes have one, or none has; and no two have the same."""
    if document.version == FIRST:
        return
    named = [
        *((path, each.external_id) for path, each, _ in document.every_type()),
        *((path, each.external_id) for path, each in _attributes(document)),
    ]
    if any(external_id for _, external_id in named):
        for path, external_id in named:
            if not external_id:
                yield Problem("EXTERNAL_ID_MISSING", path, "All object types and attributes have one, or none has.")
    yield from _repeated("EXTERNAL_ID_DUPLICATE", ((path, each) for path, each in named if each))


def _check_types(document: Document) -> Iterator[Problem]:
    siblings: dict[int, list[tuple[str, str]]] = {}
    for path, each, parent in document.every_type():
        yield from _check_name(path, each.name)
        siblings.setdefault(id(parent), []).append((path, each.name.casefold()))
        if each.inheritance and parent is None:
            yield Problem("INHERITANCE_WITHOUT_PARENT", path, f"{each.name} stands under no other object type.")
        yield from _check_attributes(path, each)
    for names in siblings.values():
        yield from _repeated("NAME_DUPLICATE", names)


def _check_attributes(path: str, type_: TypeDocument) -> Iterator[Problem]:
    named = [(f"{path}.attributes[{number}]", each) for number, each in enumerate(type_.attributes)]
    for here, each in named:
        yield from _check_name(here, each.name)
        yield from _check_attribute(here, each, has_ids=bool(each.external_id))
    yield from _repeated("NAME_DUPLICATE", ((here, each.name.casefold()) for here, each in named))
    labels = [here for here, each in named if each.label]
    for here in labels[1:]:
        yield Problem("SEVERAL_LABELS", here, f"{type_.name} can have one label only.")


def _check_attribute(path: str, each: AttributeDocument, *, has_ids: bool) -> Iterator[Problem]:
    least = each.minimum_cardinality or 0
    most = 1 if each.maximum_cardinality is None else each.maximum_cardinality
    if most == 0 or least > most != -1:
        yield Problem("INVALID_CARDINALITY", path, f"{each.name} cannot have {least} to {most} values.")
    said = (name for name, usual in USUAL.items() if getattr(each, name) not in {None, usual})
    if not has_ids and any(said):
        yield Problem(
            "EXTERNAL_ID_REQUIRED",
            path,
            f"Cardinality and uniqueness of {each.name} need external ids in the document.",
        )
    if each.type == REFERENCE:
        if not each.reference_object_type_name and not each.reference_object_type_external_id:
            yield Problem("REFERENCE_TARGET_MISSING", path, f"{each.name} does not say which object type it refers to.")
        if each.label:
            yield Problem("LABEL_IS_REFERENCE", path, f"{each.name} is a reference and cannot be the label.")


def _check_icons(icons: Iterable[IconDocument]) -> Iterator[Problem]:
    named = [(f"schema.iconSchema.icons[{number}]", each) for number, each in enumerate(icons)]
    for path, each in named:
        if not is_icon(each.png48):
            yield Problem(
                "INVALID_ICON", f"{path}.png48", f"{each.key[:50]} is no PNG of 48 by 48 pixels and 64 KiB at most."
            )
    yield from _repeated("ICON_KEY_DUPLICATE", ((path, each.key) for path, each in named))


def is_icon(text: str) -> bool:
    """Base64 of a PNG of 48 by 48 pixels. Only its head is looked at."""
    if len(text) > MOST_ICON_BYTES * 4 // 3 + 4:
        return False
    try:
        data = base64.b64decode(text, validate=True)
        signature, _, chunk, width, height = PNG_HEAD.unpack_from(data)
    except (binascii.Error, ValueError, struct.error):
        return False
    return bool(signature == PNG_SIGNATURE and chunk == b"IHDR" and width == height == ICON_PIXELS)


def _check_name(path: str, name: str) -> Iterator[Problem]:
    if not name.strip() or "\0" in name:
        yield Problem("INVALID_NAME", f"{path}.name", "A name must have something to read in it.")


def _attributes(document: Document) -> Iterator[tuple[str, AttributeDocument]]:
    for path, each, _ in document.every_type():
        for number, attribute in enumerate(each.attributes):
            yield f"{path}.attributes[{number}]", attribute


def _repeated(code: str, named: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    named = list(named)
    counts = Counter(name for _, name in named)
    seen: set[str] = set()
    for path, name in named:
        if counts[name] > 1 and name in seen:
            yield Problem(code, path, f"{name[:100]!r} is there twice.")
        seen.add(name)
