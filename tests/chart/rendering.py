"""The chart as Helm renders it, without a cluster, and ways to find things in what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

from deploy.chart.place import CHART, components

CI = CHART / "ci"
RELEASE, NAMESPACE = "t", "files"
FULLNAME = "t-hythe"
OWNERS = {"Deployment", "StatefulSet", "Job"}
# The loader of libyaml: the maps of the gateway are large.
LOADER = yaml.CSafeLoader

Manifest = dict[str, Any]
Values = Mapping[str, Any]

MINIMAL: dict[str, Any] = yaml.safe_load((CI / "minimal-values.yaml").read_text())
TRIAL: dict[str, Any] = {"dev": {"enabled": True}}
SERVICES = tuple(name for name in components() if name != "gateway")
CI_FILES = sorted(file.name for file in CI.glob("*-values.yaml"))


@dataclass(frozen=True)
class Pod:
    """A pod, whatever makes it."""

    owner: str
    """Kind/name."""
    component: str
    metadata: Manifest
    spec: Manifest

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@cache
def chart() -> Chart:
    return Chart.load(CHART)


def merged(*parts: Values) -> dict[str, Any]:
    """Values over values."""
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            below = whole.get(key)
            whole[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return whole


def values_file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CI / name).read_text())
    return found


def texts(values: Values) -> dict[str, str]:
    rendered: dict[str, str] = chart().render(dict(values), name=RELEASE, namespace=NAMESPACE)
    return rendered


def render(values: Values) -> list[Manifest]:
    return [
        each
        for path, text in texts(values).items()
        if not path.endswith("NOTES.txt")
        for each in yaml.load_all(text, Loader=LOADER)
        if each
    ]


@cache
def render_file(name: str) -> list[Manifest]:
    return render(values_file(name))


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """By name, without the name of the release."""
    return {each["metadata"]["name"].removeprefix(f"{FULLNAME}-"): each for each in manifests if each["kind"] == kind}


def pods(manifests: list[Manifest]) -> Iterator[Pod]:
    for each in manifests:
        if each["kind"] not in {"Pod", *OWNERS}:
            continue
        head: Manifest = each["metadata"]
        pod: Manifest = each if each["kind"] == "Pod" else each["spec"]["template"]
        component = head["labels"]["app.kubernetes.io/component"]
        yield Pod(f"{each['kind']}/{head['name']}", component, pod["metadata"], pod["spec"])


def pod_of(manifests: list[Manifest], component: str) -> Pod:
    (found,) = (pod for pod in pods(manifests) if pod.component == component)
    return found


def variables(pod: Pod) -> dict[str, Any]:
    """Of its one container: texts, and secrets as {"name", "key"}."""
    (container,) = pod.spec["containers"]
    entries = container.get("env", [])
    names = [entry["name"] for entry in entries]
    assert len(names) == len(set(names)), f"{pod.owner} has a variable twice"
    return {
        entry["name"]: entry["value"] if "value" in entry else entry["valueFrom"]["secretKeyRef"] for entry in entries
    }


def problems_of(values: Values) -> str:
    """What Helm says against these values; empty when nothing."""
    try:
        texts(values)
    except Exception as error:  # noqa: BLE001 - the kinds of errors are the library's; the text is what counts
        return str(error)
    return ""


def source(name: str) -> Path:
    return CHART / "files" / name
