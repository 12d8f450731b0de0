"""What scanners of web applications have in common: the asset is the host of a URL, the proof is a request."""

from __future__ import annotations

from functools import lru_cache

from services.importer.formats.kit.addresses import Origin, ip_address
from services.importer.formats.kit.evidence import evidence
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.values import NAME_LIMIT
from services.importer.targets.findings.records import Asset, Evidence, Port


def web_asset(place: Origin, once: Once, *, system: str = "", server: str = "") -> Asset | None:
    """The host of an origin as an asset, with the port it was reached by; None where the origin has no host.

    `system` is its operating system, `server` the software behind the port.
    """
    if not place.host:
        return None

    def make() -> Asset:
        ip = ip_address(place.host)
        return Asset(
            ref=place.host,
            name=place.host,
            hostname="" if ip else place.host,
            ips=(ip,) if ip else (),
            operating_systems=(system,) if system else (),
            type="Application",
            ports=(Port(place.port, "tcp", place.scheme[:NAME_LIMIT], server),) if place.port else (),
        )

    return once(("web_asset", *place, system, server), make)


def proof(**texts: str) -> tuple[Evidence, ...]:
    """Evidence of these texts, without those that are empty. `request_body=` has the caption "Request body"."""
    return tuple([evidence(_caption(name), text) for name, value in texts.items() if (text := value.strip())])


@lru_cache(maxsize=256)
def _caption(name: str) -> str:
    return name.replace("_", " ").capitalize()


def message(header: str, body: str) -> str:
    """A request or response from its two parts, either of which may be empty."""
    return "\r\n\r\n".join(part for part in (header.strip(), body) if part)
