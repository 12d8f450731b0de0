"""Makes assets and places of the URLs and web applications that Qualys WAS names."""

from __future__ import annotations

from services.importer.formats.kit.addresses import Origin, ip_address, origin
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.qualys import something
from services.importer.formats.kit.values import NAME_LIMIT, URL_LIMIT, line
from services.importer.targets.findings.records import AffectedAsset, Asset, Evidence, Port

SOURCE = "Qualys WAS"

_TYPE = "Application"


def asset_at(once: Once, url: str) -> Asset | None:
    """The host of a URL, made once for all URLs of an origin; None where it has none."""
    place = origin(url)
    return once(("host", *place), lambda: (_asset(place),))[0] if url else None


def has_host(url: str) -> bool:
    """Does the URL name a host?"""
    return bool(url) and _asset(origin(url)) is not None


def _asset(place: Origin) -> Asset | None:
    host = line(place.host)
    if not host or "://" in host:
        return None
    address = ip_address(host)
    return Asset(
        ref=host,
        name=host,
        hostname="" if address else host,
        ips=(address,) if address else (),
        type=_TYPE,
        ports=(Port(place.port, "tcp", place.scheme[:NAME_LIMIT]),) if place.port else (),
    )


def application(ref: str, url: str, name: str, system: str = "", tags: tuple[str, ...] = ()) -> Asset:
    """A web application: the host of its URL, else a thing of its own name.

    Raises `RecordError` where it has neither.
    """
    host = _asset(origin(url)) if something(url) else None
    name = line(something(name))
    if host is None and not name:
        raise RecordError("MISSING_FIELD", "WEB_APPLICATION", "The web application has neither URL nor name.")
    return Asset(
        ref=ref,
        name=host.name if host else name,
        hostname=host.hostname if host else "",
        ips=host.ips if host else (),
        operating_systems=(line(something(system)),) if something(system) else (),
        type=_TYPE,
        description=f"Web application: {name}"[:NAME_LIMIT] if host and name else "",
        ports=host.ports if host else (),
        tags=tags,
    )


def affected(
    qid: str, asset: str, url: str, parameter: str = "", notes: str = "", proof: tuple[Evidence, ...] = ()
) -> AffectedAsset:
    """An instance of a finding at a URL; without one it is the asset as a whole."""
    place = origin(url) if url else None
    name = line(something(parameter))
    return AffectedAsset(
        finding=qid,
        asset=asset,
        port=place.port if place else 0,
        protocol="tcp" if place and place.port else "",
        service=place.scheme[:NAME_LIMIT] if place else "",
        location=line(url, URL_LIMIT),
        parameters=(name,) if name else (),
        notes=notes,
        evidence=proof,
    )
