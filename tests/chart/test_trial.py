"""The servers of a trial: what is made for them works in the programs that read it."""

from __future__ import annotations

import base64
import os
import subprocess
import sysconfig
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.main import get_group

from cli.main import app
from deploy.local.secrets import DATABASE_ROLES, NATS_USERS
from runtime.sealing import Sealer
from services.identity.bootstrap import LEAST_KEY_LENGTH
from services.identity.passwords import LEAST_GIVEN_LENGTH
from services.identity.signing import read_keys
from services.importer.formats import registry
from tests.chart.rendering import NAMESPACE, TRIAL, Manifest, of_kind, pod_of, render, source


@pytest.fixture(scope="module")
def trial() -> list[Manifest]:
    return render(TRIAL)


@pytest.fixture(scope="module")
def secret(trial: list[Manifest]) -> dict[str, str]:
    """What the secret holds, in clear."""
    found = of_kind(trial, "Secret")["dev"]["data"]
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def test_made_keys_are_keys(secret: dict[str, str], tmp_path: Path) -> None:
    assert Sealer(secret["secrets-key"]).unseal(Sealer(secret["secrets-key"]).seal("text")) == "text"
    (tmp_path / "key.pem").write_text(secret["jwt-private-key.pem"])
    (key,) = read_keys(tmp_path / "key.pem")
    assert key.algorithm == "ES256"
    assert len(secret["admin-password"]) >= LEAST_GIVEN_LENGTH
    assert len(secret["api-key"]) >= LEAST_KEY_LENGTH


def test_each_role_and_each_user_has_a_url_with_its_own_password(secret: dict[str, str]) -> None:
    roles = {role.removeprefix("hythe_") for role in DATABASE_ROLES}
    passwords = set()
    for role in roles:
        url = urlsplit(secret[f"{role}-url"].replace("postgresql+psycopg", "postgresql"))
        assert (url.username, url.hostname, url.path) == (f"hythe_{role}", "t-hythe-postgresql", "/hythe")
        assert url.password == secret[f"{role}-password"]
        passwords.add(str(url.password))
    for user in NATS_USERS:
        url = urlsplit(secret[f"nats-{user}-url"])
        assert (url.username, url.password) == (user, secret[f"nats-{user}-password"])
        passwords.add(str(url.password))
    assert len(passwords) == len(DATABASE_ROLES) + len(NATS_USERS)


def test_every_role_gets_its_password(trial: list[Manifest]) -> None:
    statements = of_kind(trial, "ConfigMap")["dev-roles"]["data"]["passwords.sql"]
    told = {entry["name"] for entry in pod_of(trial, "dev-roles").spec["containers"][0]["env"]}
    for role in DATABASE_ROLES:
        assert f"ALTER ROLE {role} PASSWORD :'password';" in statements
        assert f"{role.removeprefix('hythe_').upper()}_PASSWORD" in told


def test_nats_takes_its_configuration_with_the_passwords_that_it_is_told(
    trial: list[Manifest], secret: dict[str, str], tmp_path: Path
) -> None:
    text = of_kind(trial, "ConfigMap")["nats"]["data"]["nats.conf"]
    assert "sync_interval: always" in text
    (tmp_path / "nats.conf").write_text(text)
    env = pod_of(trial, "nats").spec["containers"][0]["env"]
    told = {each["name"]: secret[each["valueFrom"]["secretKeyRef"]["key"]] for each in env}
    binary = Path(sysconfig.get_path("scripts")) / "nats-server"
    command = [str(binary), "-t", "-c", str(tmp_path / "nats.conf")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | told, timeout=30)
    assert done.returncode == 0, done.stderr
    # Without the passwords it is refused, so they are where they come from.
    assert subprocess.run(command, check=False, capture_output=True, timeout=30).returncode != 0


def test_the_store_is_never_without_keys(trial: list[Manifest], secret: dict[str, str]) -> None:
    (container,) = pod_of(trial, "s3").spec["containers"]
    assert "-s3.config=/etc/seaweedfs/keys/s3.json" in container["args"]
    assert secret["access-key"] in secret["s3.json"]
    assert secret["secret-key"] in secret["s3.json"]


def test_credentials_and_data_outlive_the_release(trial: list[Manifest]) -> None:
    assert of_kind(trial, "Secret")["dev"]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for name in ("postgresql", "nats", "s3"):
        (claim,) = of_kind(trial, "StatefulSet")[name]["spec"]["volumeClaimTemplates"]
        # Nothing that changes with a version: a claim's template cannot be changed.
        assert set(claim["metadata"]["labels"]) == {
            f"app.kubernetes.io/{each}" for each in ("name", "instance", "component")
        }


def test_addresses_of_a_trial_are_those_of_its_services(trial: list[Manifest], secret: dict[str, str]) -> None:
    services = {
        each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]}
        for each in trial
        if each["kind"] == "Service"
    }
    for key, url in secret.items():
        if key.endswith("-url"):
            parts = urlsplit(url.replace("postgresql+psycopg", "postgresql"))
            assert parts.port in services[parts.hostname or ""]
    told = {entry["name"]: entry.get("value", "") for entry in pod_of(trial, "upload").spec["containers"][0]["env"]}
    for name in ("HYTHE_S3_ENDPOINT", "HYTHE_IDENTITY_ADDRESS", "HYTHE_IMPORTER_ADDRESS", "HYTHE_STATUS_ADDRESS"):
        host, _, port = told[name].partition(":")
        assert int(port) in services[host]
    assert told["HYTHE_PUBLIC_URL"] == f"http://t-hythe-gateway.{NAMESPACE}.svc"
    assert 80 in services["t-hythe-gateway"]


def test_what_the_test_hook_runs_is_what_the_command_line_takes(trial: list[Manifest]) -> None:
    pod = pod_of(trial, "test")
    group = get_group(app)
    for container in pod.containers:
        command, *words = container["command"][1:]
        options = {option for parameter in group.commands[command].params for option in parameter.opts}
        assert container["command"][0] == "hythe"
        assert {word for word in words if word.startswith("--")} <= options
    assert [container["command"][1] for container in pod.containers] == ["import", "imports"]


def test_the_file_of_the_test_hook_is_a_nessus_file_of_one_kilobyte(trial: list[Manifest]) -> None:
    text = of_kind(trial, "ConfigMap")["test"]["data"]["one-kilobyte.nessus"]
    assert len(text.encode()) == pytest.approx(1024, abs=64)
    assert "nessus" in {each.name for each in registry.recognise(text.encode())}
    assert text == source("one-kilobyte.nessus").read_text()
