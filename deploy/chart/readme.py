"""README.md of the chart: a text of our own, and tables made of values.yaml, files/arrows.yaml and the settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import yaml

from deploy.chart.comments import default_of, descriptions
from deploy.chart.place import CHART, GenerationError, arrows
from deploy.chart.settings import CLASSES, open_settings

SOURCE = CHART.parent / "chart" / "README.md.in"
LONGEST_DEFAULT = 60


def text() -> str:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    filled = SOURCE.read_text()
    tables = {
        "VERSION": chart["version"],
        "KUBERNETES": chart["kubeVersion"].removesuffix("-0").removeprefix(">="),
        "VALUES": values_table(),
        "SETTINGS": settings_table(),
        "ARROWS": arrows_table(),
        "ALERTS": alerts_table(),
    }
    for name, table in tables.items():
        if filled.count("{{" + name + "}}") != 1:
            raise GenerationError(f"{SOURCE.name} does not have {{{{{name}}}}} once.")
        filled = filled.replace("{{" + name + "}}", table)
    return filled


def values_table() -> str:
    rows = [(f"`{'.'.join(path)}`", _shown(default_of(path)), about) for path, about in descriptions().items()]
    return table(("Key", "Default", "Meaning"), rows)


def _shown(value: object) -> str:
    written = json.dumps(value, ensure_ascii=False)
    return f"`{written}`" if len(written) <= LONGEST_DEFAULT else "see values.yaml"


def settings_table() -> str:
    where: dict[str, list[str]] = {}
    about: dict[str, str] = {}
    for component in CLASSES:
        for name, shape in open_settings(component).items():
            where.setdefault(name, []).append(component)
            about.setdefault(name, shape["description"])
    everywhere = list(CLASSES)
    rows = [
        (f"`{name}`", "all" if of == everywhere else ", ".join(of), about[name]) for name, of in sorted(where.items())
    ]
    return table(("Setting", "Of", "Meaning"), rows)


def arrows_table() -> str:
    return table(
        ("From", "To", "What"),
        [
            (each["from"], each["to"] + (f" ({port})" if (port := each.get("port")) else ""), each["what"])
            for each in arrows()
        ],
    )


def alerts_table() -> str:
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    return table(
        ("Alert", "Severity", "Meaning"),
        [
            (
                f"[{rule['alert']}](../../docs/runbooks/{rule['alert']}.md)",
                rule["labels"]["severity"],
                rule["annotations"]["summary"],
            )
            for group in rules["groups"]
            for rule in group["rules"]
        ],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
