"""Conditions: of a branch, on what stands at locators; of an object type's filter, on the values of attributes."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.patterns import is_found
from services.importer.formats.objects.mapping.texts import Values
from services.importer.targets.objects.rules import Condition

DEPTH, PARTS, OPERANDS = 8, 200, 10_000

Holds = Callable[[Sequence[Values]], bool]
"""Asked with the values of all subjects."""
Test = Callable[[str], bool]


class Subject(NamedTuple):
    """What a comparison is of: its place among the subjects, and how an operand is read that is compared with it."""

    at: int
    read: Callable[[str], str] | None = None


FindSubject = Callable[[Condition], Subject]
"""Raises `InvalidMapping` for one that there is not."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})")
_NEGATIVE = MappingProxyType({"notEquals": "equals", "notIn": "in", "notContains": "contains"})
_ORDERED: MappingProxyType[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "greaterThan": operator.gt,
        "greaterOrEqual": operator.ge,
        "lessThan": operator.lt,
        "lessOrEqual": operator.le,
    }
)


def read_condition(condition: Condition, subject_of: FindSubject) -> Holds:
    """Raises `InvalidMapping`."""
    if _size(condition) > PARTS:
        raise InvalidMapping("CONDITION_INVALID", "", f"A condition has more than {PARTS} parts.")
    return _read(condition, subject_of, DEPTH)


def _size(condition: Condition) -> int:
    """Of conditions that came as JSON, so there is an end; the recursion is bounded by the decoder's."""
    inner = (*condition.all, *condition.any, *((condition.negated,) if condition.negated else ()))
    return 1 + sum(map(_size, inner))


def _read(condition: Condition, subject_of: FindSubject, depth: int) -> Holds:
    has_subject = bool(condition.locator or condition.attribute_id)
    if [has_subject, bool(condition.all), bool(condition.any), condition.negated is not None].count(True) != 1:
        message = "A condition must have exactly one of a locator with an operator, all, any and not."
        raise InvalidMapping("CONDITION_INVALID", "", message)
    if not depth:
        raise InvalidMapping("CONDITION_INVALID", "", f"Conditions are nested more than {DEPTH} deep.")
    if condition.negated is not None:
        inner = _within("not", condition.negated, subject_of, depth)
        return lambda values: not inner(values)
    if condition.all:
        parts = [_within(f"all[{at}]", each, subject_of, depth) for at, each in enumerate(condition.all)]
        return lambda values: all(each(values) for each in parts)
    if condition.any:
        parts = [_within(f"any[{at}]", each, subject_of, depth) for at, each in enumerate(condition.any)]
        return lambda values: any(each(values) for each in parts)
    return _comparison(condition, subject_of(condition))


def _within(place: str, condition: Condition, subject_of: FindSubject, depth: int) -> Holds:
    try:
        return _read(condition, subject_of, depth - 1)
    except InvalidMapping as error:
        raise error.within(place) from None


def _comparison(condition: Condition, subject: Subject) -> Holds:
    at = subject.at
    if condition.operator == "isEmpty":
        return lambda values: not values[at]
    if condition.operator == "isNotEmpty":
        return lambda values: bool(values[at])
    test = _test(condition, subject)
    if condition.operator in _NEGATIVE:
        return lambda values: not any(map(test, values[at]))
    return lambda values: any(map(test, values[at]))


def _test(condition: Condition, subject: Subject) -> Test:
    name = _NEGATIVE.get(condition.operator, condition.operator)
    if name == "matches":
        try:
            return is_found(condition.value, ignore_case=condition.ignore_case)
        except InvalidMapping as error:
            raise InvalidMapping(error.code, "value", error.message) from None
    if name == "in" and not 1 <= len(condition.values) <= OPERANDS:
        raise InvalidMapping("CONDITION_INVALID", "values", f"There must be 1 to {OPERANDS} values to be one of.")
    # A part of a text need not be a value of its attribute.
    is_whole = name in {"equals", "in"} or name in _ORDERED
    read = subject.read if subject.read and is_whole else str
    fold = str.casefold if condition.ignore_case else str
    operands = [fold(read(each)) for each in (condition.values if name == "in" else (condition.value,))]
    if name in {"equals", "in"}:
        known = frozenset(operands)
        return lambda text: fold(text) in known
    return _compare_one(name, operands[0], fold)


def _compare_one(name: str, operand: str, fold: Callable[[str], str]) -> Test:
    match name:
        case "contains":
            return lambda text: operand in fold(text)
        case "startsWith":
            return lambda text: fold(text).startswith(operand)
        case "endsWith":
            return lambda text: fold(text).endswith(operand)
        case _:
            compare = _ORDERED[name]
            as_number = Decimal(operand) if _NUMBER.fullmatch(operand) else None

            def test(text: str) -> bool:
                if as_number is not None and _NUMBER.fullmatch(text):
                    return compare(Decimal(text), as_number)
                return compare(fold(text), operand)

            return test
