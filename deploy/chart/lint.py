"""`python -m deploy.chart.lint`: what `helm lint --strict` says of the chart with each example."""

from __future__ import annotations

import sys
from typing import Any

import helm_python
import yaml

from deploy.chart.place import CHART

INFORMATION = 1


def complaints(values: dict[str, Any]) -> list[str]:
    """Warnings and errors, as Helm words them."""
    report = helm_python.lint(CHART, values, strict=True)
    found = [f"{each['path']}: {each['error']}" for each in report["messages"] if each["severity"] > INFORMATION]
    return found or list(report["errors"])


def main() -> int:
    examples = {file.name: yaml.safe_load(file.read_text()) for file in sorted((CHART / "ci").glob("*-values.yaml"))}
    said = [f"{name}: {each}" for name, values in examples.items() for each in complaints(values)]
    print("\n".join(said) or f"deploy/k8s: linted with {len(examples)} examples, nothing to say")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
