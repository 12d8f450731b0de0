"""API keys: opaque credentials of a person or a service account, shown once and kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition, InvalidArgument, NotFound
from services.identity.authority import account_to_change, current_administrator
from services.identity.checks import checked_name, checked_scopes
from services.identity.model import KeyRecord, Page
from services.identity.paging import after_number, checked_size, page_of
from services.identity.store.transactions import Queries, Store

PREFIX_BYTES = 4
SECRET_BYTES = 32
LONGEST_LIFE_DAYS = 3_650
LONGEST_GRACE_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class NewKey:
    secret: str
    """`hy_<prefix>_<256 bits>`: recognisable in a leak, and by its prefix in a list."""
    prefix: str

    @property
    def digest(self) -> bytes:
        return digest_of(self.secret)


def make_key() -> NewKey:
    prefix = f"hy_{secrets.token_hex(PREFIX_BYTES)}"
    return NewKey(secret=f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}", prefix=prefix)


def digest_of(secret: str) -> bytes:
    """SHA-256 is enough: nobody guesses 256 random bits, so there is nothing for a slow hash to slow down."""
    return hashlib.sha256(secret.encode()).digest()


class ApiKeys:
    """Keys of the accounts of the caller's tenant. A key has the rights of its account at the time of use."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(
        self, caller: Principal, user_id: int, *, name: str, scopes: Iterable[str], life_days: int
    ) -> tuple[KeyRecord, str]:
        """The key, and its secret, which nobody can read again. A life of 0 days never ends."""
        checked = checked_name(name)
        granted = checked_scopes(scopes)
        if not 0 <= life_days <= LONGEST_LIFE_DAYS:
            raise InvalidArgument("BAD_LIFE", f"life_days must be 0 to {LONGEST_LIFE_DAYS}.", field="life_days")
        new = make_key()
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            owner = await account_to_change(queries, administrator, user_id)
            if owner.disabled:
                raise FailedPrecondition("USER_DISABLED", f"User {user_id} is disabled.", user_id=str(user_id))
            life = timedelta(days=life_days) if life_days else None
            key = await queries.keys.add(
                owner, name=checked, prefix=new.prefix, digest=new.digest, scopes=granted, life=life
            )
        if key is None:
            message = "256 random bits were drawn twice"
            raise RuntimeError(message)
        note_object(api_key_id=key.api_key_id)
        return key, new.secret

    async def list(self, caller: Principal, *, page_size: int, page_token: str) -> Page[KeyRecord]:
        size = checked_size(page_size)
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            keys = await queries.keys.list(administrator.tenant_id, after=after_number(page_token), limit=size + 1)
        return page_of(keys, size, lambda key: key.api_key_id)

    async def set_disabled(self, caller: Principal, api_key_id: int, *, disabled: bool) -> KeyRecord:
        async with self._store.begin() as queries:
            key = await _key_to_change(queries, caller, api_key_id)
            return await queries.keys.set_disabled(key, disabled=disabled)

    async def rotate(self, caller: Principal, api_key_id: int, *, grace_seconds: int) -> tuple[KeyRecord, str]:
        """A new secret; the old one stays good for the grace, so that its users can be moved one by one."""
        if not 0 <= grace_seconds <= LONGEST_GRACE_SECONDS:
            message = f"grace_seconds must be 0 to {LONGEST_GRACE_SECONDS}."
            raise InvalidArgument("BAD_GRACE", message, field="grace_seconds")
        new = make_key()
        async with self._store.begin() as queries:
            key = await _key_to_change(queries, caller, api_key_id)
            grace = timedelta(seconds=grace_seconds)
            key = await queries.keys.rotate(key, prefix=new.prefix, digest=new.digest, grace=grace)
        return key, new.secret


async def _key_to_change(queries: Queries, caller: Principal, api_key_id: int) -> KeyRecord:
    """A key of an account that the caller may act on: the secret of a key is as good as the account itself."""
    administrator = await current_administrator(queries, caller)
    key = await queries.keys.get(administrator.tenant_id, api_key_id)
    if key is None:
        raise NotFound("API_KEY_NOT_FOUND", f"There is no API key {api_key_id}.", api_key_id=str(api_key_id))
    await account_to_change(queries, administrator, key.user_id)
    return key
