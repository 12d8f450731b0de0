"""The values: every example renders to what three minors of Kubernetes take, and a wrong key is refused."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from deploy.chart.__main__ import generated, stale
from deploy.chart.comments import default_of, descriptions, leaves
from deploy.chart.lint import complaints
from deploy.chart.place import CHART, components, values
from tests.chart.rendering import (
    CI_FILES,
    MINIMAL,
    TRIAL,
    Manifest,
    merged,
    problems_of,
    render_file,
    texts,
    values_file,
)

# The oldest that the chart takes, one between, the newest that there are schemas of.
KUBERNETES = ("1.30", "1.34", "1.37")
CUSTOM = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "schemas").glob("*.json")}
# What a person brings in extraObjects is theirs.
FOREIGN = {"ExternalSecret"}


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once() -> Iterator[None]:
    """The library reads megabytes for each object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))
        yield


def test_there_are_examples_enough() -> None:
    assert len(CI_FILES) >= 8


@pytest.mark.parametrize("name", CI_FILES)
def test_an_example_lints_without_a_warning(name: str) -> None:
    assert complaints(values_file(name)) == []


def test_the_lint_can_fail() -> None:
    assert complaints({"publicURL": "https://hythe.example.com"})


@pytest.mark.parametrize("name", CI_FILES)
def test_every_object_is_as_kubernetes_and_the_custom_resources_want_it(name: str) -> None:
    manifests = render_file(name)
    assert manifests
    # Most objects of most examples are the same.
    for text in {json.dumps(each, sort_keys=True) for each in manifests}:
        check_text(text)


@cache
def check_text(text: str) -> None:
    check(json.loads(text))


def check(manifest: Manifest) -> None:
    if manifest["kind"] in CUSTOM:
        jsonschema.validate(manifest, CUSTOM[manifest["kind"]])
    elif manifest["kind"] not in FOREIGN:
        for version in KUBERNETES:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_check_can_fail() -> None:
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "x", "namespace": "y"},
    }
    check({**route, "spec": {"hostnames": ["example.com"]}})
    with pytest.raises(jsonschema.ValidationError):
        check({**route, "spec": {"hostname": "example.com"}})
    with pytest.raises(jsonschema.ValidationError):
        check({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": []}})


@pytest.mark.parametrize("name", CI_FILES)
def test_no_two_objects_have_one_name(name: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in render_file(name)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", CI_FILES)
def test_names_and_labels_are_short_enough(name: str) -> None:
    for each in render_file(name):
        assert len(each["metadata"]["name"]) <= 63
        for value in each["metadata"].get("labels", {}).values():
            assert len(value) <= 63


@pytest.mark.parametrize(
    "wrong",
    [
        {"publicURL": "https://hythe.example.com"},
        {"image": {"tags": "1"}},
        {"defaults": {"replica": 2}},
        {"worker": {"kedda": {"enabled": True}}},
        {"worker": {"keda": {"enable": True}}},
        {"worker": {"settings": {"smal_slots": 1}}},
        {"worker": {"settings": {"upload_url_seconds": 1}}},
        {"settings": {"database_url": "postgresql://somewhere"}},
        {"upload": {"keda": {"enabled": True}}},
        {"gateway": {"settings": {"log_level": "DEBUG"}}},
        {"upload": {"resources": {"limit": {"memory": "1Gi"}}}},
        {"monitoring": {"dashbord": {"enabled": True}}},
        {"dev": {"nats": {"image": {"name": "nats"}}}},
        {"ingress": {"hosts": [{"hostname": "hythe.example.com"}]}},
    ],
    ids=json.dumps,
)
def test_a_misspelt_key_is_refused(wrong: dict[str, Any]) -> None:
    assert "additional properties" in problems_of(merged(MINIMAL, wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": {"pullPolicy": "Sometimes"}},
        {"upload": {"image": {"digest": "sha256:1234"}}},
        {"publicUrl": "hythe.example.com"},
        {"publicUrl": "https://hythe.example.com/path"},
        {"objectStore": {"endpoint": "https://s3.example.com"}},
        {"gateway": {"corsOriginRegex": "'}}, evil: {"}},
        {"gateway": {"service": {"type": "ExternalName"}}},
        {"migrations": {"mode": "init"}},
        {"defaults": {"runAsUser": 0}},
        {"upload": {"podDisruptionBudget": {"maxUnavailable": 0}}},
    ],
    ids=json.dumps,
)
def test_a_value_without_meaning_is_refused(wrong: dict[str, Any]) -> None:
    assert "specifications of the schema" in problems_of(merged(MINIMAL, wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"publicUrl": ""}, "publicUrl is required"),
        ({"secrets": {"existingSecret": ""}}, "secrets.existingSecret is required"),
        ({"postgresql": {"existingSecret": ""}}, "postgresql.existingSecret is required"),
        ({"nats": {"existingSecret": ""}}, "nats.existingSecret is required"),
        ({"objectStore": {"existingSecret": ""}}, "objectStore.existingSecret is required"),
        ({"objectStore": {"endpoint": ""}}, "objectStore.endpoint is required"),
        ({"firstAdmin": {"existingSecret": ""}}, "firstAdmin.existingSecret is required"),
        ({"firstAdmin": {"enabled": False}}, "test.existingSecret is required"),
        ({"gateway": {"tls": {"enabled": True}}}, "gateway.tls.existingSecret is required"),
        ({"gateway": {"behindProxy": True}}, "networkPolicy.clients is required"),
        ({"worker": {"keda": {"enabled": True}}}, "nats.monitoringEndpoint is required"),
        ({"worker": {"terminationGracePeriodSeconds": 39}}, "worker.terminationGracePeriodSeconds must be 40"),
        ({"upload": {"settings": {"drain_seconds": 60}}}, "upload.terminationGracePeriodSeconds must be 85"),
        ({"gateway": {"preStopSeconds": 90}}, "gateway.terminationGracePeriodSeconds must be 90"),
        ({"upload": {"autoscaling": {"enabled": True, "minReplicas": 9}}}, "minReplicas is more than maxReplicas"),
        ({"upload": {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 0}}}, "aims at nothing"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is required"),
        ({"ingress": {"enabled": True}}, "ingress.hosts is required"),
        ({"upload": {"extraEnv": [{"name": "HYTHE_S3_BUCKET", "value": "x"}]}}, "upload.extraEnv has HYTHE_S3_BUCKET"),
        ({"defaults": {"extraEnv": [{"name": "HOME", "value": "/"}]}}, "worker.extraEnv has HOME"),
        (
            {
                "worker": {
                    "settings": {"lease_seconds": 30},
                    "extraEnv": [{"name": "HYTHE_LEASE_SECONDS", "value": "60"}],
                }
            },
            "worker.extraEnv has HYTHE_LEASE_SECONDS",
        ),
        (
            {"gateway": {"extraEnv": [{"name": "TZ", "value": "UTC"}, {"name": "TZ", "value": "CET"}]}},
            "gateway.extraEnv has TZ",
        ),
        ({"worker": {"settings": {"small_slots": 4}}}, "worker.resources.limits.memory must be 5632Mi"),
        ({"settings": {"large_slots": 2}}, "worker.resources.limits.memory must be 4608Mi"),
        (
            {"worker": {"settings": {"parser_memory_bytes": 2147483648}}},
            "worker.resources.limits.memory must be 6656Mi",
        ),
        ({"worker": {"resources": {"limits": {"memory": "3.4Gi"}}}}, "worker.resources.limits.memory must be 3584Mi"),
        (
            {"fetcher": {"resources": {"limits": {"memory": 4831838207}}}},
            "fetcher.resources.limits.memory must be 4608Mi",
        ),
        (
            {"importer": {"resources": {"limits": {"memory": "512Mi"}}}},
            "importer.resources.limits.memory must be 1536Mi",
        ),
        ({"worker": {"resources": {"limits": {"memory": "lots"}}}}, "write lots as a number with a unit"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_with_a_word(wrong: dict[str, Any], said: str) -> None:
    assert said in problems_of(merged(MINIMAL, wrong))


@pytest.mark.parametrize(
    "fitting",
    [
        {"worker": {"settings": {"small_slots": 1, "large_slots": 0}, "resources": {"limits": {"memory": "1536Mi"}}}},
        {"worker": {"resources": {"limits": {"memory": 3758096384}}}},
        {"worker": {"resources": {"limits": {"memory": "3.5Gi"}}}},
        {"upload": {"extraEnv": [{"name": "TZ", "value": "UTC"}]}},
    ],
    ids=json.dumps,
)
def test_values_that_fit_together_are_taken(fitting: dict[str, Any]) -> None:
    assert problems_of(merged(MINIMAL, fitting)) == ""


def test_keda_and_an_autoscaler_exclude_each_other() -> None:
    both = {"keda": {"enabled": True}, "autoscaling": {"enabled": True}}
    assert "exclude each other" in problems_of(merged(TRIAL, {"worker": both}))


def test_a_trial_may_have_servers_of_ones_own() -> None:
    without = merged(TRIAL, {"dev": {"postgresql": {"enabled": False}}})
    assert "postgresql.existingSecret is required" in problems_of(without)
    assert problems_of(merged(without, {"postgresql": {"existingSecret": "own"}})) == ""


def test_the_schema_knows_every_key_and_takes_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    for path in leaves(values()):
        place = schema
        for key in path:
            # Labels and quantities have names that nobody can list.
            if key in {"requests", "limits", "grafana_dashboard"}:
                break
            assert place.get("additionalProperties") is False, path
            place = place["properties"][key]
    shared = set(schema["properties"]["defaults"]["properties"])
    for name in components():
        assert shared <= set(schema["properties"][name]["properties"]), name


def test_every_key_is_described() -> None:
    described = descriptions()
    assert all(text.endswith((".", "…")) for text in described.values())
    assert len(described) > 150


def test_defaults_are_what_the_table_says() -> None:
    assert default_of(("worker", "keda", "maxReplicas")) == 10


def test_what_is_generated_is_what_is_committed() -> None:
    assert stale(generated()) == []


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def test_no_digest_is_written_and_no_image_is_from_where_they_are_not_kept() -> None:
    for text in strings(values()):
        assert not text.startswith("sha256:")
        assert "bitnami" not in text
        assert "minio" not in text


def test_a_release_fits_into_its_secret() -> None:
    """Helm keeps chart, values and manifest as one gzipped secret, of which the cluster takes 1 MiB."""
    rendered = "".join(texts(values_file("production-values.yaml")).values())
    kept = [file for file in CHART.rglob("*") if file.is_file() and file.parent.name != "ci"]
    files = [base64.b64encode(file.read_bytes()).decode() for file in kept]
    # Twice base64: the data of a file in JSON, and the whole.
    release = base64.b64encode(gzip.compress(json.dumps({"files": files, "manifest": rendered}).encode()))
    assert len(base64.b64encode(release)) < 1 << 20
