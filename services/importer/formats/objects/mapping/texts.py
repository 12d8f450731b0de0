"""Texts with places in them for values: templates (`${first} ${last}`), queries of references, concatenators."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import NamedTuple

from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping

TEMPLATE_LIMIT = 4_096
PLACEHOLDERS = 50
# What may be made of the values of one attribute, which are themselves bounded.
MADE_LIMIT = 4 << 20

_PLACEHOLDER = re.compile(r"(\$?)\$\{([^{}]{1,512})\}")
_SPACES = MappingProxyType({r"\s": " ", r"\t": "\t"})

Values = tuple[str, ...]
"""What stands at one locator; none where all of it is empty.

An empty one among others is kept where several locators are needed: it says what stands beside what.
"""


class Template(NamedTuple):
    """`texts` stand around the values at `locators`: one more of them. `$${x}` in a template is the text `${x}`."""

    texts: tuple[str, ...]
    locators: tuple[str, ...]


def read_template(text: str) -> Template:
    """Raises `InvalidMapping` (`TEMPLATE_INVALID`)."""
    if len(text) > TEMPLATE_LIMIT:
        raise InvalidMapping("TEMPLATE_INVALID", "", f"A template has more than {TEMPLATE_LIMIT} characters.")
    texts, locators, at = [""], [], 0
    for found in _PLACEHOLDER.finditer(text):
        texts[-1] += text[at : found.start()]
        at = found.end()
        if found[1]:
            texts[-1] += found[0][1:]
        else:
            locators.append(found[2].strip())
            texts.append("")
    texts[-1] += text[at:]
    if not all(locators) or any("${" in each for each in _PLACEHOLDER.sub("", text).split("$${")):
        raise InvalidMapping("TEMPLATE_INVALID", "", "A place in the template is not closed, or is empty.")
    if len(locators) > PLACEHOLDERS:
        raise InvalidMapping("TEMPLATE_INVALID", "", f"A template has more than {PLACEHOLDERS} places.")
    return Template(tuple(texts), tuple(locators))


def placeholders_of(query: str) -> tuple[str, ...]:
    """The locators in the query of a reference (`Name = ${os}`), each once, in the order of their first use.

    Raises `InvalidMapping` (`REFERENCE_QUERY_INVALID`) where there is none.
    """
    found = tuple(dict.fromkeys(each[2].strip() for each in _PLACEHOLDER.finditer(query) if not each[1]))
    if not found or not all(found) or len(found) > PLACEHOLDERS:
        message = f"The query of a reference must have 1 to {PLACEHOLDERS} places for values, such as ${{name}}."
        raise InvalidMapping("REFERENCE_QUERY_INVALID", "", message)
    return found


def read_concatenator(text: str) -> str:
    r"""`\s` is a space and `\t` a tab; what stands in double quotes is meant as it is."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return _SPACES.get(text, text)


def side_by_side(columns: Sequence[Values]) -> list[Values]:
    """The values of several locators, first with first, second with second; "" where one has none. Never all of them.

    One that has a single value has it beside each of the others. Raises `BadValue` (`VALUES_UNEVEN`) where two have
    several and not as many.
    """
    counts = {len(each) for each in columns if len(each) > 1}
    if len(counts) > 1:
        told = " and ".join(map(str, sorted(counts)))
        raise BadValue("VALUES_UNEVEN", f"Values that belong together are not as many: {told}.")
    count = max(counts, default=1)
    rows = [each if len(each) == count else tuple(repeat(each[0] if each else "", count)) for each in columns]
    return [row for row in zip(*rows, strict=True) if any(row)]


def filled(template: Template, row: Values) -> str:
    """The template with these values. Raises `BadValue` (`VALUE_TOO_LONG`)."""
    if sum(map(len, row)) > MADE_LIMIT:
        raise made_too_long()
    texts = template.texts
    return texts[0] + "".join(value + after for value, after in zip(row, texts[1:], strict=True))


def joined(separator: str, values: Sequence[str]) -> str:
    """The values with the separator between them. Raises `BadValue` (`VALUE_TOO_LONG`) before it makes too much."""
    if sum(map(len, values)) + len(separator) * len(values) > MADE_LIMIT:
        raise made_too_long()
    return separator.join(values)


def bounded(made: Iterable[str]) -> Values:
    """Texts that are made one after the other; no more of them are once they are too long together.

    Of several values a few short rules could make more than any memory holds. Raises `BadValue` (`VALUE_TOO_LONG`).
    """
    texts, size = [], 0
    for each in made:
        size += len(each)
        if size > MADE_LIMIT:
            raise made_too_long()
        texts.append(each)
    return tuple(texts)


def made_too_long() -> BadValue:
    return BadValue("VALUE_TOO_LONG", f"What the mapping makes of it has more than {MADE_LIMIT} characters.")
