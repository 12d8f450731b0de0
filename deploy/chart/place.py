"""Where the chart is, and the tables in it that both its templates and Python read."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import yaml

from deploy.local.instance import ROOT

CHART = ROOT / "deploy" / "k8s"


class GenerationError(Exception):
    """A source does not look as the generator expects; the message says which and what."""


def components() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _table("components.yaml")["components"]
    return found


def arrows() -> list[dict[str, str]]:
    found: list[dict[str, str]] = _table("arrows.yaml")["arrows"]
    return found


def values() -> dict[str, Any]:
    """A copy of one's own of values.yaml."""
    return deepcopy(_values())


@cache
def _values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


def _table(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "files" / name).read_text())
    return found
