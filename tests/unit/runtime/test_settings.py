from __future__ import annotations

import pytest

from runtime.settings import ObjectStoreSettings, QueueSettings, Settings, load, required

NEEDED = {
    "HYTHE_LISTEN": "127.0.0.1:9001",
    "HYTHE_METRICS_LISTEN": "127.0.0.1:9101",
    "HYTHE_DATABASE_URL": "postgresql+psycopg://role:hunter2@host/hythe",
    "HYTHE_AUDIT_DATABASE_URL": "postgresql+psycopg://audit:hunter2@host/hythe",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_settings_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    settings = load(Settings)
    assert settings.listen == "127.0.0.1:9001"
    assert settings.reflection is False
    assert settings.database_url.get_secret_value().endswith("host/hythe")


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_setting_names_itself(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(SystemExit) as ended:
        load(Settings)
    assert ended.value.code == f"{name}: is required and not set."


@pytest.mark.parametrize("address", ["localhost", ":9001", "host:", "host:99999", "host:http"])
def test_an_address_is_host_and_port(environment: pytest.MonkeyPatch, address: str) -> None:
    environment.setenv("HYTHE_LISTEN", address)
    with pytest.raises(SystemExit, match=r"HYTHE_LISTEN: .*must be host:port"):
        load(Settings)


@pytest.mark.parametrize("url", ["collector:4317", "grpc://collector:4317", "http://"])
def test_a_collector_is_a_url(environment: pytest.MonkeyPatch, url: str) -> None:
    assert load(Settings).otlp_endpoint == ""
    environment.setenv("HYTHE_OTLP_ENDPOINT", url)
    with pytest.raises(SystemExit, match=r"HYTHE_OTLP_ENDPOINT: .*must be http://"):
        load(Settings)


def test_a_wrong_value_is_not_printed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HYTHE_UNARY_SECONDS", "hunter2")
    with pytest.raises(SystemExit) as ended:
        load(Settings)
    assert "HYTHE_UNARY_SECONDS" in str(ended.value.code)
    assert "hunter2" not in str(ended.value.code)


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    assert "hunter2" not in repr(load(Settings))


@pytest.mark.parametrize("kind", [Settings, ObjectStoreSettings, QueueSettings])
def test_nothing_that_grants_access_has_a_default(kind: type[Settings]) -> None:
    for name, field in kind.model_fields.items():
        if any(word in name for word in ("key", "password", "secret", "url")):
            assert field.is_required(), name


def test_an_optional_address_that_is_needed_names_itself() -> None:
    assert required("host:1", "importer_address") == "host:1"
    with pytest.raises(SystemExit, match="HYTHE_IMPORTER_ADDRESS: is required and not set"):
        required(None, "importer_address")
