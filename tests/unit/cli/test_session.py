from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.session import CredentialFile, Login, new_login
from tests.fakes.gateway import PASSWORD, USER, jwt, refused
from tests.unit.cli.conftest import Terminal


def kept(terminal: Terminal, name: str = "credentials.json") -> CredentialFile:
    return CredentialFile(terminal.home / name)


def logged_in(terminal: Terminal, *, age_seconds: float = 0, life_seconds: float = 900) -> None:
    """A login of earlier, whose token the gateway still knows."""
    now = time.time() - age_seconds
    token = terminal.gateway.new_token()
    kept(terminal).put(Login(terminal.gateway.url, USER, token, now, now + life_seconds))
    terminal.settings = {"url": ""}


def test_login_keeps_the_token_in_a_file_only_its_owner_reads(terminal: Terminal) -> None:
    terminal.settings = {}
    outcome = terminal.run("login", terminal.gateway.url, "--user", USER, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert outcome.exit_code == 0
    path = kept(terminal).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert PASSWORD not in path.read_text()
    assert PASSWORD not in outcome.stdout + outcome.stderr


def test_login_asks_for_what_it_is_not_told(terminal: Terminal) -> None:
    terminal.settings = {"url": ""}
    outcome = terminal.run("login", stdin=f"{terminal.gateway.url}\n{USER}\n{PASSWORD}\n")
    assert outcome.exit_code == 0
    assert f"Logged in at {terminal.gateway.url} as {USER}." in outcome.stdout


def test_login_takes_everything_from_the_environment(terminal: Terminal) -> None:
    terminal.settings = {"user": USER, "password": SecretStr(PASSWORD)}
    assert terminal.run("login").exit_code == 0


def test_a_wrong_password_ends_with_3_and_keeps_nothing(terminal: Terminal) -> None:
    terminal.settings = {}
    outcome = terminal.run("login", terminal.gateway.url, "--user", USER, "--password-stdin", stdin="wrong\n")
    assert (outcome.exit_code, outcome.stderr) == (3, "Error: User name or password is wrong.\n")
    assert not kept(terminal).path.exists()


@pytest.mark.parametrize("url", ["gateway", "ftp://x", "http://", "http://user@host", "http://h:port", "http://h?q"])
def test_an_address_that_is_none_is_a_usage_error(terminal: Terminal, url: str) -> None:
    outcome = terminal.run("login", url, "--user", USER, "--password-stdin", stdin="x\n")
    assert outcome.exit_code == 2


def test_the_last_login_is_used_without_an_environment(terminal: Terminal) -> None:
    logged_in(terminal)
    assert terminal.run("clients").exit_code == 0
    assert terminal.gateway.asked("PUT", "/api/v1/token/refresh") == []


def test_a_token_past_a_third_of_its_life_is_renewed_and_kept(terminal: Terminal) -> None:
    logged_in(terminal, age_seconds=400)
    before = kept(terminal).last()
    assert terminal.run("clients").exit_code == 0
    after = kept(terminal).last()
    assert before
    assert after
    assert after.token != before.token
    assert after.expires_at > before.expires_at
    assert len(terminal.gateway.asked("PUT", "/api/v1/token/refresh")) == 1


def test_a_token_that_cannot_be_renewed_now_is_used_as_it_is(terminal: Terminal) -> None:
    logged_in(terminal, age_seconds=400)
    terminal.gateway.failures = iter([refused(503, "The service is not available.")])
    assert terminal.run("clients").exit_code == 0


def test_a_login_that_is_over_says_to_log_in_again(terminal: Terminal) -> None:
    logged_in(terminal, age_seconds=901)
    outcome = terminal.run("clients")
    assert outcome.exit_code == 3
    assert "Run `hythe login`" in outcome.stderr
    assert terminal.gateway.requests == []


def test_nobody_logged_in_is_said_without_asking_the_gateway(terminal: Terminal) -> None:
    terminal.settings = {}
    outcome = terminal.run("clients")
    assert outcome.exit_code == 3
    assert "Nobody is logged in at http://gateway.test" in outcome.stderr


def test_a_password_of_the_environment_logs_in_once_for_many_commands(terminal: Terminal) -> None:
    terminal.settings = {"user": USER, "password": SecretStr(PASSWORD)}
    assert [terminal.run("clients").exit_code for _ in range(3)] == [0, 0, 0]
    assert terminal.gateway.logins == 1
    assert not kept(terminal).path.exists()
    assert stat.S_IMODE(kept(terminal, "tokens.json").path.stat().st_mode) == 0o600


def test_a_refused_token_is_replaced_when_the_password_is_known(terminal: Terminal) -> None:
    terminal.settings = {"user": USER, "password": SecretStr(PASSWORD)}
    terminal.run("clients")
    terminal.gateway.tokens.clear()
    assert terminal.run("clients").exit_code == 0
    assert terminal.gateway.logins == 2


def test_a_refused_token_of_a_login_is_an_error(terminal: Terminal) -> None:
    logged_in(terminal)
    terminal.gateway.tokens.clear()
    outcome = terminal.run("clients")
    assert (outcome.exit_code, outcome.stderr) == (3, "Error: The token is not good.\n")


def test_a_place_that_cannot_be_written_costs_only_the_shortcut(terminal: Terminal, tmp_path: Path) -> None:
    terminal.settings = {"user": USER, "password": SecretStr(PASSWORD)}
    terminal.home = tmp_path / "file" / "below"
    (tmp_path / "file").write_text("")
    outcome = terminal.run("clients")
    assert outcome.exit_code == 0


def test_the_api_key_goes_before_user_and_password(terminal: Terminal) -> None:
    terminal.settings |= {"user": USER, "password": SecretStr(PASSWORD)}
    assert terminal.run("clients").exit_code == 0
    assert terminal.gateway.logins == 0


def test_a_password_without_a_user_is_a_usage_error(terminal: Terminal) -> None:
    terminal.settings = {"password": SecretStr(PASSWORD)}
    assert terminal.run("clients").exit_code == 2


def test_logout_forgets_the_login(terminal: Terminal) -> None:
    logged_in(terminal)
    assert terminal.run("logout").exit_code == 0
    assert kept(terminal).last() is None


def test_a_damaged_credential_file_is_named(terminal: Terminal) -> None:
    terminal.settings = {}
    terminal.home.mkdir()
    kept(terminal).path.write_text("{")
    outcome = terminal.run("clients")
    assert outcome.exit_code == 3
    assert str(kept(terminal).path) in outcome.stderr


def test_the_end_of_a_login_is_reckoned_by_this_machines_clock() -> None:
    login = new_login("http://g", "u", jwt(1, life_seconds=600), now=1_000.0)
    assert (login.obtained_at, login.expires_at) == (1_000.0, 1_600.0)
    assert login.is_good(1_590.0)
    assert not login.is_good(1_599.0)


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.e30.c"])
def test_a_token_that_tells_nothing_has_the_usual_life(token: str) -> None:
    assert new_login("http://g", "u", token, now=0.0).expires_at == 900.0


def test_several_logins_are_kept_and_the_last_comes_first(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / "c.json")
    for url in ("http://a", "http://b", "http://a"):
        file.put(Login(url, "u", "t", 0, 1))
    last = file.last()
    assert last
    assert last.url == "http://a"
    assert file.find("http://b", "u")
    assert file.remove("http://b") == 1
    assert file.find("http://b", "u") is None
