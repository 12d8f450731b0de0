from __future__ import annotations

import pytest

from cli.engagements import Named, pick
from cli.errors import CliError
from cli.settings import Settings, grpc_address, origin, read_settings
from tests.unit.cli.conftest import Terminal


def test_imports_lists_the_newest(terminal: Terminal) -> None:
    outcome = terminal.run("imports", "--limit", "3", "--json")
    assert [row["id"] for row in outcome.json["imports"]] == ["import-250", "import-249", "import-248"]
    table = terminal.run("imports", "--limit", "3").stdout
    assert "import-250" in table
    assert "SUCCEEDED" in table


def test_cancel_tells_what_became_of_it(terminal: Terminal) -> None:
    assert terminal.run("cancel", "import-1").stdout == "Cancelled import-1.\n"
    assert terminal.run("cancel", "import-1", "--json").json["state"] == "CANCELLED"


def test_clients_and_reports_are_listed(terminal: Terminal) -> None:
    assert terminal.run("clients", "--json").json == {"clients": [{"id": 1, "name": "Acme"}]}
    found = terminal.run("reports", "--client", "acme", "--json").json
    assert found == {"reports": [{"id": 5, "name": "Q1", "status": "Draft", "findings": 3}]}


def test_sources_say_what_they_import(terminal: Terminal) -> None:
    found = terminal.run("sources", "--json").json["sources"]
    assert [(one["source"], one["imports"]) for one in found] == [("nessus", "findings"), ("nmap-xml", "assets")]
    assert found[0]["extensions"] == [".nessus"]
    assert found[0]["formats"] == [
        {
            "name": "nessus",
            "title": "a Nessus report",
            "syntax": "xml",
            "extensions": [".nessus"],
            "imports": "findings",
        }
    ]
    table = terminal.run("sources").stdout
    assert all(word in table for word in ("Nessus", ".nessus", "findings", "nmap-xml", "assets"))
    assert terminal.native_options["api_key"] == "hy_key"
    assert terminal.native_options["tls"] is False


def test_help_is_printed_without_any_setting(terminal: Terminal) -> None:
    outcome = terminal.run("--help")
    assert outcome.exit_code == 0
    assert "Exit codes: 0 succeeded" in outcome.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["import"], ["watch"], ["imports", "--limit", "0"]])
def test_wrong_usage_ends_with_2(terminal: Terminal, arguments: list[str]) -> None:
    outcome = terminal.run(*arguments)
    assert outcome.exit_code == 2
    assert terminal.gateway.requests == []


KNOWN = [Named(1, "Acme"), Named(2, "7"), Named(7, "Umbrella"), Named(8, "Twin"), Named(9, "Twin")]


@pytest.mark.parametrize(
    ("wanted", "found"), [("1", 1), ("Acme", 1), ("ACME", 1), ("7", 7), ("Umbrella", 7), ("0", None), ("", None)]
)
def test_an_id_goes_before_a_name_and_case_matters_last(wanted: str, found: int | None) -> None:
    picked = pick("client", wanted, KNOWN)
    assert (picked.id if picked else None) == found


def test_a_name_that_two_have_is_refused_with_their_ids() -> None:
    with pytest.raises(CliError, match="8, 9"):
        pick("client", "Twin", KNOWN)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYTHE_URL", "https://hythe.example")
    monkeypatch.setenv("HYTHE_API_KEY", "secret")
    monkeypatch.setenv("HYTHE_PASSWORD", "")
    settings = read_settings()
    assert settings.url == "https://hythe.example"
    assert settings.api_key.get_secret_value() == "secret"
    assert "secret" not in repr(settings)
    assert settings.password.get_secret_value() == ""


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://hythe.example", "hythe.example:443"),
        ("http://hythe.example/", "hythe.example:80"),
        ("https://[::1]:8443", "[::1]:8443"),
    ],
)
def test_grpc_goes_where_rest_goes(url: str, address: str) -> None:
    assert grpc_address(origin(url)) == address


def test_https_means_tls_for_grpc_too(terminal: Terminal) -> None:
    terminal.settings |= {"url": "https://gateway.test"}
    terminal.run("sources")
    assert terminal.native_options["tls"] is True
    assert terminal.native_options["address"] == "gateway.test:443"


def test_settings_are_optional() -> None:
    assert Settings(url="", api_key="").ca_file is None  # type: ignore[arg-type] # pydantic makes a secret of it
