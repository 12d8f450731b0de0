"""Reads PlexTrac's own exports of a report (`.ptrac`): findings with their affected assets, client assets, evidence.

Known from PlexTrac's public scripts that write such files, and from recorded answers of its API, whose objects they
hold: `flaws_array`, `summary.ReportAssets` (by id), the members of findings and assets. Of `evidence` only its kind is
public (an id, a caption, code, asset ids): it is joined to the affected asset that names its id, else to the finding
and the assets that it names itself. Numbers of findings are PlexTrac's own, so a report comes back as it was.

What belongs to the report and not to its findings (narratives, procedures, the client, media) is not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import Members, members_of, text
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import NAME_LIMIT, line
from services.importer.formats.ptrac.affected import affected_records, named_assets
from services.importer.formats.ptrac.assets import Place, affected_in, asset_of, evidence_ids, places_of
from services.importer.formats.ptrac.findings import finding_of, key_named_in, key_of
from services.importer.targets.findings.records import AffectedAsset, Caution, FindingsRecord

_FINDING = "flaws_array[]"
# Older exports have lists where newer ones have objects by id.
_ASSETS = frozenset({"summary.ReportAssets{}", "summary.ReportAssets[]"})
_EVIDENCE = frozenset({"evidence[]", "evidence{}"})
_SIGNS = frozenset({"report_info", "flaws_array", "client_info"})
# Where the keys are sorted, the head may show no more than the client.
_CLIENT = frozenset({"client_info.doc_type", "client_info.poc", "client_info.client_id"})

# Of so many pieces of evidence it is remembered where they belong, which takes 14 MB. More are joined by what they say.
_REMEMBERED = 25_000
_PLACES_OF_ONE = 100


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return not paths.isdisjoint({"report_info", "flaws_array"}) or not paths.isdisjoint(_CLIENT)


def walk(stream: ByteStream) -> Iterator[Item]:
    """Evidence has the place it belongs to in `above`, when a finding before it named its id."""
    places: dict[str, tuple[Place, ...]] = {}
    for item in walk_json(stream, items=frozenset({_FINDING, *_ASSETS, *_EVIDENCE}), signs=_SIGNS):
        node: Node = item.raw
        if isinstance(node.value, dict):
            if node.path == _FINDING:
                _remember(places, node.value)
            elif node.path in _EVIDENCE:
                node.above = places.get(text(node.value, "id", "cuid"), ())
        yield item


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    members = members_of(raw.value)
    if raw.path in _ASSETS:
        asset, notes = asset_of(members)
        return (raw.once(("asset", asset, asset.description), lambda: asset), *notes, *raw.cautions)
    if raw.path in _EVIDENCE:
        return (*_evidence_records(members, raw.above), *raw.cautions)
    finding, notes = finding_of(members)
    records: list[FindingsRecord] = [finding]
    for affected in affected_in(members):
        records += affected_records(affected, finding.key, raw.once)
    return (*records, *notes, *raw.cautions)


def _remember(places: dict[str, tuple[Place, ...]], finding: Members) -> None:
    key = key_of(finding)
    for affected in affected_in(finding):
        if ids := evidence_ids(affected):
            # One place of an asset is enough for its proof.
            place, _ = places_of(affected, key)[0]
            for each in ids:
                known = places.get(each, ())
                is_new = len(known) <= _PLACES_OF_ONE and place not in known
                if is_new and (known or len(places) < _REMEMBERED):
                    places[each] = (*known, place)


def _evidence_records(members: Members, places: tuple[Place, ...]) -> list[FindingsRecord]:
    caption = line(text(members, "caption", "title", "name"), NAME_LIMIT) or "Evidence"
    code = text(members, "code", "text", "description", "output")
    if not code:
        return [Caution("EVIDENCE_LEFT_OUT", f'The evidence "{caption}" has no text; images and files are not kept.')]
    if not places and (key := key_named_in(members)):
        places = tuple(Place(key, ref) for ref in named_assets(members))
    if not places:
        return [Caution("EVIDENCE_LEFT_OUT", f'The evidence "{caption}" belongs to no affected asset of the file.')]
    piece = evidence(caption, code)
    notes = cautions_of((piece,))
    if len(places) > _PLACES_OF_ONE:
        message = f'The evidence "{caption}" is kept for the first {_PLACES_OF_ONE} affected assets that name it.'
        notes.append(Caution("EVIDENCE_LEFT_OUT", message))
    return [
        *(
            AffectedAsset(
                finding=place.finding,
                asset=place.asset,
                port=place.port,
                protocol=place.protocol,
                location=place.location,
                parameters=place.parameters,
                evidence=(piece,),
            )
            for place in places[:_PLACES_OF_ONE]
        ),
        *notes,
    ]


FORMAT = Format(
    name="ptrac",
    title="a PlexTrac export",
    family="ptrac",
    syntax="json",
    extensions=(".ptrac", ".json"),
    sources=("ptrac",),
    sniff=sniff,
    walk=walk,
    read=read,
)
