"""Records every call of an audited method, and every refusal whatever the method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from runtime.audit import NOBODYS_TENANT, AuditEvent, AuditLog
from runtime.context import current_request, noted_variable, principal_variable
from runtime.errors import ServiceError
from runtime.interceptors.authorization import rule_of
from runtime.interceptors.chain import Call

REFUSALS = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
# Names of things, and nothing that could be content, a password or a signed URL.
PLAIN_NAMES = frozenset({"key", "source"})
LONGEST_VALUE = 200


class Auditing:
    """Outside of authorization, so that it sees what that refuses."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        code, reason = grpc.StatusCode.INTERNAL, "INTERNAL"
        noted: dict[str, str] = {}
        token = noted_variable.set(noted)
        try:
            yield
            code, reason = grpc.StatusCode.OK, ""
        except ServiceError as error:
            code, reason = error.code, error.reason
            raise
        except asyncio.CancelledError:
            code, reason = grpc.StatusCode.CANCELLED, ""
            raise
        finally:
            noted_variable.reset(token)
            rule = rule_of(call.method)
            if code in REFUSALS or (rule is not None and rule.audited):
                self._audit.record(event_of(call, code, reason, noted))


def event_of(call: Call, code: grpc.StatusCode, reason: str, noted: Mapping[str, str]) -> AuditEvent:
    """What is kept of a call: `noted` are the ids of what it has made."""
    service, _, method = call.method.partition("/")
    principal = call.principal or principal_variable.get(None)
    return AuditEvent(
        tenant_id=principal.tenant_id if principal else NOBODYS_TENANT,
        user_id=principal.user_id if principal else None,
        service=service,
        method=method,
        outcome=code.name,
        reason=reason,
        request_id=current_request().request_id,
        object={**({} if call.request is None else ids_of(call.request)), **noted},
    )


def ids_of(request: Message) -> dict[str, str]:
    """The ids, key and source that stand in the request itself; what is nested is body."""
    return {
        field.name: str(value)[:LONGEST_VALUE]
        for field, value in request.ListFields()
        if (field.name.endswith("_id") or field.name in PLAIN_NAMES)
        and field.type != FieldDescriptor.TYPE_MESSAGE
        and not field.is_repeated
    }
