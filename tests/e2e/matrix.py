"""Every RPC and every REST route that there is, as the descriptors say, and how one request takes each way in.

The ways ("doors"): REST and native gRPC through the gateway, and gRPC straight at the port of the service.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import quote

import grpc
import httpx
from google.api import annotations_pb2, http_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from deploy.local.instance import ROOT
from hythe.options.v1 import options_pb2
from tests.stack import LiveStack

SECONDS = 90
DIALECTS = "hythe.dialects."
# Which process serves it, by the name of the gRPC service.
BACKENDS = {
    "UploadService": "upload",
    "ImportService": "importer",
    "WebhookService": "importer",
    "ParserActionService": "importer",
    "SchemaService": "importer",
    "StatusService": "status",
    "IdentityService": "identity",
    "WellKnown": "identity",
    "PlextracUpload": "upload",
    "PlextracImporter": "importer",
    "PlextracParserActions": "importer",
    "PlextracStatus": "status",
    "PlextracIdentity": "identity",
    "AppFileUpload": "upload",
    "AppFileImporter": "importer",
    "AppFileStatus": "status",
    "ImportSourceService": "importer",
    "AssetsIdentity": "identity",
    "AssetsImporter": "importer",
    "AssetsStatus": "status",
}
# What services ask among themselves.
UNROUTED = {
    "IdentityService/Resolve",
    "IdentityService/CheckAccount",
    "IdentityService/IssueContainerToken",
    "IdentityService/GetContainerToken",
    "IdentityService/RevokeContainerToken",
}
ASSETS_PATHS = ("/jsm/", "/rest/servicedeskapi/", "/_edge/")
# Nobody calls it by a credential: the URL is one (test_gateway_presigned.py).
BY_URL = "UnmeasuredUploadService"
VERBS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Route:
    """One HTTP binding of an RPC."""

    verb: str
    template: str
    body: str
    """The field that is the body; empty: none."""

    def __str__(self) -> str:
        return f"{self.verb} {self.template}"


@dataclass(frozen=True)
class Rpc:
    descriptor: MethodDescriptor
    routes: tuple[Route, ...]

    @property
    def service(self) -> str:
        return str(self.descriptor.containing_service.full_name)

    @property
    def name(self) -> str:
        """`package.Service/Method`."""
        return f"{self.service}/{self.descriptor.name}"

    @property
    def short_name(self) -> str:
        """`Service/Method`, which is unique as well."""
        return f"{self.descriptor.containing_service.name}/{self.descriptor.name}"

    @property
    def backend(self) -> str:
        return BACKENDS[self.descriptor.containing_service.name]

    @property
    def rule(self) -> options_pb2.Authorization:
        rule: options_pb2.Authorization = self.descriptor.GetOptions().Extensions[options_pb2.authorization]
        return rule

    @property
    def is_native(self) -> bool:
        return not self.service.startswith(DIALECTS)


@cache
def rpcs() -> tuple[Rpc, ...]:
    """All RPCs of the descriptor set that the gateway is made with."""
    files = FileDescriptorSet.FromString((ROOT / "gateway" / "descriptors.pb").read_bytes()).file
    names = [file.name.removesuffix(".proto").replace("/", ".") + "_pb2" for file in files if file.service]
    return tuple(
        Rpc(method, tuple(routes_of(method)))
        for name in names
        for service in import_module(name).DESCRIPTOR.services_by_name.values()
        if service.name != BY_URL
        for method in service.methods
    )


def routes_of(method: MethodDescriptor) -> Iterator[Route]:
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule: http_pb2.HttpRule = options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = next(verb for verb in VERBS if getattr(binding, verb))
        yield Route(verb.upper(), getattr(binding, verb), binding.body)


@dataclass(frozen=True)
class Answer:
    """What came back, whichever way: of REST the HTTP status, of gRPC the name of the code."""

    rpc: Rpc
    door: str
    status: str
    reason: str
    content: bytes
    """Everything that was said, in the body, the messages, the details and the trailers."""
    request_id: str
    is_json: bool = False
    """Of REST: whether it is JSON as it should be, or events of which each is."""

    def __str__(self) -> str:
        return f"{self.rpc.short_name} {self.door}: {self.status} {self.reason} {self.content[:300]!r}"


# gRPC's names of what this matrix expects, as REST says them.
HTTP_STATUS = {
    "OK": "200",
    "INVALID_ARGUMENT": "400",
    "UNAUTHENTICATED": "401",
    "PERMISSION_DENIED": "403",
    "NOT_FOUND": "404",
    "ALREADY_EXISTS": "409",
    "FAILED_PRECONDITION": "409",
}


class Doors:
    """Open connections by every way, shared by all calls."""

    def __init__(self, stack: LiveStack) -> None:
        self._http = httpx.Client(base_url=stack.url, timeout=SECONDS)
        self._gateway = grpc.insecure_channel(stack.grpc)
        self._direct = {name: grpc.insecure_channel(stack.address(name)) for name in set(BACKENDS.values())}

    def close(self) -> None:
        self._http.close()
        for channel in (self._gateway, *self._direct.values()):
            channel.close()

    def through_all(self, rpc: Rpc, make: Callable[[], Message], headers: Mapping[str, str]) -> list[Answer]:
        """The answers by REST on every route, by gRPC through the gateway where it has a route, and directly.

        Each door gets a request of its own, because some things can be made only once. The direct one is the last.
        """
        answers = [self.by_rest(rpc, route, make(), headers) for route in rpc.routes]
        if rpc.is_native and rpc.short_name not in UNROUTED:
            answers.append(self.by_gateway(rpc, make(), headers))
        return [*answers, self.directly(rpc, make(), headers)]

    def by_rest(self, rpc: Rpc, route: Route, request: Message, headers: Mapping[str, str]) -> Answer:
        response = self._http.request(**rest_request(route, request, headers))
        media_type = response.headers.get("content-type", "")
        is_json = media_type.startswith(("application/json", "text/event-stream", "image/png")) or not response.content
        said = str(response.headers.multi_items()).encode()
        return Answer(
            rpc=rpc,
            door=str(route),
            # Nothing to say is as good, and so is something new.
            status="200" if response.is_success else str(response.status_code),
            reason="",
            content=response.content + said,
            request_id=response.headers.get("x-request-id", ""),
            is_json=is_json and is_envelope(response),
        )

    def by_gateway(self, rpc: Rpc, request: Message, headers: Mapping[str, str]) -> Answer:
        return call(self._gateway, rpc, request, headers, door="gateway")

    def directly(self, rpc: Rpc, request: Message, headers: Mapping[str, str]) -> Answer:
        own = str(uuid.uuid4())
        answer = call(self._direct[rpc.backend], rpc, request, {**headers, "x-request-id": own}, door="direct")
        return Answer(answer.rpc, answer.door, answer.status, answer.reason, answer.content, own)


def always(request: Message) -> Callable[[], Message]:
    return lambda: request


def rest_request(route: Route, request: Message, headers: Mapping[str, str]) -> dict[str, Any]:
    """The HTTP request that transcodes to this message."""
    fields = {field.name: value for field, value in request.ListFields()}
    body = fields.pop(route.body, None)
    path = route.template
    for variable, name, segments in re.findall(r"(\{(\w+)(=[*/]+)?\})", path):
        # An id of 0 is a field that is not set.
        path = path.replace(variable, quote(str(fields.pop(name, 0)), safe="/" if "/" in segments else ""))
    made: dict[str, Any] = {"method": route.verb, "url": path, "params": fields, "headers": dict(headers)}
    if body is None:
        return made
    if body.DESCRIPTOR.full_name == "google.api.HttpBody":
        made["content"] = body.data
        made["headers"]["content-type"] = body.content_type
    else:
        made["json"] = MessageToDict(body)
    return made


def is_envelope(response: httpx.Response) -> bool:
    """Whether an error is worded as its API words errors; anything that went well counts as worded."""
    if response.is_success:
        return True
    body = json.loads(response.content)
    if response.request.url.path.startswith("/app"):
        return set(body) == {"IsSuccess", "ResponseStatus", "Data"} and body["ResponseStatus"]["ErrorCode"] != ""
    if response.request.url.path.startswith(ASSETS_PATHS):
        wanted = {"errorMessages", "errors", "result", "errorCode", "code", "message"}
        return wanted <= set(body) and body["code"] == response.status_code
    return set(body) == {"status", "statusCode", "error", "message"} and body["statusCode"] == response.status_code


def call(channel: grpc.Channel, rpc: Rpc, request: Message, headers: Mapping[str, str], *, door: str) -> Answer:
    """One gRPC call, of whichever kind the RPC is."""
    method = rpc.descriptor
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    stub = getattr(channel, kind)(
        f"/{rpc.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    argument = iter([request]) if method.client_streaming else request
    metadata = tuple(headers.items())
    content, details, code = b"", "", grpc.StatusCode.OK
    ending: Any
    try:
        if method.server_streaming:
            ending = stub(argument, timeout=SECONDS, metadata=metadata)
            content = b"".join(message.SerializeToString() for message in ending)
        else:
            message, ending = stub.with_call(argument, timeout=SECONDS, metadata=metadata)
            content = message.SerializeToString()
    except grpc.RpcError as error:
        ending, code, details = error, error.code(), error.details() or ""
    pairs = [*(ending.initial_metadata() or ()), *(ending.trailing_metadata() or ())]
    said = b"\n".join(value if isinstance(value, bytes) else value.encode() for _, value in pairs)
    return Answer(
        rpc=rpc,
        door=door,
        status=code.name,
        reason=reason_in(pairs),
        content=content + details.encode() + said,
        request_id=next((str(value) for key, value in pairs if key == "x-request-id"), ""),
    )


def reason_in(pairs: list[tuple[str, Any]]) -> str:
    info = ErrorInfo()
    for key, value in pairs:
        if key == "grpc-status-details-bin":
            return next((info.reason for detail in Status.FromString(value).details if detail.Unpack(info)), "")
    return ""
