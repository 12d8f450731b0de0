"""Who may command which import, and the refusals that all commands share."""

from __future__ import annotations

from uuid import UUID

from runtime.auth import Principal, Role
from runtime.errors import FailedPrecondition, NotFound
from services.importer.ports import ImportSession, Locked


async def lock_visible(session: ImportSession, principal: Principal, import_id: str) -> tuple[UUID, Locked]:
    """The import, locked, where this principal may command it; NotFound otherwise."""
    try:
        number = UUID(import_id)
    except ValueError:
        raise import_not_found() from None
    locked = await session.lock(number)
    if locked is None or not may_command(principal, locked):
        raise import_not_found()
    return number, locked


def may_command(principal: Principal, locked: Locked) -> bool:
    """One's own, or an administrator any.

    Runs of an import source are everybody's who may import in the workspace, whoever has started them: a schedule, a
    colleague, or the holder of the source's container token, which reaches that source alone.
    """
    if not principal.may_see_client(locked.client_id):
        return False
    if locked.import_source_id is not None:
        return principal.may_reach_source(locked.import_source_id)
    return principal.import_source_id is None and (locked.user_id == principal.user_id or principal.role >= Role.ADMIN)


def refuse_finished(locked: Locked) -> None:
    if locked.state.is_terminal:
        raise FailedPrecondition("IMPORT_FINISHED", f"The import is already {locked.state}.")


def import_not_found() -> NotFound:
    return NotFound("IMPORT_NOT_FOUND", "There is no such import.")
