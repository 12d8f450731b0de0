"""Who may administer what. A token may be 15 minutes old, so the caller's rights are read anew each time."""

from __future__ import annotations

from runtime.auth import Principal, Role
from runtime.errors import FailedPrecondition, NotFound, PermissionDenied, Unauthenticated
from services.identity.model import Account
from services.identity.store.transactions import Queries


async def current_account(queries: Queries, principal: Principal) -> Account:
    """The caller's account as it is now."""
    account = await queries.accounts.get(principal.tenant_id, principal.user_id)
    if account is None or account.disabled:
        raise Unauthenticated("INVALID_CREDENTIAL", "The credential is not valid, or has expired.")
    return account


async def current_administrator(queries: Queries, principal: Principal, *, operator: bool = False) -> Account:
    """The caller's account, which must still be an administrator's, or an operator's."""
    account = await current_account(queries, principal)
    if account.role < Role.ADMIN:
        raise PermissionDenied("ROLE_REQUIRED", "This needs the role admin.", role="admin")
    if operator and not account.operator:
        raise PermissionDenied("OPERATOR_REQUIRED", "This is for operators of the installation.")
    return account


async def account_to_change(queries: Queries, caller: Account, user_id: int) -> Account:
    """An account of the caller's tenant whose rights the caller has too: acting on it must not give the caller more."""
    account = await queries.accounts.get(caller.tenant_id, user_id)
    if account is None:
        raise NotFound("USER_NOT_FOUND", f"There is no user {user_id}.", user_id=str(user_id))
    if not caller.covers(account):
        raise PermissionDenied("MORE_RIGHTS", f"User {user_id} has rights that you do not have.", user_id=str(user_id))
    return account


async def require_successors(queries: Queries, account: Account) -> None:
    """That somebody is left to administer the tenant, and to operate the installation, without this account."""
    counts_as_one = account.role == Role.ADMIN and not account.service_account and account.client_ids is None
    if account.disabled or not counts_as_one:
        return
    if not await queries.accounts.count_other_administrators(account):
        raise FailedPrecondition("LAST_ADMIN", "The last administrator of a tenant must stay one.")
    if account.operator and not await queries.accounts.count_other_operators(account):
        raise FailedPrecondition("LAST_OPERATOR", "The last operator of the installation must stay one.")
