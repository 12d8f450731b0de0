from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

import pytest

from deploy.local import collector, services
from deploy.local.environment import printed_environment
from deploy.local.instance import Instance, SettingError, checkout_instance
from deploy.local.ports import PortError, Ports, free_ports
from deploy.local.programs import Program, quote, render_config
from deploy.local.secrets import ensure_secrets
from deploy.local.services import MODULES, environment
from deploy.local.supervision import LONGEST_SOCKET_PATH, socket_path
from runtime.settings import EXIT_SECONDS, Settings
from services.fetcher.settings import FetcherSettings
from services.importer.settings import WorkerSettings


def test_usual_ports_hold_where_no_setting_says_otherwise() -> None:
    ports = Ports().with_settings({"HYTHE_PORT_GATEWAY": "8090", "HYTHE_PORT_S3": "9009", "PATH": "/bin"})
    assert ports == dataclasses.replace(Ports(), gateway=8090, s3=9009)


@pytest.mark.parametrize("text", ["", "0", "65536", "eighty", "-1", "80.5"])
def test_setting_that_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(PortError, match="HYTHE_PORT_NATS"):
        Ports().with_settings({"HYTHE_PORT_NATS": text})


def test_free_ports_are_all_different() -> None:
    numbers = list(free_ports().named().values())
    assert len(set(numbers)) == len(numbers)


def test_ports_of_the_last_start_are_remembered(tmp_path: Path) -> None:
    checkout_instance({"HYTHE_PORT_GATEWAY": "8090"}, tmp_path).remember()
    assert checkout_instance({}, tmp_path).ports.gateway == 8090
    assert checkout_instance({"HYTHE_PORT_GATEWAY": "8091"}, tmp_path).ports.gateway == 8091


@pytest.mark.parametrize("change", [{"HYTHE_LOCAL_PG": "16"}, {"HYTHE_LOCAL_S3": "minio"}])
def test_servers_cannot_be_swapped_under_existing_data(tmp_path: Path, change: dict[str, str]) -> None:
    checkout_instance({}, tmp_path).remember()
    with pytest.raises(SettingError, match="make reset"):
        checkout_instance(change, tmp_path)
    assert checkout_instance({}, tmp_path).postgres == 18


@pytest.mark.parametrize("change", [{"HYTHE_LOCAL_PG": "17"}, {"HYTHE_LOCAL_S3": "garage"}])
def test_unknown_servers_are_refused(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="there are"):
        checkout_instance(change, tmp_path)


def test_the_profile_adds_a_collector_and_tells_every_service_of_it(tmp_path: Path) -> None:
    plain = checkout_instance({"HYTHE_LOCAL_PROFILE": ""}, tmp_path)
    assert plain.profile == "plain"
    watched = checkout_instance({"HYTHE_LOCAL_PROFILE": "observability", "HYTHE_PORT_COLLECTOR": "4399"}, tmp_path)
    watched.remember()
    assert checkout_instance({}, tmp_path).profile == "observability"
    with pytest.raises(SettingError, match="there are"):
        checkout_instance({"HYTHE_LOCAL_PROFILE": "all"}, tmp_path)
    (tmp_path / "state").mkdir()
    secrets = ensure_secrets(tmp_path / "state")
    told = {environment(watched, secrets, name)["HYTHE_OTLP_ENDPOINT"] for name in MODULES}
    assert told == {"http://127.0.0.1:4399"}
    assert not [name for name in MODULES if "HYTHE_OTLP_ENDPOINT" in environment(plain, secrets, name)]
    assert collector.program(watched).ports == ("collector",)


def test_a_process_is_killed_only_after_the_time_for_draining_and_ending(tmp_path: Path) -> None:
    programs = services.programs(Instance(state=tmp_path), ensure_secrets(tmp_path))
    longest = max(kind.model_fields["drain_seconds"].default for kind in (Settings, WorkerSettings, FetcherSettings))
    assert {program.stop_seconds for program in programs} == {longest + EXIT_SECONDS}


def test_secrets_stay_the_same_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path)
    key = (tmp_path / "jwt_private_key.pem").read_text()
    assert ensure_secrets(tmp_path) == first
    assert (tmp_path / "jwt_private_key.pem").read_text() == key
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_secrets_differ_between_checkouts(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = (dataclasses.asdict(ensure_secrets(tmp_path / name)) for name in ("one", "two"))
    assert not [name for name in one if one[name] == two[name]]
    assert not set(one["roles"].values()) & set(two["roles"].values())


def test_secret_that_an_older_checkout_lacks_is_added(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path)
    kept = json.loads((tmp_path / "secrets.json").read_text())
    del kept["roles"]["hythe_status"], kept["api_key"]
    (tmp_path / "secrets.json").write_text(json.dumps(kept))
    second = ensure_secrets(tmp_path)
    assert second.roles["hythe_status"] != first.roles["hythe_status"]
    assert (tmp_path / "api_key").read_text() == second.api_key != first.api_key
    assert second.roles["hythe_worker"] == first.roles["hythe_worker"]


def test_environment_that_is_printed_names_the_ports_and_credentials_in_use(tmp_path: Path) -> None:
    instance = Instance(state=tmp_path, ports=dataclasses.replace(Ports(), gateway=8123, s3=9123))
    secrets = ensure_secrets(tmp_path)
    printed = printed_environment(instance, secrets)
    assert printed["HYTHE_URL"] == "http://127.0.0.1:8123"
    assert printed["HYTHE_S3_ENDPOINT"] == "127.0.0.1:9123"
    assert printed["HYTHE_PASSWORD"] == secrets.admin_password
    assert printed["HYTHE_DATABASE_URL"].startswith("postgresql://postgres:")
    assert all(value and "\n" not in value for value in printed.values())


def test_each_service_gets_only_its_own_credentials(tmp_path: Path) -> None:
    instance, secrets = Instance(state=tmp_path), ensure_secrets(tmp_path)
    told = {name: environment(instance, secrets, name) for name in MODULES}
    assert [name for name in told if "HYTHE_NATS_URL" in told[name]] == ["importer", "worker", "fetcher"]
    assert [name for name in told if "HYTHE_JWT_PRIVATE_KEY_FILE" in told[name]] == ["identity"]
    assert [name for name in told if "HYTHE_SECRETS_KEY" in told[name]] == ["identity", "importer", "fetcher"]
    assert "HYTHE_S3_SECRET_KEY" not in told["identity"]
    for name, variables in told.items():
        assert f"//hythe_{name}:" in variables["HYTHE_DATABASE_URL"]
        assert secrets.postgres not in str(variables)
        assert secrets.roles["hythe_owner"] not in str(variables)


def test_a_fetcher_gets_what_it_needs_and_no_more(tmp_path: Path) -> None:
    instance, secrets = Instance(state=tmp_path), ensure_secrets(tmp_path)
    told = environment(instance, secrets, "fetcher")
    assert told["HYTHE_NATS_URL"].startswith(f"nats://fetcher:{secrets.nats['fetcher']}@")
    assert told["HYTHE_SECRETS_KEY"] == secrets.sealing_key
    assert told["HYTHE_HEALTH_LISTEN"] == f"127.0.0.1:{instance.ports.fetcher}"
    assert told["HYTHE_METRICS_LISTEN"] == f"127.0.0.1:{instance.ports.fetcher_metrics}"
    assert not {"HYTHE_LISTEN", "HYTHE_AUDIT_DATABASE_URL", "HYTHE_JWT_PRIVATE_KEY_FILE"} & told.keys()


def test_no_secret_stands_on_a_command_line(tmp_path: Path) -> None:
    secrets = ensure_secrets(tmp_path)
    program = Program("one", "servers", ("/bin/one", "it's", "50%"), lambda: True, {"PASSWORD": secrets.postgres})
    config = render_config(Instance(state=tmp_path), tmp_path / "socket", [program])
    commands = [line for line in config.splitlines() if line.startswith("command=")]
    assert commands == ["""command=/bin/one 'it'"'"'s' 50%%"""]
    assert f'environment=PASSWORD="{secrets.postgres}"' in config


def test_values_are_quoted_for_supervisord() -> None:
    assert quote('50% "x", y') == '"50%% \\"x\\", y"'


def test_socket_of_a_deep_folder_still_fits(tmp_path: Path) -> None:
    assert socket_path(Path("/srv/hythe/.state")) == Path("/srv/hythe/.state/supervisor.sock")
    deep = socket_path(tmp_path / ("x" * 120))
    assert len(str(deep)) <= LONGEST_SOCKET_PATH
    assert deep != socket_path(tmp_path / ("y" * 120))
