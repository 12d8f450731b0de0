"""Where the values of an attribute come from: locators, several with a concatenator, a template, by a condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.importer.formats.objects.mapping.conditions import Holds, Subject, read_condition
from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.texts import (
    Values,
    bounded,
    filled,
    joined,
    read_concatenator,
    read_template,
    side_by_side,
)
from services.importer.targets.objects.rules import AttributeRule, Branch, Condition

LOCATORS, BRANCHES = 50, 100

Take = Callable[[Sequence[Values]], Values]
"""The values of an attribute, of those at all its locators. Raises `BadValue`."""


class Places:
    """The locators that an attribute needs, each once, in the order of their first use."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}

    def at(self, locator: str) -> int:
        """The place of a locator, from 0. Raises `InvalidMapping` (`LOCATOR_INVALID`)."""
        if not locator.strip():
            raise InvalidMapping("LOCATOR_INVALID", "", "A locator is empty.")
        if len(self._at) >= LOCATORS and locator not in self._at:
            raise InvalidMapping("LOCATOR_INVALID", "", f"An attribute has more than {LOCATORS} locators.")
        return self._at.setdefault(locator, len(self._at))

    @property
    def locators(self) -> tuple[str, ...]:
        """All, by their places."""
        return tuple(self._at)


def source_of(rule: AttributeRule, places: Places, concatenator: str) -> Take:
    """Raises `InvalidMapping`."""
    joiner = concatenator if rule.concatenator is None else read_concatenator(rule.concatenator)
    if len(rule.branches) > BRANCHES:
        raise InvalidMapping("CONDITION_INVALID", "conditions", f"An attribute has more than {BRANCHES} conditions.")
    otherwise = _plain_source(rule.template, rule.locators, places, joiner, "attributeLocators")
    branches = []
    for at, branch in enumerate(rule.branches):
        try:
            branches.append((read_when(branch.when, places), _branch(branch, places, joiner)))
        except InvalidMapping as error:
            raise error.within(f"conditions[{at}]") from None
    if not branches:
        return otherwise

    def take(values: Sequence[Values]) -> Values:
        for holds, source in branches:
            if holds(values):
                return source(values)
        return otherwise(values)

    return take


def read_when(condition: Condition, places: Places) -> Holds:
    """A condition on what stands at locators. Raises `InvalidMapping`."""

    def subject_of(comparison: Condition) -> Subject:
        if comparison.attribute_id or not comparison.locator:
            raise InvalidMapping("CONDITION_INVALID", "locator", "A condition must name the locator that it looks at.")
        return Subject(places.at(comparison.locator))

    try:
        return read_condition(condition, subject_of)
    except InvalidMapping as error:
        raise error.within("when") from None


def _branch(branch: Branch, places: Places, joiner: str) -> Take:
    if [branch.value is not None, bool(branch.locators), branch.template is not None].count(True) != 1:
        message = "A condition must lead to exactly one of a value, locators and a template."
        raise InvalidMapping("CONDITION_INVALID", "", message)
    if branch.value is not None:
        fixed = (branch.value,) if branch.value else ()
        return lambda _: fixed
    return _plain_source(branch.template, branch.locators, places, joiner, "locators")


def _plain_source(template: str | None, locators: Sequence[str], places: Places, joiner: str, name: str) -> Take:
    if template is not None:
        return _template_source(template, places)
    try:
        found = [places.at(each) for each in locators]
    except InvalidMapping as error:
        raise error.within(name) from None
    if not found:
        return lambda _: ()
    if len(found) == 1:
        (only,) = found
        return lambda values: tuple(filter(None, values[only]))

    def concatenated(values: Sequence[Values]) -> Values:
        rows = side_by_side([values[at] for at in found])
        return bounded(joined(joiner, tuple(filter(None, row))) for row in rows)

    return concatenated


def _template_source(text: str, places: Places) -> Take:
    try:
        template = read_template(text)
        found = [places.at(each) for each in template.locators]
    except InvalidMapping as error:
        raise error.within("template") from None
    if not found:
        fixed = template.texts if template.texts[0] else ()
        return lambda _: fixed
    return lambda values: bounded(filled(template, row) for row in side_by_side([values[at] for at in found]))
