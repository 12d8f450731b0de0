"""Reads issues that the APIs of Burp Suite give.

They are `issue_events` of the REST API (a scan of Professional or Enterprise), or issues of the GraphQL API of Burp
Suite DAST, as they stand in an answer or below `Issues`. The REST API gives texts about an issue, not about its type
(those are behind `/knowledge_base/issue_definitions`), and bodies in base64 by segments; the GraphQL API gives all
texts as HTML. Either may leave out any member. That an answer of GraphQL is not changed on its way to the file
(`data.issues[]`, `data.scan.issues[]`, `data.issue`) is assumed.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from services.importer.formats.burp.issue_types import number_of
from services.importer.formats.burp.read import read as read_issue
from services.importer.formats.burp.report import Body, Exchange, Issue, Shared
from services.importer.formats.kit.evidence import base64_text
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.html import plain_text
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import Members, each, inner, members_of, text, texts
from services.importer.formats.kit.node import Node
from services.importer.targets.findings.records import FindingsRecord

_EVENTS, _ISSUES = "issue_events[]", ("Issues[]", "issues[]", "data.issues[]", "data.scan.issues[]", "data.issue")
_SIGNS = frozenset(
    {
        "issue_events",
        "issue_events[].issue",
        "Issues",
        *(f"{path}.{name}" for path in _ISSUES for name in ("issue_type", "serial_number")),
    }
)
# What shows in the first bytes; other tools have `Issues` as well, so one of its members must show or it be empty.
_SHOWN = _SIGNS - {"Issues"}
_DEPTH = 8


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return not _SHOWN.isdisjoint(paths) or "scan_metrics" in paths or paths == {"Issues"}


def walk(stream: ByteStream) -> Iterator[Item]:
    shared = Shared()
    for item in walk_json(stream, items=frozenset({_EVENTS, *_ISSUES}), signs=_SIGNS | {"scan_metrics"}):
        yield Item((item.raw, shared), item.position)


def read(raw: tuple[Node, Shared]) -> Iterable[FindingsRecord]:
    node, shared = raw
    value = members_of(node.value)
    issue = _from_event(inner(value, "issue"), shared) if node.path == _EVENTS else _from_graphql(value, shared)
    issue.notes = node.notes
    return read_issue(issue)


def _from_event(members: Members, shared: Shared) -> Issue:
    name, path = text(members, "name"), text(members, "path")
    found = {
        "name": name,
        "type": text(members, "type_index") or number_of(name),
        "severity": text(members, "severity").replace("_", " "),
        "confidence": text(members, "confidence").capitalize(),
        "path": path,
        "location": text(members, "caption") or path,
        "issueBackground": text(members, "issue_background"),
        "remediationBackground": text(members, "remediation_background"),
        "references": text(members, "references"),
        "vulnerabilityClassifications": text(members, "vulnerability_classifications"),
        "issueDetail": text(members, "description", "issue_detail"),
        "remediationDetail": text(members, "remediation", "remediation_detail"),
    }
    issue = Issue(shared.definition(found), shared.site(text(members, "origin")), found)
    for proof in each(members, "evidence"):
        _add_proof(issue, proof, _DEPTH)
    return issue


def _add_proof(issue: Issue, proof: Members, depth: int) -> None:
    """A piece of evidence: its exchange, what it lists, its payload; and those within it, however they are named."""
    issue.details += (html.escape(told) for told in texts(proof, "information_items"))
    if payload := text(inner(inner(proof, "detail"), "payload"), "bytes"):
        issue.events.append(("payload", [("", base64_text(payload))]))
    if "request" in proof or "response" in proof:
        request, response = (_body(each(proof, name)) for name in ("request", "response"))
        issue.exchanges.append(Exchange(request, response))
    elif depth:
        for name in proof:
            if name != "detail":
                for within in each(proof, name):
                    _add_proof(issue, within, depth - 1)


def _body(segments: list[Members]) -> Body | None:
    """The whole message, of segments that are data, data to be highlighted, or what was left out."""
    pieces = [
        base64_text(text(segment, "data")) if text(segment, "data") else _left_out(text(segment, "length"))
        for segment in segments
    ]
    return Body("".join(pieces), is_base64=False) if pieces else None


def _from_graphql(members: Members, shared: Shared) -> Issue:
    kind = inner(members, "issue_type")
    name, path = text(kind, "name") or text(members, "name"), text(members, "path")
    found = {
        "name": name,
        "type": text(kind, "type_index") or text(members, "type_index") or number_of(name),
        "severity": text(members, "severity").replace("_", " "),
        "confidence": text(members, "confidence").capitalize(),
        "path": path,
        "location": text(members, "caption") or path,
        "issueBackground": text(kind, "description_html"),
        "remediationBackground": text(kind, "remediation_html"),
        "references": text(kind, "references_html"),
        "vulnerabilityClassifications": text(kind, "vulnerability_classifications_html"),
        "issueDetail": text(members, "description_html"),
        "remediationDetail": text(members, "remediation_html"),
    }
    issue = Issue(shared.definition(found), shared.site(text(members, "origin")), found)
    by_index: dict[str, Exchange] = {}
    for proof in each(members, "evidence"):
        _add_segments(issue, proof, by_index)
    return issue


def _add_segments(issue: Issue, proof: Members, by_index: dict[str, Exchange]) -> None:
    """A request, a response, or what was found out otherwise; messages of one index belong together."""
    request, response = (_message(each(proof, name)) for name in ("request_segments", "response_segments"))
    if request or response:
        index = text(proof, "request_index", "response_index")
        exchange = by_index.get(index)
        if exchange is None or (request and exchange.request) or (response and exchange.response):
            exchange = by_index[index] = Exchange()
            issue.exchanges.append(exchange)
        exchange.request = request or exchange.request
        exchange.response = response or exchange.response
    told = plain_text(text(proof, "description_html"))
    if title := plain_text(text(proof, "title")) or (told and "Evidence"):
        issue.events.append((title.lower(), [("", told or title)]))


def _message(segments: list[Members]) -> Body | None:
    pieces = [
        plain_text(shown)
        if (shown := _raw(segment, "data_html", "highlight_html"))
        else _left_out(text(segment, "snip_length"))
        for segment in segments
    ]
    whole = "".join(pieces)
    return Body(whole, is_base64=False) if whole else None


def _raw(members: Members, *names: str) -> str:
    """The first text of these as it stands: white space at the edges of a segment belongs to the message."""
    return next((found for name in names if isinstance(found := members.get(name), str) and found), "")


def _left_out(length: str) -> str:
    return f"\n[{length} bytes left out]\n" if length else ""


FORMAT = Format(
    name="burp_json",
    title="issues of Burp Suite in JSON",
    family="burp",
    syntax="json",
    extensions=(".json",),
    sources=("burp",),
    sniff=sniff,
    walk=walk,
    read=read,
)
