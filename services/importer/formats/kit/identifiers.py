"""Finds CVE and CWE identifiers in text."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CVE = re.compile(r"(?<![A-Za-z0-9])CVE-(\d{4})-(\d{4,10})(?!\d)", re.IGNORECASE | re.ASCII)
_CWE = re.compile(r"(?<![A-Za-z0-9])CWE[-:_ ]{0,3}(\d{1,6})(?!\d)", re.IGNORECASE | re.ASCII)


def cves_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The CVE identifiers in these texts, upper case, each once, in the order of their first use."""
    # Most texts have none, which a search for the letters tells in a fraction of the time.
    found = (_CVE.findall(text) for text in texts if "cve-" in text.lower())
    return tuple(dict.fromkeys(f"CVE-{year}-{number}" for each in found for year, number in each))


def cwes_in(texts: Iterable[str]) -> tuple[int, ...]:
    """The CWE numbers in these texts (`CWE-79`, `CWE:79`), each once, in the order of their first use; zero is none."""
    found = (_CWE.findall(text) for text in texts if "cwe" in text.lower())
    return tuple(dict.fromkeys(number for each in found for digits in each if (number := int(digits))))
