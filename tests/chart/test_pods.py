"""Every pod meets the restricted Pod Security Standard, and no credential stands where it can be read."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.rendering import CI_FILES, TRIAL, Manifest, Pod, of_kind, pod_of, pods, render, render_file

# https://kubernetes.io/docs/concepts/security/pod-security-standards/: volumes of the restricted profile.
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def violations(pod: Pod) -> Iterator[str]:
    """Of the restricted profile, and of our own rules beyond it: read-only root, no token, bounded scratch space."""
    spec, context = pod.spec, pod.spec.get("securityContext", {})
    rules = {
        "a namespace of the host": any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
        "may be root": context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0,
        "no seccomp profile": context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"},
        "sysctls": bool(context.get("sysctls")),
        "a token is mounted": spec.get("automountServiceAccountToken") is not False,
        "names of services come in as variables": spec.get("enableServiceLinks") is not False,
    }
    yield from (rule for rule, is_broken in rules.items() if is_broken)
    for volume in spec.get("volumes", []):
        if kinds := set(volume) - VOLUMES - {"name"}:
            yield f"volume {volume['name']} is a {kinds}"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no limit"
    for container in pod.containers:
        yield from (f"{container['name']}: {found}" for found in container_violations(container))


def container_violations(container: Manifest) -> Iterator[str]:
    context, resources = container.get("securityContext", {}), container.get("resources", {})
    capabilities = context.get("capabilities", {})
    seccomp = context.get("seccompProfile", {}).get("type")
    rules = {
        "privileges may grow": context.get("allowPrivilegeEscalation") is not False,
        "privileged": bool(context.get("privileged")),
        "may be root": context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False,
        "capabilities": capabilities.get("drop") != ["ALL"] or bool(capabilities.get("add")),
        "seccomp or /proc": seccomp == "Unconfined" or "procMount" in context,
        "writable root": context.get("readOnlyRootFilesystem") is not True,
        "a port of the host": any("hostPort" in port for port in container.get("ports", [])),
        "no resources": "memory" not in resources.get("limits", {})
        or not {"cpu", "memory"} <= set(resources.get("requests", {})),
        "an image without a version": re.search(r":latest$|^[^:@]+$", container["image"]) is not None,
    }
    yield from (rule for rule, is_broken in rules.items() if is_broken)


@pytest.mark.parametrize("name", CI_FILES)
def test_every_pod_meets_the_restricted_standard(name: str) -> None:
    found = {f"{pod.owner}: {violation}" for pod in pods(render_file(name)) for violation in violations(pod)}
    assert found == set()


def test_jobs_and_the_test_are_among_them() -> None:
    components = {pod.component for pod in pods(render_file("trial-values.yaml"))}
    assert {
        "migrate",
        "first-admin",
        "dev-roles",
        "dev-bucket",
        "test",
        "postgresql",
        "nats",
        "s3",
        "gateway",
    } <= components


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda spec: spec.update(hostNetwork=True), "host"),
        (lambda spec: spec["securityContext"].update(runAsNonRoot=False), "root"),
        (lambda spec: spec["containers"][0]["securityContext"].update(capabilities={"drop": []}), "capabilities"),
        (lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "hostPath"),
        (lambda spec: spec["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"), "writable"),
    ],
)
def test_the_check_can_fail(spoil: Any, said: str) -> None:
    pod = pod_of(render(TRIAL), "upload")
    assert list(violations(pod)) == []
    spoil(pod.spec)
    assert any(said in each for each in violations(pod))


def test_the_platform_may_choose_the_user() -> None:
    for pod in pods(render_file("openshift-values.yaml")):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod.spec["securityContext"]), pod.owner


def secrets_of_the_trial(manifests: list[Manifest]) -> set[str]:
    """Every generated credential, in clear."""
    (secret,) = (each for name, each in of_kind(manifests, "Secret").items() if name == "dev")
    return {
        base64.b64decode(value).decode()
        for key, value in secret["data"].items()
        if not key.endswith(("-url", ".json", ".pem"))
    }


def test_no_credential_of_a_trial_is_outside_its_secrets() -> None:
    manifests = render(TRIAL)
    credentials = secrets_of_the_trial(manifests)
    assert len(credentials) > 15
    for each in manifests:
        if each["kind"] != "Secret":
            text = str(each)
            assert not [credential for credential in credentials if credential in text], each["metadata"]["name"]


SECRET_NAME = re.compile(r"PASSWORD|SECRET|_KEY|DATABASE_URL|NATS_URL|SCAN_URL|TOKEN")


@pytest.mark.parametrize("name", CI_FILES)
def test_variables_that_grant_access_come_from_secrets_or_name_a_file(name: str) -> None:
    for pod in pods(render_file(name)):
        for container in pod.containers:
            for entry in container.get("env", []):
                if SECRET_NAME.search(entry["name"]) and not entry["name"].endswith("_FILE"):
                    assert "secretKeyRef" in entry["valueFrom"], f"{pod.owner} {entry['name']}"


@pytest.mark.parametrize("name", CI_FILES)
def test_no_configmap_and_no_argument_has_a_password(name: str) -> None:
    for each in of_kind(render_file(name), "ConfigMap").values():
        for key, text in each.get("data", {}).items():
            if key.endswith((".json", ".yaml", ".lua")):
                # The published documents, the dashboard and Envoy speak of credentials and have none.
                continue
            for line in text.splitlines():
                value = re.search(r"[Pp]assword['\"]?\s*[:=]\s*(\S+)", line)
                assert value is None or value[1].startswith("$"), f"{key}: {line}"
    for pod in pods(render_file(name)):
        for container in pod.containers:
            words = " ".join([*container.get("command", []), *container.get("args", [])])
            assert not re.search(r"[Pp]assword[= ]|://[^ ]*:[^ ]*@", words), words
