"""The protos as the generator reads them: messages, services and comments by their full names."""

from __future__ import annotations

import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

from hythe.options.v1 import options_pb2

# Field numbers in descriptor.proto, which source locations are made of.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD, NESTED, METHOD, VALUE = 2, 3, 2, 2


class ContractError(Exception):
    """The protos cannot be read, or do not fit what belongs to them; the message says where."""


@dataclass
class Contract:
    messages: dict[str, DescriptorProto] = field(default_factory=dict)
    enums: dict[str, EnumDescriptorProto] = field(default_factory=dict)
    services: dict[str, ServiceDescriptorProto] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)

    def methods(self, package: str) -> Iterator[Method]:
        """All methods of the services in `package`, in the order of the file."""
        for name, service in self.services.items():
            if name.rpartition(".")[0] == package:
                for method in service.method:
                    yield Method(service.name, method, self.comments.get(f"{name}.{method.name}", ""))


@dataclass(frozen=True)
class Method:
    service: str
    proto: MethodDescriptorProto
    comment: str

    @property
    def rules(self) -> list[HttpRule]:
        """Its HTTP routes: the main one and the additional ones."""
        rule = self.proto.options.Extensions[annotations_pb2.http]
        return [rule, *rule.additional_bindings] if rule.WhichOneof("pattern") else []

    @property
    def shape(self) -> options_pb2.JsonShape:
        return self.proto.options.Extensions[options_pb2.json_shape]

    @property
    def authorization(self) -> options_pb2.Authorization:
        return self.proto.options.Extensions[options_pb2.authorization]


def read_contract(protos: Path) -> Contract:
    """Compile the protos below `protos`, comments included. Raises ContractError when protoc refuses them."""
    site_packages = sysconfig.get_path("purelib")
    includes = [f"-I{folder}" for folder in (protos, site_packages, Path(site_packages) / "grpc_tools" / "_proto")]
    files = sorted(str(file.relative_to(protos)) for file in protos.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "contract.pb"
        arguments = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}"]
        if protoc.main(["protoc", *includes, *arguments, *files]) != 0:
            raise ContractError("protoc refuses the protos; it has said why.")
        descriptors = FileDescriptorSet.FromString(out.read_bytes())
    contract = Contract()
    for file in descriptors.file:
        add_file(contract, file)
    return contract


def add_file(contract: Contract, file: FileDescriptorProto) -> None:
    said = {tuple(location.path): tidy(location.leading_comments) for location in file.source_code_info.location}
    for number, message in enumerate(file.message_type):
        add_message(contract, message, f"{file.package}.{message.name}", (MESSAGE, number), said)
    for number, enum in enumerate(file.enum_type):
        contract.enums[f"{file.package}.{enum.name}"] = enum
        contract.comments[f"{file.package}.{enum.name}"] = said.get((ENUM, number), "")
    for number, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        contract.services[name] = service
        contract.comments[name] = said.get((SERVICE, number), "")
        for index, method in enumerate(service.method):
            contract.comments[f"{name}.{method.name}"] = said.get((SERVICE, number, METHOD, index), "")


def add_message(
    contract: Contract, message: DescriptorProto, name: str, path: tuple[int, ...], said: dict[tuple[int, ...], str]
) -> None:
    contract.messages[name] = message
    contract.comments[name] = said.get(path, "")
    for number, member in enumerate(message.field):
        contract.comments[f"{name}.{member.name}"] = said.get((*path, FIELD, number), "")
    for number, nested in enumerate(message.nested_type):
        add_message(contract, nested, f"{name}.{nested.name}", (*path, NESTED, number), said)
    for enum in message.enum_type:
        contract.enums[f"{name}.{enum.name}"] = enum


def tidy(comment: str) -> str:
    return " ".join(comment.split())
