"""Reads severities: the words of the tools and the bands of CVSS."""

from __future__ import annotations

from services.importer.targets.findings.records import Severity

WORDS = {
    "critical": Severity.CRITICAL,
    "urgent": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "serious": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
    "minimal": Severity.LOW,
    "informational": Severity.INFORMATIONAL,
    "information": Severity.INFORMATIONAL,
    "info": Severity.INFORMATIONAL,
    "none": Severity.INFORMATIONAL,
    "log": Severity.INFORMATIONAL,
}

# The qualitative rating scale of CVSS v3.1 §5 and v4.0 §6: the lowest score of each band.
_BANDS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))


def severity_of_word(word: str) -> Severity | None:
    """The severity a word stands for, in any case; None for a word that is none."""
    return WORDS.get(word.strip().lower())


def severity_of_score(score: float) -> Severity:
    """The severity of a CVSS base score. Version 2, which has no critical band, is read like version 3."""
    for lowest, severity in _BANDS:
        if score >= lowest:
            return severity
    return Severity.INFORMATIONAL
