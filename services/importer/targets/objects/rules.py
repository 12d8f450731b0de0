"""The rule of one attribute's mapping: how its values come out of a record of the source.

The same structures are what a mapping document says (docs/field-mapping.md) and what a plan keeps of it. Nothing here
is checked beyond its shape: `formats/objects/mapping` does that, which also carries the rules out.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Operator = Literal[
    "equals",
    "notEquals",
    "contains",
    "notContains",
    "startsWith",
    "endsWith",
    "matches",
    "in",
    "notIn",
    "isEmpty",
    "isNotEmpty",
    "greaterThan",
    "greaterOrEqual",
    "lessThan",
    "lessOrEqual",
]


class _Member(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True, tag_field="type"
):
    """What all parts of a rule share: members in camelCase, none that nobody knows."""


class Trim(_Member, frozen=True, tag="trim"):
    """Takes the white space away around a value."""


class ChangeCase(_Member, frozen=True, tag="case"):
    """Writes a value in small or capital letters, or each word with a capital one."""

    to: Literal["lower", "upper", "title"]


class Regex(_Member, frozen=True, tag="regex"):
    r"""With a `replacement`: replaces every match (`\1` is the first group). Without: takes what matched, or a group.

    The pattern has the syntax of RE2. A value without a match stays as it is (replacement) or becomes empty.
    """

    pattern: str
    replacement: str | None = None
    group: int | None = None
    ignore_case: bool = False


class Split(_Member, frozen=True, tag="split"):
    """Cuts a value; with an `index` only that part is taken, from 0, or from the end where it is negative."""

    separator: str
    index: int | None = None


class Join(_Member, frozen=True, tag="join"):
    """Makes one value of several."""

    separator: str = ""


class ReadDate(_Member, frozen=True, tag="date"):
    """Reads a date or a time by a pattern of letters (`dd.MM.yyyy HH:mm`), or by the first of several that fits.

    `epochSeconds` and `epochMilliseconds` are patterns, too. `zone` (IANA) is that of values which name none.
    """

    formats: tuple[str, ...] = msgspec.field(name="from")
    zone: str = ""


class ReadNumber(_Member, frozen=True, tag="number"):
    """Reads a number with these signs in it."""

    decimal_separator: str = "."
    grouping_separator: str = ""


class MapValues(_Member, frozen=True, tag="valueMap"):
    """Puts other values in their place. One that is not named stays, becomes empty, or is an error of its record."""

    values: dict[str, str]
    ignore_case: bool = False
    otherwise: Literal["keep", "empty", "reject"] = "keep"


Transformation: TypeAlias = Trim | ChangeCase | Regex | Split | Join | ReadDate | ReadNumber | MapValues


class Condition(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Either one comparison, or conditions that must all hold, or one of which must hold, or one that must not.

    A comparison is of what stands at a `locator`, or of the values of an attribute (`attribute_id`; in the filter of a
    type alone). It holds when one of several values fits; the negative ones (`notEquals`, `notIn`, `notContains`) when
    none does. Two numbers are compared as such, and so are two dates of an attribute.
    """

    locator: str = ""
    attribute_id: int = 0
    operator: Operator = "equals"
    value: str = ""
    values: tuple[str, ...] = ()
    ignore_case: bool = False
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    negated: Condition | None = msgspec.field(default=None, name="not")


class Branch(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Where the values come from when a condition holds: exactly one of a fixed value, locators and a template."""

    when: Condition
    value: str | None = None
    locators: tuple[str, ...] = ()
    template: str | None = None


class AttributeRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an attribute gets its values.

    The first of the `branches` whose condition holds says where they come from, else the `template`, else the
    `locators`: the values of one, or those of several with the `concatenator` (None: that of the source) between them.
    Then come the transformations in their order; where nothing is left, the `default`. `query` is that of a reference
    (`objectMappingIQL`).
    """

    locators: tuple[str, ...] = ()
    query: str = ""
    concatenator: str | None = None
    template: str | None = None
    branches: tuple[Branch, ...] = ()
    transformations: tuple[Transformation, ...] = ()
    default: str | None = None
