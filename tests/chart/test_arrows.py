"""The network policies let through the arrows of the table and nothing else, and the arrows are what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.chart.place import arrows, components
from deploy.chart.settings import CLASSES
from deploy.local.instance import ROOT
from runtime.settings import ObjectStoreSettings, QueueSettings
from services.importer.settings import ImporterSettings
from tests.chart.rendering import (
    MINIMAL,
    SERVICES,
    TRIAL,
    Manifest,
    merged,
    of_kind,
    pods,
    render,
    render_file,
    values_file,
)

OURS = {**{name: facts["port"] for name, facts in components().items()}, "postgresql": 5432, "nats": 4222, "s3": 8333}
DNS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
Arrow = tuple[str, str, str | int]


def table() -> set[tuple[str, str]]:
    return {(each["from"], each["to"]) for each in arrows() if each.get("port") != "metrics"}


# --- the table against the code


@pytest.mark.parametrize("name", SERVICES)
def test_who_calls_whom_is_what_the_composition_root_asks_for(name: str) -> None:
    module = components()[name]["module"].replace(".", "/")
    text = (ROOT / f"{module}.py").read_text()
    required = set(re.findall(r"required\(settings\.(\w+)_address", text))
    assert required == set(components()[name].get("calls", []))
    assert required == {to for source, to in table() if source == name and to in SERVICES}


@pytest.mark.parametrize("name", SERVICES)
def test_who_uses_which_server_is_what_the_settings_ask_for(name: str) -> None:
    settings, facts = CLASSES[name], components()[name]
    reached = {to for source, to in table() if source == name}
    assert "postgresql" in reached
    assert ("nats" in reached) == issubclass(settings, QueueSettings) == ("nats" in facts)
    assert ("objectStore" in reached) == issubclass(settings, ObjectStoreSettings) == facts.get("objectStore", False)
    assert ("webhooks" in reached) == (settings is ImporterSettings)
    assert ("sources" in reached) == ("fetch_allow" in settings.model_fields)
    assert ("scanner" in reached) == ("scan_url" in settings.model_fields)
    assert ("collector" in reached) == ("otlp_endpoint" in settings.model_fields)
    assert facts.get("seals", False) == ("secrets_key" in settings.model_fields)
    databases = {
        f"HYTHE_{field.upper()}"
        for field, of in settings.model_fields.items()
        if field.endswith("database_url") and of.is_required()
    }
    assert set(facts["database"]) == databases


def test_the_gateway_reaches_what_its_configuration_has_clusters_for() -> None:
    text = (ROOT / "gateway" / "envoy.yaml").read_text()
    clusters = set(re.findall(r"^  - name: (\w+)\n    type: STRICT_DNS", text, re.MULTILINE))
    assert {to for source, to in table() if source == "gateway"} == {*clusters - {"s3"}, "objectStore"}


# --- the policies against the table


def component(selector: Manifest) -> str:
    labels: dict[str, str] = selector["matchLabels"]
    assert labels["app.kubernetes.io/instance"] == "t"
    return labels["app.kubernetes.io/component"]


def ends(rule: Manifest, side: str) -> Iterator[tuple[str, str | int]]:
    """(who, port) for each peer; whoever is not ours is `outside`."""
    ports = [each["port"] for each in rule.get("ports", [])] or ["any"]
    for peer in rule.get(side, [{}]):
        who = (
            component(peer["podSelector"])
            if set(peer) == {"podSelector"} and "app.kubernetes.io/instance" in str(peer)
            else "outside"
        )
        yield from ((who, port) for port in ports)


def arrows_in(manifests: list[Manifest]) -> tuple[set[Arrow], set[Arrow]]:
    """Of egress rules and of ingress rules, without DNS."""
    out: set[Arrow] = set()
    into: set[Arrow] = set()
    for name, policy in of_kind(manifests, "NetworkPolicy").items():
        spec = policy["spec"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        if name == "default-deny":
            continue
        own = component(spec["podSelector"])
        for rule in spec.get("egress", []):
            if rule.get("ports") != DNS:
                out |= {(own, who, port) for who, port in ends(rule, "to")}
        for rule in spec.get("ingress", []):
            into |= {(who, own, port) for who, port in ends(rule, "from")}
    return out, into


PORTS: dict[str, str | int] = {"sources": "any", "webhooks": 443, "publicUrl": 443, "collector": 4317, "scanner": 1344}


def expected(manifests: list[Manifest], store_port: int, *, absent: set[str]) -> tuple[set[Arrow], set[Arrow]]:
    """By the table, for a release with these pods."""
    there = {pod.component for pod in pods(manifests)}
    by_kind: dict[str | None, str | int] = {"metrics": 9100, "monitoring": 8222}
    by_end: dict[str, str | int] = {**OURS, **PORTS, "s3": store_port}
    out: set[Arrow] = set()
    into: set[Arrow] = set()
    for each in arrows():
        if absent & {each["from"], each["to"]}:
            continue
        source, to = each["from"], each["to"].replace("objectStore", "s3")
        port = by_kind.get(each.get("port")) or by_end[to]
        if source in there:
            out.add((source, to if to in there else "outside", port))
        if to in there:
            into.add((source if source in there else "outside", to, port))
    return out, into


def test_policies_of_a_trial_are_the_table() -> None:
    manifests = render(merged(TRIAL, {"publicUrl": "https://hythe.example.com"}))
    assert arrows_in(manifests) == expected(manifests, 8333, absent={"scanner", "collector"})


def test_policies_of_production_are_the_table() -> None:
    manifests = render_file("production-values.yaml")
    absent = {"scanner", "collector", "keda", "dev-roles", "dev-bucket"}
    assert arrows_in(manifests) == expected(manifests, 443, absent=absent)


def test_scanner_and_collector_are_reached_where_there_are_such() -> None:
    values = values_file("placed-values.yaml")
    values["fullnameOverride"] = "t-hythe"
    manifests = render(values)
    out, into = arrows_in(manifests)
    wanted, let_in = expected(manifests, 9000, absent={"keda", "dev-roles", "dev-bucket"})
    # A source in a private network, as the values say.
    assert out == wanted | {("fetcher", "outside", 5432)}
    assert into == let_in


@pytest.mark.parametrize("name", ["trial-values.yaml", "production-values.yaml"])
def test_everything_is_denied_first_and_every_pod_has_its_policy(name: str) -> None:
    manifests = render_file(name)
    policies = of_kind(manifests, "NetworkPolicy")
    deny = policies["default-deny"]["spec"]
    assert set(deny) == {"podSelector", "policyTypes"}
    assert deny["podSelector"] == {
        "matchLabels": {"app.kubernetes.io/name": "hythe", "app.kubernetes.io/instance": "t"}
    }
    for pod in pods(manifests):
        labels = pod.metadata["labels"]
        assert deny["podSelector"]["matchLabels"].items() <= labels.items(), pod.owner
        assert policies[pod.component]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_only_importer_and_fetcher_reach_the_internet_and_neither_the_private_networks() -> None:
    far: dict[str, list[Any]] = {}
    for name, policy in of_kind(render(TRIAL), "NetworkPolicy").items():
        for rule in policy["spec"].get("egress", []):
            blocks = [peer["ipBlock"] for peer in rule.get("to", []) if "ipBlock" in peer]
            if blocks:
                far[name] = blocks
            assert rule.get("to") or rule.get("ports"), f"{name} may go anywhere"
    assert set(far) == {"importer", "fetcher"}
    for blocks in far.values():
        assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(blocks[0]["except"])


def test_peers_of_ones_own_narrow_the_ways_out() -> None:
    egress = of_kind(render_file("production-values.yaml"), "NetworkPolicy")["worker"]["spec"]["egress"]
    assert {"ports": [{"port": 5432, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "192.0.2.10/32"}}]} in egress


def test_policies_can_be_switched_off() -> None:
    assert of_kind(render(merged(MINIMAL, {"networkPolicy": {"enabled": False}})), "NetworkPolicy") == {}


def test_the_migration_goes_by_the_policy_of_its_own_release() -> None:
    manifests = render_file("minimal-values.yaml")
    policies = of_kind(manifests, "NetworkPolicy")
    hook = policies["migrate"]["metadata"]["annotations"]
    job = of_kind(manifests, "Job")["migrate"]["metadata"]["annotations"]
    assert hook["helm.sh/hook"] == job["helm.sh/hook"]
    assert int(hook["helm.sh/hook-weight"]) < int(job["helm.sh/hook-weight"])
    assert {name for name, each in policies.items() if "annotations" in each["metadata"]} == {"migrate"}
    plain = of_kind(render_file("external-secrets-values.yaml"), "NetworkPolicy")["migrate"]["metadata"]
    assert "annotations" not in plain


def test_ports_are_those_of_the_pods_behind_a_service() -> None:
    behind = {"objectStore": {"endpoint": "store.example.com:80", "port": 8080}, "test": {"port": 8443}}
    policies = of_kind(render(merged(MINIMAL, behind)), "NetworkPolicy")
    worker, test = (
        {rule["ports"][0]["port"] for rule in policies[name]["spec"]["egress"]} for name in ("worker", "test")
    )
    assert {8080} <= worker
    assert 80 not in worker
    assert 8443 in test
    assert 443 not in test


def test_dns_may_have_another_place_and_port() -> None:
    for policy in of_kind(render_file("openshift-values.yaml"), "NetworkPolicy").values():
        for rule in policy["spec"].get("egress", [])[:1]:
            assert [each["port"] for each in rule["ports"]] == [5353, 5353]
            assert "openshift-dns" in str(rule["to"])
