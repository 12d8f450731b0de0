"""Carries transformations out, in their order: each takes the values of an attribute and gives others.

A value that becomes empty is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from services.importer.formats.objects.mapping import dates, patterns
from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping
from services.importer.formats.objects.mapping.texts import Values, bounded, joined
from services.importer.formats.objects.mapping.values import number
from services.importer.targets.objects.rules import (
    ChangeCase,
    Join,
    MapValues,
    ReadDate,
    ReadNumber,
    Regex,
    Split,
    Transformation,
    Trim,
)

TRANSFORMATIONS = 50
MAPPED_VALUES = 10_000
SPLIT_VALUES = 10_000
FORMATS = 20

Change = Callable[[str], str]
Step = Callable[[Values], Values]

# A word begins behind anything that is no letter, digit or apostrophe: "don't" has one.
_WORD = re.compile(r"[^\W_][^\W_'\u2019]*(?:['\u2019][^\W_'\u2019]+)*")


def steps_of(transformations: Sequence[Transformation]) -> tuple[Step, ...]:
    """Raises `InvalidMapping`; its place begins with the index of the transformation."""
    if len(transformations) > TRANSFORMATIONS:
        message = f"An attribute has more than {TRANSFORMATIONS} transformations."
        raise InvalidMapping("TRANSFORMATION_INVALID", "transformations", message)
    steps = []
    for at, each in enumerate(transformations):
        try:
            steps.append(_step(each))
        except InvalidMapping as error:
            raise error.within(f"transformations[{at}]") from None
    return tuple(steps)


def _step(transformation: Transformation) -> Step:
    match transformation:
        case Split():
            return _split(transformation)
        case Join(separator=separator):
            return lambda values: (joined(separator, values),) if values else values
        case _:
            return _for_each(_change(transformation))


def _for_each(change: Change) -> Step:
    def step(values: Values) -> Values:
        # Nearly always there is one.
        if len(values) == 1:
            made = change(values[0])
            return (made,) if made else ()
        return bounded(filter(None, map(change, values)))

    return step


def _change(transformation: Transformation) -> Change:
    match transformation:
        case Trim():
            return str.strip
        case ChangeCase(to="lower"):
            return str.lower
        case ChangeCase(to="upper"):
            return str.upper
        case ChangeCase():
            return lambda text: _WORD.sub(lambda word: word[0].capitalize(), text)
        case Regex(pattern=pattern, replacement=None, group=group, ignore_case=ignore_case):
            return patterns.extract(pattern, group, ignore_case=ignore_case)
        case Regex(pattern=pattern, replacement=str(replacement), ignore_case=ignore_case):
            return patterns.replace(pattern, replacement, ignore_case=ignore_case)
        case ReadDate():
            return _date(transformation)
        case ReadNumber():
            return _number(transformation)
        case MapValues():
            return _value_map(transformation)
        case _:
            raise AssertionError(transformation)


def _split(split: Split) -> Step:
    separator, index = split.separator, split.index
    if not separator:
        raise InvalidMapping("TRANSFORMATION_INVALID", "separator", "What a value is cut at must not be empty.")
    if index is not None and not -SPLIT_VALUES < index < SPLIT_VALUES:
        raise InvalidMapping("TRANSFORMATION_INVALID", "index", f"An index is beyond {SPLIT_VALUES}.")

    def step(values: Values) -> Values:
        made: list[str] = []
        for value in values:
            parts = value.split(separator, SPLIT_VALUES)
            if len(parts) > SPLIT_VALUES:
                message = f"The value is cut into more than {SPLIT_VALUES}."
                raise BadValue("TOO_MANY_VALUES", message, value[:200])
            made += parts if index is None else parts[index : index + 1 or None]
        return tuple(filter(None, map(str.strip, made)))

    return step


def _date(transformation: ReadDate) -> Change:
    if not 1 <= len(transformation.formats) <= FORMATS or not all(transformation.formats):
        message = f"There must be 1 to {FORMATS} formats of dates, none of them empty."
        raise InvalidMapping("DATE_FORMAT_INVALID", "from", message)
    try:
        readers = dates.readers_of(transformation.formats)
    except InvalidMapping as error:
        raise error.within("from") from None
    try:
        zone = dates.zone_of(transformation.zone)
    except InvalidMapping as error:
        raise error.within("zone") from None
    return lambda text: dates.read_date(text.strip(), readers, zone, dates.any_text)


def _number(transformation: ReadNumber) -> Change:
    decimal, grouping = transformation.decimal_separator, transformation.grouping_separator
    if len(decimal) != 1 or len(grouping) > 1 or decimal == grouping or (decimal + grouping).isalnum():
        message = (
            "The signs in a number must be two different ones, of one character each; that of groups may be empty."
        )
        raise InvalidMapping("TRANSFORMATION_INVALID", "decimalSeparator", message)
    # Groups are told by spaces of several kinds in the same language.
    groups = re.compile(r"\s" if grouping.isspace() else re.escape(grouping)) if grouping else None

    def change(text: str) -> str:
        plain = text.strip()
        if len(plain) > SPLIT_VALUES:
            raise BadValue("TYPE_MISMATCH", "The value is no number.", plain[:200])
        whole, sign, fraction = plain.partition(decimal)
        whole = groups.sub("", whole) if groups else whole
        if decimal != "." and "." in whole + fraction:
            raise BadValue("TYPE_MISMATCH", "The value is no number with these separators.", text)
        return number(f"{whole}.{fraction}" if sign else whole)

    return change


def _value_map(transformation: MapValues) -> Change:
    if not transformation.values or len(transformation.values) > MAPPED_VALUES:
        message = f"A value map must have 1 to {MAPPED_VALUES} values."
        raise InvalidMapping("TRANSFORMATION_INVALID", "values", message)
    ignores_case, otherwise = transformation.ignore_case, transformation.otherwise
    known = {(name.casefold() if ignores_case else name).strip(): to for name, to in transformation.values.items()}

    def change(text: str) -> str:
        plain = text.strip()
        made = known.get(plain.casefold() if ignores_case else plain)
        if made is not None:
            return made
        if otherwise == "reject":
            raise BadValue("VALUE_NOT_MAPPED", "The value is none of those in the value map.", text)
        return text if otherwise == "keep" else ""

    return change
