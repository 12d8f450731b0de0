"""Small scan files made for tests, with known contents."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

SEVERITIES = ("Informational", "Low", "Medium", "High", "Critical")


def nessus(hosts: int = 2, plugins: int = 3, *, first_plugin: int = 90_000) -> bytes:
    """A Nessus export in which every plugin reports on every host; the n-th plugin has the severity n modulo 5."""
    return b"".join(nessus_pieces(hosts, plugins, first_plugin=first_plugin))


def write_nessus(path: Path, hosts: int, plugins: int, *, output_characters: int = 0) -> Path:
    """The same on disk, for sizes that are not wanted in memory."""
    with path.open("wb") as file:
        for piece in nessus_pieces(hosts, plugins, output_characters=output_characters):
            file.write(piece)
    return path


def nessus_pieces(
    hosts: int, plugins: int, *, first_plugin: int = 90_000, output_characters: int = 0
) -> Iterator[bytes]:
    letters = random.Random(1)
    yield b'<?xml version="1.0" ?>\n<NessusClientData_v2>\n<Report name="test">\n'
    for host in range(hosts):
        address = f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"
        yield (
            f'<ReportHost name="{address}"><HostProperties><tag name="host-ip">{address}</tag>'
            f'<tag name="host-fqdn">host{host}.example.org</tag></HostProperties>\n'
        ).encode()
        for plugin in range(plugins):
            output = (
                "".join(letters.choices("abcdefghijklmnopqrstuvwxyz ", k=output_characters)) or f"seen on {address}"
            )
            yield (
                f'<ReportItem port="443" svc_name="www" protocol="tcp" severity="{plugin % 5}" '
                f'pluginID="{first_plugin + plugin}" pluginName="Weakness {first_plugin + plugin}" '
                f'pluginFamily="General"><synopsis>Short {plugin}</synopsis>'
                f"<description>Long {plugin}</description><solution>Mend {plugin}</solution>"
                f"<plugin_output>{output}</plugin_output></ReportItem>\n"
            ).encode()
        yield b"</ReportHost>\n"
    yield b"</Report>\n</NessusClientData_v2>\n"
