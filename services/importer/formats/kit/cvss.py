"""Reads CVSS vectors and scores of versions 2, 3.0, 3.1 and 4.0 as the tools write them."""

from __future__ import annotations

import re
from functools import lru_cache

from services.importer.formats.kit.values import decimal
from services.importer.targets.findings.records import Score

_PREFIX = re.compile(r"\(?(?:CVSS)?[:v]?(2|3|4)(?:\.(0|1))?[#/:]", re.IGNORECASE | re.ASCII)
_VERSION = re.compile(r"CVSS[:v ]?(2|3|4)(?:\.(0|1))?", re.IGNORECASE | re.ASCII)
_METRIC = re.compile(r"[A-Za-z]{1,4}:[A-Za-z]{1,8}", re.ASCII)
_VECTOR_LIMIT = 512

_SYSTEMS = {("2", "0"): "cvss2", ("3", "0"): "cvss3", ("3", "1"): "cvss3_1", ("4", "0"): "cvss4"}
_WRITTEN = {"cvss2": "", "cvss3": "CVSS:3.0/", "cvss3_1": "CVSS:3.1/", "cvss4": "CVSS:4.0/"}
_HIGHEST = 10.0


def vector_of(text: str, system: str = "") -> tuple[str, str]:
    """System and normal form of a vector: `CVSS2#AV:N/…`, `(AV:N/…)`, `CVSS:3.1/AV:N/…`.

    A vector without a version is taken for one of `system`, or judged by its metrics. Text that is no vector gives "",
    "".
    """
    text = text.strip()[:_VECTOR_LIMIT]
    return _normal_vector(text, system) if text else ("", "")


# Few are different, in a scan of any size.
@lru_cache(maxsize=1_024)
def _normal_vector(text: str, system: str) -> tuple[str, str]:
    prefix = _PREFIX.match(text)
    if prefix:
        system = _SYSTEMS.get((prefix[1], prefix[2] or "0"), "")
        text = text[prefix.end() :]
    metrics = text.strip("()/ ").split("/")
    if not all(_METRIC.fullmatch(metric) for metric in metrics):
        return "", ""
    if not system:
        names = {metric.split(":")[0] for metric in metrics}
        system = "cvss2" if "Au" in names else "cvss4" if "AT" in names else "cvss3_1" if "PR" in names else ""
    return (system, _WRITTEN[system] + "/".join(metrics)) if system else ("", "")


def system_of(name: str) -> str:
    """The system that a name like `cvss3.1` or `CVSSv2` means; "" for any other."""
    version = _VERSION.fullmatch(name.strip())
    return _SYSTEMS.get((version[1], version[2] or "0"), "") if version else ""


def score(system: str, vector: str, base: str, temporal_vector: str = "", temporal: str = "") -> Score | None:
    """One score from the texts of a tool; None when they say nothing.

    A vector that names its version overrules `system`; a temporal vector is joined to the base vector.
    """
    found, normal = vector_of(vector, system)
    _, extra = vector_of(temporal_vector, found or system)
    if normal and extra:
        normal = f"{normal}/{extra.removeprefix(_WRITTEN[found])}"
    base_score, temporal_score = _in_range(base), _in_range(temporal)
    if not normal and base_score is None and temporal_score is None:
        return None
    return Score(found or system, normal, base_score, temporal_score)


def _in_range(text: str) -> float | None:
    value = decimal(text)
    return value if value is not None and 0.0 <= value <= _HIGHEST else None
