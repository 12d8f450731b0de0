"""People and service accounts of a tenant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runtime.auth import Principal, note_object
from runtime.errors import AlreadyExists, FailedPrecondition, PermissionDenied
from services.identity.authority import account_to_change, current_administrator, require_successors
from services.identity.checks import checked_clients, checked_role, checked_user_name
from services.identity.model import Account, Page, covers_clients
from services.identity.paging import after_number, checked_size, page_of
from services.identity.passwords import Passwords, make_password
from services.identity.store.transactions import Store


class Users:
    """Everything happens in the caller's own tenant, and nobody is given more than the caller has."""

    def __init__(self, store: Store, passwords: Passwords) -> None:
        self._store = store
        self._passwords = passwords

    async def create(
        self, caller: Principal, email: str, *, role: int, service_account: bool, client_ids: Iterable[int]
    ) -> tuple[Account, str]:
        """The account and its password, which nobody can read again; empty for a service account."""
        name = checked_user_name(email, service_account=service_account)
        checked = checked_role(role)
        clients = checked_clients(client_ids)
        password = "" if service_account else make_password()
        password_hash = await self._passwords.hash(password) if password else None
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            _require_clients(administrator, clients)
            account = await queries.accounts.add(
                administrator.tenant_id, name, role=checked, password_hash=password_hash, client_ids=clients
            )
        if account is None:
            raise name_taken(name)
        note_object(user_id=account.user_id)
        return account, password

    async def list(self, caller: Principal, *, page_size: int, page_token: str) -> Page[Account]:
        size = checked_size(page_size)
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            accounts = await queries.accounts.list(
                administrator.tenant_id, after=after_number(page_token), limit=size + 1
            )
        return page_of(accounts, size, lambda account: account.user_id)

    async def set_disabled(self, caller: Principal, user_id: int, *, disabled: bool) -> Account:
        """Either way, no token of before can be exchanged for a new one."""
        async with self._store.begin() as queries:
            await queries.lock_administration()
            administrator = await current_administrator(queries, caller)
            account = await account_to_change(queries, administrator, user_id)
            if disabled:
                await require_successors(queries, account)
            return await queries.accounts.set_disabled(account, disabled=disabled)

    async def set_role(self, caller: Principal, user_id: int, *, role: int, client_ids: Iterable[int]) -> Account:
        checked = checked_role(role)
        clients = checked_clients(client_ids)
        async with self._store.begin() as queries:
            await queries.lock_administration()
            administrator = await current_administrator(queries, caller)
            _require_clients(administrator, clients)
            account = await account_to_change(queries, administrator, user_id)
            if not replace(account, role=checked, client_ids=clients).covers(account):
                await require_successors(queries, account)
            return await queries.accounts.set_role(account, checked, clients)

    async def rotate_password(self, caller: Principal, user_id: int) -> str:
        """A new password; no token of before can be exchanged for a new one."""
        password = make_password()
        password_hash = await self._passwords.hash(password)
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            account = await account_to_change(queries, administrator, user_id)
            if account.service_account:
                raise FailedPrecondition("SERVICE_ACCOUNT", "A service account has keys and no password.")
            await queries.accounts.set_password(account, password_hash)
        return password


def name_taken(name: str) -> AlreadyExists:
    return AlreadyExists("USER_EXISTS", f"The user name {name} is taken.", email=name)


def _require_clients(administrator: Account, clients: frozenset[int] | None) -> None:
    if not covers_clients(administrator.client_ids, clients):
        raise PermissionDenied("MORE_RIGHTS", "You cannot give access to clients that you have no access to yourself.")
