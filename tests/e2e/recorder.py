"""An HTTP client that holds every answer of the APIs against the OpenAPI documents that Hythe publishes."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DOCUMENTS = Path(__file__).parents[2] / "gateway" / "openapi"
URI = "urn:hythe:document"
# Paths of the AppFile and the Assets API; all others are PlexTrac's.
DIALECTS = {"appfile": re.compile(r"/app(file|data)/"), "assets": re.compile(r"/(jsm|rest/servicedeskapi|_edge)/")}
# The Assets API by other bases than that of its document.
OTHER_BASES = re.compile(r"^/ex/jira/|^/gateway/api/|^/jsm/insight/|//")
# Answered by the object store, or by the gateway for machines; not part of the API.
OUTSIDE = re.compile(r"/cloud/|/healthz|/openapi(/|$)|/\.well-known/")


class Contract:
    """The document, and which of its operations have answered well so far."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.seen: set[str] = set()
        self.document = document
        self.registry: Registry[Any] = Registry().with_resource(URI, DRAFT202012.create_resource(document))
        # client/list goes before client/{client_id}.
        self.paths = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "/?"), operations)
            for path, operations in sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        ]

    @property
    def operations(self) -> set[str]:
        """The ids of all operations of the API."""
        return {
            operation["operationId"]
            for path, operations in self.document["paths"].items()
            if not OUTSIDE.match(path)
            for operation in operations.values()
        }

    def check(self, response: httpx.Response) -> None:
        """Raises AssertionError for an answer that the document does not allow."""
        request = response.request
        if OUTSIDE.match(request.url.path) or request.method in {"HEAD", "OPTIONS"}:
            return
        told = f"{request.method} {request.url.path} -> {response.status_code}"
        media_type = response.headers.get("content-type", "").partition(";")[0]
        operation = self.operation(request.method, request.url.path)
        if operation is None:
            assert media_type == "application/json", f"{told}: {media_type or 'no content type'}"
            assert response.status_code == httpx.codes.NOT_FOUND, f"{told}: not in the document"
            self.check_body({"$ref": f"{URI}#/components/schemas/Error"}, response.json(), told)
            return
        answers = operation["responses"]
        answer = answers.get(str(response.status_code)) or answers.get("default")
        assert answer, f"{told}: the document does not know this status"
        if "$ref" in answer:
            answer = self.document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if not answer.get("content"):
            assert response.content in {b"", b"{}"}, f"{told}: {response.content[:100]!r}"
            return
        assert media_type in answer["content"], f"{told}: {media_type or 'no content type'}"
        if media_type == "application/json":
            self.check_body(answer["content"][media_type]["schema"], response.json(), told)
        if response.status_code == httpx.codes.OK:
            self.seen.add(operation["operationId"])

    def operation(self, verb: str, path: str) -> dict[str, Any] | None:
        for pattern, operations in self.paths:
            if pattern.fullmatch(path) and verb.lower() in operations:
                found: dict[str, Any] = operations[verb.lower()]
                return found
        return None

    def check_body(self, schema: dict[str, Any], body: Any, told: str) -> None:
        absolute = json.loads(json.dumps(schema).replace('"#/', f'"{URI}#/'))
        validator = Draft202012Validator(absolute, registry=self.registry, format_checker=FormatChecker())
        faults = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(body)]
        assert not faults, f"{told}: " + "; ".join(faults[:5])


def contract(dialect: str = "plextrac") -> Contract:
    """One for each API, which remembers what it has seen."""
    return contract_of(dialect)


@cache
def contract_of(dialect: str) -> Contract:
    return Contract(json.loads((DOCUMENTS / f"{dialect}.json").read_text()))


class CheckedClient(httpx.Client):
    """As httpx.Client; an answer that does not fit the document is an AssertionError. Streams are not looked at."""

    def send(self, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        response = super().send(request, stream=stream, **more)
        if not stream:
            path = request.url.path
            dialect = next((name for name, pattern in DIALECTS.items() if pattern.match(path)), "plextrac")
            if not OTHER_BASES.search(path):
                contract(dialect).check(response)
        return response
