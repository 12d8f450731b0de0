"""What the walk over a Nexpose report hands to `read`: checks that found something, hosts, and definitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.node import Once


@dataclass(slots=True)
class Service:
    """What listens on a port; without one it is the host itself. `software` are the attributes of its fingerprint.

    `place` is port, protocol and name once they were read.
    """

    port: str = ""
    protocol: str = ""
    name: str = ""
    is_open: bool = True
    software: dict[str, str] = field(default_factory=dict)
    place: tuple[int, str, str] | None = None


@dataclass(slots=True)
class Host:
    """A `node`, or the `device` of the simple form. What is inside it is filled in until its end.

    `ref` is what its records are called, once that was read.
    """

    attributes: dict[str, str]
    names: list[str] = field(default_factory=list)
    systems: list[dict[str, str]] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    has_checks: bool = False
    ref: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class Check:
    """A check that found something: a `test`, in the simple form a `vulnerability`."""

    element: Element
    status: str
    host: Host
    service: Service
    once: Once
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class Definition:
    """A `vulnerability` of the glossary, which stands after all hosts."""

    element: Element
    notes: tuple[Note, ...] = ()


# Result codes of the simple form, as Rapid7's documentation lists them, in the words of the full form.
_CODES = {
    "VE": "vulnerable-exploited",
    "VV": "vulnerable-version",
    "VP": "vulnerable-potential",
    "EE": "exception-vulnerable-exploited",
    "EV": "exception-vulnerable-version",
    "EP": "exception-vulnerable-potential",
}
_POSITIVE = frozenset({"", "exploited", "potential"})


def status_of(attributes: dict[str, str]) -> str | None:
    """What a check found; None where it found nothing, was skipped, or failed.

    A check without a status is there because it found something.
    """
    if "resultCode" in attributes:
        return _CODES.get(attributes["resultCode"].strip().upper())
    word = attributes.get("status", "").strip().lower()
    return word if word in _POSITIVE or word.startswith(("vulnerable", "exception-vulnerable")) else None


def is_excepted(status: str) -> bool:
    """Has somebody decided that this is not to be reported?"""
    return "exception" in status


def key_of(identifier: str) -> str:
    """Ids differ in case between checks and definitions."""
    return identifier.strip().lower()
