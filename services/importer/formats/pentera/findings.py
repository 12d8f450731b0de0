"""What results of Pentera become, whether they stand in the JSON of a report or in the table of its actions.

Nothing names the kind of a result but its name: `id` in JSON is of the single result, a table has none. So the key of a
finding is the hash of its name, and the same name in either file is the same finding.

Pentera cracks passwords. Hashes and passwords are taken out of all texts; whose they are stays.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.addresses import ip_address, is_hostname, place
from services.importer.formats.kit.credentials import without_credentials
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import decimal
from services.importer.targets.findings.records import Asset, Caution, Severity

SOURCE = "Pentera"
PLACES_LIMIT = 1_000

# Low [0, 2.5), Medium [2.5, 5), High [5, 7.5), Critical [7.5, 10]: https://xsoar.pan.dev/docs/reference/integrations/pcysys
# Nothing is wrong where it is 0.
_BANDS = ((7.5, Severity.CRITICAL), (5.0, Severity.HIGH), (2.5, Severity.MEDIUM))
_HIGHEST = 10

_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9])(T\d{4}(?:\.\d{3})?)(?!\d)", re.ASCII)


def severity_of(text: str) -> tuple[Severity, tuple[Caution, ...]]:
    """The severity of a number from 0 to 10 or a word, and a caution for anything else; no text is Informational."""
    number = decimal(text)
    if number is not None and 0 <= number <= _HIGHEST:
        lowest = Severity.LOW if number else Severity.INFORMATIONAL
        return next((severity for least, severity in _BANDS if number >= least), lowest), ()
    severity = severity_of_word(text)
    if severity is not None or not text:
        return (Severity.INFORMATIONAL if severity is None else severity), ()
    return Severity.INFORMATIONAL, (
        Caution("UNKNOWN_SEVERITY", f'The severity "{text[:40]}" was read as Informational.'),
    )


def host_asset(once: Once, text: str, ref: str = "") -> Asset | None:
    """The host that a text names; None where it names none. `ref` is its id where the file has one."""
    name = place(without_credentials(text)).name
    if not name:
        return None
    ip = ip_address(name)
    return once.same(
        Asset(ref=ref or name, name=name, hostname=name if is_hostname(name) else "", ips=(ip,) if ip else ()),
    )


def techniques_in(text: str) -> tuple[str, ...]:
    """The ids of techniques of MITRE ATT&CK in a text: `Brute Force(T1110)`."""
    return tuple(dict.fromkeys(_TECHNIQUE.findall(text)))
