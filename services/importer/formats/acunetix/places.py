"""Where the reports of Acunetix place a finding: the URL that a scan began with, and what of it is affected."""

from __future__ import annotations

from typing import NamedTuple

from services.importer.formats.kit.addresses import Origin, origin
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import URL_LIMIT, line
from services.importer.targets.findings.records import Caution, Severity

# What is written where there is nothing to tell.
_NOTHING = frozenset({"", "unknown", "none"})
_LEVELS = dict(zip("43210", Severity, strict=True))


class Scan(NamedTuple):
    """What was scanned: the URL as it was given, often without a scheme, and what the scanner took the host for."""

    url: str
    origin: Origin
    system: str = ""
    server: str = ""


def scan_of(url: str, system: str = "", server: str = "") -> Scan:
    """A scan by its first URL, the name of an operating system, and that of a web server."""
    system, server = ("" if text.lower() in _NOTHING else text for text in (line(system), line(server)))
    return Scan(line(url, URL_LIMIT), origin(url), system, server)


def location_of(scan: Scan, affected: str) -> str:
    """The URL of what is affected: a path of the site; anything else is no place on it, so it is the whole site."""
    affected = line(affected, URL_LIMIT)
    if "://" in affected:
        return affected
    if not affected.startswith("/"):
        return scan.url
    scheme, separator, rest = scan.url.rpartition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}{affected}"[:URL_LIMIT]


def severity_of(told: str) -> tuple[Severity, tuple[Caution, ...]]:
    """The severity of a word, or of a level from 0 to 4 as the API has it."""
    severity = _LEVELS.get(told)
    severity = severity_of_word(told) if severity is None else severity
    if severity is not None:
        return severity, ()
    message = f'The severity "{line(told, 40)}" was read as Informational.'
    return Severity.INFORMATIONAL, (Caution("UNKNOWN_SEVERITY", message),)
