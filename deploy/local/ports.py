"""The loopback ports of one local stack: the usual ones, free ones for tests, and a clear word when one is taken."""

from __future__ import annotations

import dataclasses
import random
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
SETTING_PREFIX = "HYTHE_PORT_"

# Below the range from which Linux takes the ports of outgoing connections, so that none of those gets in between.
FREE_RANGE = range(12_000, 32_000)


class PortError(Exception):
    """A port is taken or a setting is no port; the message names the port and the setting."""


@dataclass(frozen=True)
class Ports:
    gateway: int = 8080
    gateway_admin: int = 9901
    upload: int = 9001
    importer: int = 9002
    status: int = 9003
    identity: int = 9004
    worker: int = 9006
    fetcher: int = 9007
    upload_metrics: int = 9101
    importer_metrics: int = 9102
    status_metrics: int = 9103
    identity_metrics: int = 9104
    worker_metrics: int = 9105
    fetcher_metrics: int = 9106
    postgres: int = 5433
    nats: int = 4222
    nats_monitor: int = 8222
    s3: int = 9000
    collector: int = 4317

    def named(self) -> dict[str, int]:
        return dataclasses.asdict(self)

    def with_settings(self, environment: Mapping[str, str]) -> Ports:
        """These ports, where `environment` has no HYTHE_PORT_<NAME> that says otherwise."""
        changed = {}
        for name in self.named():
            text = environment.get(setting_of(name))
            if text is None:
                continue
            if not text.isdecimal() or not 0 < int(text) < 65_536:  # noqa: PLR2004 - the last port there is
                message = f"{setting_of(name)}={text} is not a port."
                raise PortError(message)
            changed[name] = int(text)
        return dataclasses.replace(self, **changed)


def setting_of(name: str) -> str:
    return SETTING_PREFIX + name.upper()


def address(port: int) -> str:
    return f"{LOOPBACK}:{port}"


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without SO_REUSEADDR a port that a stopped server left in TIME_WAIT would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports() -> Ports:
    """Ports that nothing listens on, drawn at random so that two test runs at once hardly meet."""
    names = [field.name for field in dataclasses.fields(Ports)]
    candidates = iter(random.sample(FREE_RANGE, k=20 * len(names)))
    return Ports(**{name: next(port for port in candidates if is_free(port)) for name in names})


def refuse_busy(ports: Ports, names: Iterable[str]) -> None:
    """Raise PortError when one of the `names` cannot be listened on."""
    busy = [f"{port} ({name}; change it with {setting_of(name)})" for name, port in ports.named().items()
            if name in set(names) and not is_free(port)]  # fmt: skip
    if busy:
        message = f"Something else listens on {LOOPBACK} port " + ", port ".join(busy) + "."
        raise PortError(message)
