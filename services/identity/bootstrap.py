"""`python -m services.identity.bootstrap`: the first tenant, its administrator and operator, their key, workspaces.

It makes what is missing and may be run at every start. A password that is there is left alone, because its owner may
have changed it; `--reset-password` sets it from the file again, and gives the user back every right, for when nobody
can log in any more. The API key in its file is good, and one that was there before is not; a key that somebody has
disabled stays so.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uuid_utils.compat

from runtime.auth import Role
from runtime.database import Database
from runtime.errors import ServiceError
from runtime.settings import load
from services.identity.api_keys import digest_of
from services.identity.checks import checked_name, checked_user_name
from services.identity.model import APPFILE, ASSETS, Account
from services.identity.passwords import LEAST_GIVEN_LENGTH, LONGEST_PASSWORD, Passwords
from services.identity.settings import BootstrapSettings
from services.identity.store.transactions import Queries, Store

KEY_NAME = "bootstrap"
LEAST_KEY_LENGTH = 32
SHOWN_OF_KEY = 10


class BootstrapFailed(Exception):
    """What was asked for cannot be; the message says why."""


async def bootstrap(store: Store, passwords: Passwords, settings: BootstrapSettings, *, reset: bool = False) -> None:
    password = read_secret(settings.admin_password_file, LEAST_GIVEN_LENGTH)
    if len(password) > LONGEST_PASSWORD:
        message = f"The password may have {LONGEST_PASSWORD} characters at most."
        raise BootstrapFailed(message)
    key_file = settings.bootstrap_api_key_file
    key = read_secret(key_file, LEAST_KEY_LENGTH) if key_file else None
    tenant_name = checked_name(settings.bootstrap_tenant, "bootstrap_tenant")
    user_name = checked_user_name(settings.bootstrap_user, service_account=True, field="bootstrap_user")
    async with store.begin() as queries:
        await queries.lock_administration()
        account = await _ensure_administrator(
            queries, tenant_name, user_name, await passwords.hash(password), reset=reset
        )
        if key:
            await _ensure_key(queries, account, key)
        if settings.bootstrap_workspace:
            bucket_id = settings.bootstrap_bucket.strip() or None
            await _ensure_workspace(queries, account, APPFILE, settings.bootstrap_workspace, bucket_id)
        if settings.bootstrap_assets_workspace:
            await _ensure_workspace(queries, account, ASSETS, settings.bootstrap_assets_workspace)


async def _ensure_administrator(
    queries: Queries, tenant_name: str, user_name: str, password_hash: str, *, reset: bool
) -> Account:
    tenant = await queries.tenants.get_by_name(tenant_name) or await queries.tenants.add(tenant_name)
    found = await queries.accounts.get_with_password(user_name)
    account = found[0] if found else None
    if tenant is None or (account and account.tenant_id != tenant.tenant_id):
        message = f"There is a user {user_name} already, in another tenant than {tenant_name}."
        raise BootstrapFailed(message)
    if account and reset:
        account = await queries.accounts.set_password(account, password_hash)
        await queries.tenants.set_disabled(tenant.tenant_id, disabled=False)
        return await queries.accounts.make_operator(account)
    account = account or await queries.accounts.add(
        tenant.tenant_id, user_name, role=Role.ADMIN, password_hash=password_hash, operator=True
    )
    if account is None:
        message = f"The user {user_name} was made by somebody else just now."
        raise BootstrapFailed(message)
    return account


async def _ensure_key(queries: Queries, account: Account, key: str) -> None:
    digest = digest_of(key)
    await queries.keys.disable_others(account, KEY_NAME, digest)
    await queries.keys.add(account, name=KEY_NAME, prefix=key[:SHOWN_OF_KEY], digest=digest)


async def _ensure_workspace(
    queries: Queries, account: Account, dialect: str, name: str, bucket_id: str | None = None
) -> None:
    """One that somebody has disabled stays so."""
    checked = checked_name(name, "name of a workspace")
    if not await queries.workspaces.is_there(account.tenant_id, dialect, checked):
        await queries.workspaces.add(
            account.tenant_id, uuid_utils.compat.uuid7(), dialect=dialect, name=checked, bucket_id=bucket_id
        )


def read_secret(path: Path, least_length: int) -> str:
    """The text of a file, without the white space around it."""
    try:
        secret = path.read_text().strip()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise BootstrapFailed(message) from None
    if len(secret) < least_length:
        message = f"The secret in {path} is shorter than {least_length} characters."
        raise BootstrapFailed(message)
    return secret


async def main(*, reset: bool) -> None:
    settings = load(BootstrapSettings)
    database = Database(settings.database_url.get_secret_value(), application_name="identity-bootstrap", pool_size=1)
    passwords = Passwords(threads=1)
    try:
        await bootstrap(Store(database), passwords, settings, reset=reset)
    except (BootstrapFailed, ServiceError) as error:
        raise SystemExit(str(error)) from None
    finally:
        passwords.close()
        await database.close()


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - {"--reset-password"}
    if unknown:
        raise SystemExit(f"{__doc__}\nThere is no {' '.join(sorted(unknown))}.")
    asyncio.run(main(reset="--reset-password" in sys.argv))
