"""Alerts, runbooks and the dashboard speak of metrics that the code has."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from prometheus_client import REGISTRY

from deploy.chart.place import components
from deploy.local.instance import ROOT
from tests.chart.rendering import MINIMAL, Manifest, merged, of_kind, render, render_file, source, values_file

MODULES = (
    "runtime.telemetry",
    *(f"services.{name}.metrics" for name in ("fetcher", "identity", "importer", "status", "upload")),
)
RUNBOOKS = ROOT / "docs" / "runbooks"
# Envoy's, as its documentation of statistics has them for an HTTP connection manager, and Prometheus' own.
FOREIGN = {
    "up",
    "envoy_http_downstream_rq_xx",
    "envoy_http_downstream_cx_rx_bytes_total",
    "envoy_http_downstream_cx_tx_bytes_total",
}
FOREIGN_LABELS = {"namespace", "job", "le", "envoy_http_conn_manager_prefix", "envoy_response_code_class"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def our_metrics() -> dict[str, set[str]]:
    """Labels by name of series."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        for value in vars(importlib.import_module(module)).values():
            if hasattr(value, "_labelnames") and hasattr(value, "_type"):
                for suffix in SUFFIXES[value._type]:
                    found[value._name + suffix] = set(value._labelnames)
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(source("alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(source("dashboard.json").read_text())
    return found


def expressions() -> list[tuple[str, str]]:
    asked = [(rule["alert"], rule["expr"]) for rule in rules()]
    for panel in dashboard()["panels"]:
        # Grafana puts a duration there.
        asked += [(panel["title"], target["expr"].replace("$__rate_interval", "5m")) for target in panel["targets"]]
    return asked


def selectors(expression: Any) -> Iterator[Any]:
    match expression:
        case promql_parser.VectorSelector():
            yield expression
        case promql_parser.MatrixSelector():
            yield expression.vector_selector
        case promql_parser.BinaryExpr():
            yield from selectors(expression.lhs)
            yield from selectors(expression.rhs)
        case promql_parser.Call():
            for argument in expression.args:
                yield from selectors(argument)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            yield from selectors(expression.expr)


@pytest.mark.parametrize(("name", "text"), expressions())
def test_an_expression_asks_for_metrics_and_labels_that_are_there(name: str, text: str) -> None:
    ours = our_metrics()
    found = list(selectors(promql_parser.parse(text)))
    assert found
    for selector in found:
        assert selector.name in ours or selector.name in FOREIGN, f"{name}: there is no metric {selector.name}"
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert "namespace" in labels, f"{name} looks at other releases, too"
        assert labels <= ours.get(selector.name, set()) | FOREIGN_LABELS, name


def test_the_metrics_are_registered_under_those_names() -> None:
    names = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    plain = {name for name, labels in our_metrics().items() if not labels}
    assert plain <= names


@pytest.mark.parametrize(
    ("alert", "words", "path"),
    [
        ("HytheImportsFailing", {"failed"}, "services/importer/engine/attempt.py"),
        ("HytheWebhooksGivenUp", {"given_up"}, "services/importer/deliveries.py"),
        ("HytheAuditEventsLost", {"lost"}, "runtime/audit.py"),
        ("HytheScannerUnavailable", {"scanner_unavailable"}, "services/importer/scan"),
        ("HytheFetchesFailing", {"failed"}, "services/importer/engine/attempt.py"),
        ("HytheLoginsRefused", {"OK"}, "services/identity/logins.py"),
    ],
)
def test_values_of_labels_are_those_that_the_code_sets(alert: str, words: set[str], path: str) -> None:
    (rule,) = (each for each in rules() if each["alert"] == alert)
    given = {
        matcher.value
        for selector in selectors(promql_parser.parse(rule["expr"]))
        for matcher in selector.matchers.matchers
        if matcher.name not in FOREIGN_LABELS
    }
    assert given == words
    place = ROOT / path
    text = "".join(file.read_text() for file in (place.rglob("*.py") if place.is_dir() else [place])).lower()
    assert all(re.search(rf"[\"']{word.lower()}[\"']", text) for word in words)


def test_there_are_eight_alerts_and_more_each_with_a_severity_and_a_sentence() -> None:
    assert len(rules()) >= 8
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].endswith(".")
        # What a description speaks of must be a label that the expression leaves over.
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"]):
            assert re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), rule["alert"]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    names = {rule["alert"] for rule in rules()}
    assert {file.stem for file in RUNBOOKS.glob("Hythe*.md")} == names
    for name in names:
        text = (RUNBOOKS / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n")
        assert all(f"\n## {part}\n" in text for part in ("What it means", "Look at", "Do"))


def test_rendered_alerts_lead_to_their_runbooks_and_look_at_their_own_release() -> None:
    rule = of_kind(render_file("production-values.yaml"), "PrometheusRule")["monitoring"]
    rendered = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    assert [each["alert"] for each in rendered] == [each["alert"] for each in rules()]
    for each in rendered:
        assert each["annotations"]["runbook_url"] == f"https://wiki.example.com/runbooks/{each['alert']}.md"
        assert 'namespace="files"' in each["expr"]
        assert "{{ $" in each["annotations"]["description"]


def test_slow_calls_are_all_but_those_that_stream() -> None:
    descriptors = FileDescriptorSet.FromString((ROOT / "gateway" / "descriptors.pb").read_bytes())
    methods = {
        f"{file.package}.{service.name}/{method.name}": method.client_streaming or method.server_streaming
        for file in descriptors.file
        if file.package.startswith("hythe.")
        for service in file.service
        for method in service.method
    }
    (rule,) = (each for each in rules() if each["alert"] == "HytheSlowCalls")
    excluded = re.search(r'rpc_method!~"([^"]*)"', rule["expr"])
    assert excluded is not None
    streaming = {method for method, streams in methods.items() if streams}
    left_out = {method for method in methods if re.fullmatch(excluded[1], method)}
    assert streaming <= left_out
    names = {method.partition("/")[2] for method in streaming}
    assert {method.partition("/")[2] for method in left_out} == names


def absences(expression: str) -> set[str]:
    """Components whose having no pod at all is told."""
    return set(re.findall(r'or absent\(up\{[^}]*job="(\w+)"', expression))


def down_alert(rendered: list[Manifest]) -> str:
    (group,) = of_kind(rendered, "PrometheusRule")["monitoring"]["spec"]["groups"]
    (found,) = (rule["expr"] for rule in group["rules"] if rule["alert"] == "HytheComponentDown")
    promql_parser.parse(found)
    return str(found)


def test_no_pod_is_told_but_of_what_may_have_none() -> None:
    alerts = {"monitoring": {"prometheusRule": {"enabled": True}}}
    assert absences(down_alert(render(merged(MINIMAL, alerts)))) == set(components())
    scaled = down_alert(render(merged(values_file("keda-values.yaml"), alerts)))
    assert absences(scaled) == set(components()) - {"worker"}
    assert "|worker|" in scaled


def test_an_alert_can_be_left_out() -> None:
    some = {"monitoring": {"prometheusRule": {"enabled": True, "disabled": ["HytheSlowCalls"]}}}
    (group,) = of_kind(render(merged(MINIMAL, some)), "PrometheusRule")["monitoring"]["spec"]["groups"]
    assert {rule["alert"] for rule in rules()} - {rule["alert"] for rule in group["rules"]} == {"HytheSlowCalls"}


def test_jobs_in_expressions_are_components_which_the_service_monitor_makes_them() -> None:
    monitor = of_kind(render_file("production-values.yaml"), "ServiceMonitor")["monitoring"]["spec"]
    assert monitor["jobLabel"] == "app.kubernetes.io/component"
    (down,) = (rule for rule in rules() if rule["alert"] == "HytheComponentDown")
    jobs = re.search(r'job=~"([^"]*)"', down["expr"])
    assert jobs is not None
    assert set(jobs[1].split("|")) == set(components()) == absences(down["expr"])
    watched = [
        each
        for each in of_kind(render_file("production-values.yaml"), "Service").values()
        if any(port["name"] == "metrics" for port in each["spec"]["ports"])
    ]
    assert {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in watched} == set(components())


def test_the_dashboard_arrives_whole() -> None:
    maps = of_kind(render_file("production-values.yaml"), "ConfigMap")
    assert json.loads(maps["dashboard"]["data"]["hythe.json"]) == dashboard()
    assert maps["dashboard"]["metadata"]["labels"]["grafana_dashboard"] == "1"
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids)) >= 12
