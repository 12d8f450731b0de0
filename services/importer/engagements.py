"""What can be imported into: clients and their reports; and what a tenant may use."""

from __future__ import annotations

import json
from dataclasses import replace

from runtime.auth import Principal, note_object
from runtime.errors import InvalidArgument, NotFound, PermissionDenied
from runtime.texts import checked_text
from services.importer.ports import EngagementStore, Limits, NewClient, NewReport
from services.importer.tags import normal_tags

MAX_NAME = 255
MAX_DESCRIPTION = 100_000
MAX_DETAILS_BYTES = 64 * 1024
MAX_RUNNING = 1_000
REPORT_STATUSES = ("Draft", "Ready For Review", "In Review", "Approved", "Published", "Open")


class Engagements:
    """Commands on clients, reports and limits."""

    def __init__(self, store: EngagementStore, *, max_running_imports: int) -> None:
        self._store = store
        self._max_running_imports = max_running_imports

    async def create_client(self, principal: Principal, client: NewClient) -> int:
        """The new client's id. Who is granted certain clients only cannot make others, which they would not see."""
        if principal.client_ids is not None:
            raise PermissionDenied("CLIENT_GRANTS", "Your account is limited to certain clients and cannot create one.")
        checked = replace(
            client,
            name=checked_text("name", client.name, max_length=MAX_NAME, required=True),
            description=checked_text("description", client.description, max_length=MAX_DESCRIPTION),
            poc=checked_text("poc", client.poc, max_length=MAX_NAME),
            poc_email=checked_text("poc_email", client.poc_email, max_length=MAX_NAME),
            tags=normal_tags(client.tags),
        )
        client_id = await self._store.add_client(principal.tenant_id, checked)
        note_object(client_id=client_id)
        return client_id

    async def create_report(self, principal: Principal, report: NewReport) -> int:
        """The new report's id."""
        checked = replace(
            report,
            name=checked_text("name", report.name, max_length=MAX_NAME, required=True),
            description=checked_text("description", report.description, max_length=MAX_DESCRIPTION),
            status=checked_status(report.status),
            tags=normal_tags(report.tags),
        )
        details = json.dumps(report.details)
        if len(details) > MAX_DETAILS_BYTES or "\\u0000" in details:
            raise InvalidArgument("INVALID_DETAILS", "The report's details are too long, or contain a NUL character.")
        found = None
        if principal.may_see_client(report.client_id):
            found = await self._store.add_report(principal.tenant_id, checked)
        if found is None:
            raise NotFound(
                "CLIENT_NOT_FOUND", f"There is no client {report.client_id}.", client_id=str(report.client_id)
            )
        note_object(report_id=found)
        return found

    async def running_limit(self, tenant_id: int) -> int:
        """How many imports of a tenant may be at the workers at once."""
        return (await self._store.limits(tenant_id)).max_running_imports or self._max_running_imports

    async def set_limits(self, tenant_id: int, limits: Limits) -> Limits:
        """For operators of the installation, who alone may name a tenant."""
        if tenant_id <= 0:
            raise InvalidArgument("INVALID_TENANT", "tenant_id is required.")
        if (limits.max_file_bytes or 0) < 0 or not 0 <= (limits.max_running_imports or 0) <= MAX_RUNNING:
            raise InvalidArgument("INVALID_LIMITS", f"Limits are not negative, and at most {MAX_RUNNING} imports run.")
        await self._store.set_limits(tenant_id, limits)
        return limits


def checked_status(status: str) -> str:
    """One of the known words in its own case; empty is Draft."""
    if not status.strip():
        return REPORT_STATUSES[0]
    for word in REPORT_STATUSES:
        if word.lower() == status.strip().lower():
            return word
    known = ", ".join(REPORT_STATUSES)
    raise InvalidArgument("INVALID_STATUS", f"A report's status is one of: {known}.", known=known)
