"""Who may command which import, and the refusals that all commands share."""

from __future__ import annotations

from uuid import UUID

from runtime.auth import Principal, Role
from runtime.errors import FailedPrecondition, NotFound
from services.importer.ports import ImportSession, Locked


async def lock_visible(session: ImportSession, principal: Principal, import_id: str) -> tuple[UUID, Locked]:
    """The import, locked, where this principal may command it: one's own, or an administrator any.

    NotFound otherwise.
    """
    try:
        number = UUID(import_id)
    except ValueError:
        raise import_not_found() from None
    locked = await session.lock(number)
    if locked is None or not principal.may_see_client(locked.client_id):
        raise import_not_found()
    if locked.user_id != principal.user_id and principal.role < Role.ADMIN:
        raise import_not_found()
    return number, locked


def refuse_finished(locked: Locked) -> None:
    if locked.state.is_terminal:
        raise FailedPrecondition("IMPORT_FINISHED", f"The import is already {locked.state}.")


def import_not_found() -> NotFound:
    return NotFound("IMPORT_NOT_FOUND", "There is no such import.")
