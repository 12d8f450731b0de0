"""Reads JSON reports of ZAP alert by alert, with requests and responses or without.

An alert with all its instances is one item, since its id may stand behind them where another tool has sorted the keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import each, members_of
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.web import web_asset
from services.importer.formats.zap.alerts import alert_records, head_of, instance_of, site_of
from services.importer.targets.findings.records import Caution, FindingsRecord

_SITE, _ALERT = "site[]", "site[].alerts[]"
_SIGNS = frozenset({"@programName", "@generated", "site[].@name"})
# Old versions wrote a lone site without an array.
_SEEN = frozenset({"site[].@name", "site[].@host", "site.@name", "site.@host"})


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return not _SEEN.isdisjoint(paths) or paths >= {"@version", "@generated"}


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(
        stream,
        items=frozenset({_ALERT}),
        signs=_SIGNS,
        contexts={_SITE: lambda kept, _: site_of({name.removeprefix("@"): value for name, value in kept.items()})},
        keep=frozenset({"@name", "@host", "@port", "@ssl"}),
        closing=frozenset({_SITE}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    (site,) = raw.above
    if raw.path == _SITE:
        asset = web_asset(site, raw.once)
        return (asset, *raw.cautions) if asset else raw.cautions
    alert = members_of(raw.value)
    head = head_of(alert)
    records = list(alert_records(alert, head, site, raw.once))
    if not head.is_false_positive:
        for instance in each(alert, "instances"):
            try:
                records += instance_of(instance, head, site, raw.once)
            except RecordError as error:
                records.append(Caution(error.code, error.message))
    return (*records, *raw.cautions)


FORMAT = Format(
    name="zap_json",
    title="a ZAP report",
    family="zap",
    syntax="json",
    extensions=(".json",),
    sources=("owaspzap",),
    sniff=sniff,
    walk=walk,
    read=read,
)
