"""One attribute as it is carried out: from the cells at its locators to what its object has of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from json.encoder import encode_basestring
from typing import NamedTuple

from services.importer.formats.kit.redaction import shown_value
from services.importer.formats.objects.mapping import dates
from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping
from services.importer.formats.objects.mapping.locators import Cell
from services.importer.formats.objects.mapping.settings import Settings
from services.importer.formats.objects.mapping.sources import Places, source_of
from services.importer.formats.objects.mapping.texts import MADE_LIMIT, Values, made_too_long, side_by_side
from services.importer.formats.objects.mapping.transformations import steps_of
from services.importer.formats.objects.mapping.values import BARE, CLOSED, LIMITS, REFERENCE, SIMPLE, UNTRIMMED
from services.importer.targets.objects.plan import ANY_NUMBER, AttributePlan, UnknownValues
from services.importer.targets.objects.records import Caution, Lookup
from services.importer.targets.objects.rules import AttributeRule

ARRAY_VALUES = 10_000
# What was read before is looked up; longer cells are not kept.
KNOWN_CHARACTERS = 128

Cells = tuple[Cell, ...]


class Reading(NamedTuple):
    """What an object has of an attribute. `values` are the texts, `piece` the member of its document, "" for none."""

    values: Values = ()
    piece: str = ""
    lookups: tuple[Lookup, ...] = ()
    caution: Caution | None = None


_EMPTY = Reading()


class Attribute:
    """`locators` are those it needs; cells are given in their order. What a cell cannot be raises `BadValue`."""

    def __init__(self, plan: AttributePlan, settings: Settings, unknown_values: UnknownValues) -> None:
        """Raises `InvalidMapping`."""
        self.id, self.name = plan.attribute_id, plan.name
        self._plan = plan
        self._separator = settings.separator if plan.is_array else ""
        self._adds_options = unknown_values == "ADD"
        self._member = f'"{plan.attribute_id}":'
        self._read = _reader(plan, settings)
        self._is_trimmed = plan.type not in UNTRIMMED
        _check_cardinality(plan)
        places = Places()
        rule = plan.rule
        if plan.type == REFERENCE:
            rule = _rule_of_reference(plan)
            self._referred = [places.at(each) for each in plan.reference.placeholders] if plan.reference else []
        self._take = source_of(rule, places, settings.concatenator)
        self._steps = steps_of(rule.transformations)
        self.locators = places.locators
        self._default = self._default_of(rule)
        self._is_lone = (
            self.is_direct
            and not (plan.rule.transformations or plan.type in CLOSED or plan.type in UNTRIMMED)
            and plan.maximum == 1 >= plan.minimum
        )

    @property
    def is_cautious(self) -> bool:
        """May it have values that are left out and told of?"""
        return self._plan.type in CLOSED and not self._adds_options

    @property
    def is_direct(self) -> bool:
        """Is it empty wherever its one locator is?"""
        rule = self._plan.rule
        return len(self.locators) == 1 and rule.template is None and not (rule.branches or self._default)

    @property
    def is_text(self) -> bool:
        """Is any text that stands at its one locator a value as it is, but for white space around it?"""
        plan = self._plan
        is_plain = self.is_direct and not plan.rule.transformations and plan.type in LIMITS
        return is_plain and plan.maximum == 1 > plan.minimum

    def texts(self, cells: Sequence[str]) -> Sequence[str]:
        """The values of an attribute that `is_text`; "" for none."""
        if max(map(len, cells), default=0) > LIMITS[self._plan.type]:
            for cell in cells:
                self._read(cell)
        if self._is_trimmed:
            return list(map(str.strip, cells))
        return [cell if cell and not cell.isspace() else "" for cell in cells]

    def piece(self, text: str) -> str:
        """The member of the document for a text of `texts`."""
        return self._member + encode_basestring(text)

    def canonical(self, text: str) -> str:
        """A value as it would be stored. Raises `BadValue`."""
        return self._read(text.strip() if self._is_trimmed else text)

    def reading(self, cells: Cells) -> Reading:
        """Raises `BadValue`."""
        if self._is_lone:
            (cell,) = cells
            if isinstance(cell, str) and (text := cell.strip()):
                return self._one(text)
        inputs = [_values_of(cell, self._separator, keeps_empty=len(cells) > 1) for cell in cells]
        return self._reference(inputs) if self._plan.type == REFERENCE else self._values(inputs)

    def _one(self, text: str) -> Reading:
        """The same as below, of a text that comes to nothing but one value: most do."""
        if self._plan.type == REFERENCE:
            return Reading(lookups=(Lookup(self.id, (text,)),))
        value = self._read(text)
        return Reading((value,), self._member + (value if self._plan.type in BARE else encode_basestring(value)))

    def _values(self, inputs: Sequence[Values]) -> Reading:
        values, caution = self._transformed(self._take(inputs)), None
        if self._is_trimmed:
            values = tuple(filter(None, map(str.strip, values)))
        if values:
            values = tuple(map(self._read, values))
            if self.is_cautious:
                values, caution = self._known_options(values)
        values = values or self._default
        if len(values) > 1:
            values = tuple(dict.fromkeys(values))
        self._check_count(values)
        if not values:
            return Reading(caution=caution) if caution else _EMPTY
        texts = values if self._plan.type in BARE else tuple(map(encode_basestring, values))
        return Reading(
            values, self._member + (f"[{','.join(texts)}]" if self._plan.is_array else texts[0]), (), caution
        )

    def _reference(self, inputs: Sequence[Values]) -> Reading:
        if len(self._referred) == 1:
            values = self._transformed(self._take(inputs))
            rows: Iterable[Values] = [(each,) for each in map(str.strip, values or self._default) if each]
        else:
            beside = side_by_side([inputs[at] for at in self._referred])
            if sum(sum(map(len, row)) for row in beside) > MADE_LIMIT:
                # One long value beside many others is written down with each of them.
                raise made_too_long()
            rows = [made for row in beside if all(row) and all(made := self._each_transformed(row))]
        lookups = tuple(map(Lookup, repeat(self.id), dict.fromkeys(rows)))
        self._check_count(lookups)
        return Reading(lookups=lookups) if lookups else _EMPTY

    def _transformed(self, values: Values) -> Values:
        for step in self._steps:
            values = step(values)
        return values

    def _each_transformed(self, row: Values) -> Values:
        """One value for each place of a query; "" for none."""
        made = [self._transformed((value,)) for value in row]
        if any(len(each) > 1 for each in made):
            raise BadValue("TOO_MANY_VALUES", "A value is cut into several, and stands beside others.")
        return tuple(each[0].strip() if each else "" for each in made)

    def _known_options(self, values: Values) -> tuple[Values, Caution | None]:
        known = tuple(each for each in values if each in self._plan.options)
        if len(known) == len(values):
            return known, None
        unknown = next(each for each in values if each not in self._plan.options)
        message = f'"{self.name}" has values that are none of its options; they were ignored'
        return known, Caution("UNKNOWN_VALUE_IGNORED", f'{message}: "{shown_value(unknown, self.name)}".')

    def _check_count(self, values: Sequence[object]) -> None:
        plan, count = self._plan, len(values)
        if count < plan.minimum:
            if not count:
                raise BadValue("REQUIRED_VALUE_MISSING", "A value that is required is empty.")
            raise BadValue("TOO_FEW_VALUES", f"There are {count} values, at least {plan.minimum} must be.")
        most = ARRAY_VALUES if plan.maximum == ANY_NUMBER else plan.maximum
        if count > most:
            raise BadValue("TOO_MANY_VALUES", f"There are {count} values, {most} may be.")

    def _default_of(self, rule: AttributeRule) -> Values:
        if not rule.default or rule.default.isspace():
            return ()
        try:
            value = self.canonical(rule.default)
        except BadValue as error:
            raise InvalidMapping("DEFAULT_INVALID", "default", error.message) from None
        if self.is_cautious and value not in self._plan.options:
            raise InvalidMapping("DEFAULT_INVALID", "default", "The default is none of the options.")
        return (value,)


class Known(dict[Cell | Cells, Reading]):
    """The readings of an attribute by its cell, or its cells where it has several locators; a bounded number is kept.

    Asked for one that cannot be read, raises `RecordError`.
    """

    def __init__(self, attribute: Attribute, limit: int, refuse: Callable[[Attribute, BadValue], Exception]) -> None:
        super().__init__()
        self._attribute, self._limit, self._refuse = attribute, limit, refuse
        self._is_one = len(attribute.locators) == 1

    def __missing__(self, cells: Cell | Cells) -> Reading:
        try:
            reading = self._attribute.reading((cells,) if self._is_one else cells)  # type: ignore[arg-type]  # several
        except BadValue as error:
            raise self._refuse(self._attribute, error) from None
        if _size(cells) <= KNOWN_CHARACTERS:
            if len(self) >= self._limit:
                self.clear()
            self[cells] = reading
        return reading


def _size(cells: Cell | Cells) -> int:
    return len(cells) if isinstance(cells, str) else sum(map(_size, cells))


def _values_of(cell: Cell, separator: str, *, keeps_empty: bool) -> Values:
    if isinstance(cell, str):
        if not separator or separator not in cell:
            return (cell,) if cell and not cell.isspace() else ()
        cell = tuple(cell.split(separator))
    values = tuple("" if each.isspace() else each for each in cell)
    if keeps_empty:
        return values if any(values) else ()
    return tuple(filter(None, values))


def _reader(plan: AttributePlan, settings: Settings) -> Callable[[str], str]:
    zone = settings.zone
    match plan.type:
        case "date":
            return partial(dates.read_date, readers=settings.days, zone=zone, write=dates.date_text)
        case "time":
            return partial(dates.read_date, readers=settings.moments, zone=zone, write=dates.time_text)
        case "date_time":
            return partial(dates.read_date, readers=settings.moments, zone=zone, write=dates.date_time_text)
        case "referenced_object":
            return str
        case _:
            return SIMPLE[plan.type]


def _check_cardinality(plan: AttributePlan) -> None:
    if plan.minimum < 0 or plan.maximum < ANY_NUMBER or plan.maximum == 0 or 0 < plan.maximum < plan.minimum:
        message = f"An attribute cannot have at least {plan.minimum} and at most {plan.maximum} values."
        raise InvalidMapping("CARDINALITY_INVALID", "", message)


def _rule_of_reference(plan: AttributePlan) -> AttributeRule:
    """The rule of the value that is looked up, where the query has one place; else only transformations have a use."""
    rule, reference = plan.rule, plan.reference
    if reference is None or not reference.placeholders:
        message = "A reference must have a query with places for values, such as ${name}."
        raise InvalidMapping("REFERENCE_QUERY_INVALID", "objectMappingIQL", message)
    if len(reference.placeholders) == 1:
        return AttributeRule(
            reference.placeholders,
            template=rule.template,
            branches=rule.branches,
            transformations=rule.transformations,
            concatenator=rule.concatenator,
            default=rule.default,
        )
    if rule.template is not None or rule.branches or rule.default is not None:
        message = "A query with several places takes no template, conditions or default: of which place would they be?"
        raise InvalidMapping("REFERENCE_QUERY_INVALID", "objectMappingIQL", message)
    return AttributeRule(transformations=rule.transformations)
