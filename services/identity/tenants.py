"""Tenants of the installation; for operators."""

from __future__ import annotations

from runtime.auth import Principal, Role, note_object
from runtime.errors import AlreadyExists, FailedPrecondition, NotFound
from services.identity.authority import current_administrator
from services.identity.checks import checked_name, checked_user_name
from services.identity.model import Account, Page, Tenant
from services.identity.paging import after_number, checked_size, page_of
from services.identity.passwords import Passwords, make_password
from services.identity.store.transactions import Store
from services.identity.users import name_taken


class Tenants:
    def __init__(self, store: Store, passwords: Passwords) -> None:
        self._store = store
        self._passwords = passwords

    async def create(self, caller: Principal, name: str, admin_email: str) -> tuple[Tenant, Account, str]:
        """The tenant, its first administrator, and that one's password, which nobody can read again."""
        tenant_name = checked_name(name)
        user_name = checked_user_name(admin_email, field="admin_email")
        password = make_password()
        password_hash = await self._passwords.hash(password)
        async with self._store.begin() as queries:
            await current_administrator(queries, caller, operator=True)
            tenant = await queries.tenants.add(tenant_name)
            if tenant is None:
                raise AlreadyExists("TENANT_EXISTS", f"There is a tenant {tenant_name} already.", name=tenant_name)
            admin = await queries.accounts.add(
                tenant.tenant_id, user_name, role=Role.ADMIN, password_hash=password_hash
            )
            if admin is None:
                raise name_taken(user_name)
        note_object(tenant_id=tenant.tenant_id, user_id=admin.user_id)
        return tenant, admin, password

    async def list(self, caller: Principal, *, page_size: int, page_token: str) -> Page[Tenant]:
        size = checked_size(page_size)
        async with self._store.begin() as queries:
            await current_administrator(queries, caller, operator=True)
            tenants = await queries.tenants.list(after=after_number(page_token), limit=size + 1)
        return page_of(tenants, size, lambda tenant: tenant.tenant_id)

    async def set_disabled(self, caller: Principal, tenant_id: int, *, disabled: bool) -> Tenant:
        """Nobody of a disabled tenant can log in, use a key or renew a token."""
        async with self._store.begin() as queries:
            await queries.lock_administration()
            operator = await current_administrator(queries, caller, operator=True)
            if disabled and tenant_id == operator.tenant_id:
                raise FailedPrecondition("OWN_TENANT", "You cannot disable your own tenant.")
            tenant = await queries.tenants.set_disabled(tenant_id, disabled=disabled)
        if tenant is None:
            raise NotFound("TENANT_NOT_FOUND", f"There is no tenant {tenant_id}.", tenant_id=str(tenant_id))
        return tenant
