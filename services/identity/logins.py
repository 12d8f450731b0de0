"""Logins: a password for a token, a token for a newer one, and how often somebody may try."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import math

import structlog

from runtime.auth import Principal, act_as
from runtime.errors import InvalidArgument, ResourceExhausted, ServiceError, Unauthenticated
from services.identity import metrics
from services.identity.authority import current_account
from services.identity.checks import normal_user_name
from services.identity.model import Account, Tenant
from services.identity.passwords import Passwords
from services.identity.store.transactions import Store
from services.identity.tokens import Token, TokenIssuer, generation_of

log = structlog.get_logger(__name__)

PRUNE_SECONDS = 600.0
IPV6_NETWORK_BITS = 64
"""One customer gets at least this much, so single addresses within it tell nobody apart."""


class LoginLimit:
    """At most so many logins in a minute, counted in the database for all replicas; good ones count as well."""

    def __init__(self, store: Store, *, per_user: int, per_address: int) -> None:
        self._store = store
        self._per_user = per_user
        self._per_address = per_address

    async def admit(self, user_name: str, address: str) -> None:
        """Count this login, or raise ResourceExhausted. A refused one is not counted: it costs nothing."""
        limits = {user_subject(user_name): self._per_user, address_subject(address): self._per_address}
        subjects = list(limits)
        async with self._store.begin() as queries:
            await queries.attempts.lock(subjects)
            counted = await queries.attempts.count(subjects)
            waits = [wait for subject, (count, wait) in counted.items() if count >= limits[subject]]
            if not waits:
                await queries.attempts.add(subjects)
                return
        seconds = max(1, math.ceil(max(waits)))
        raise ResourceExhausted(
            "LOGIN_LIMIT", f"Too many logins; try again in {seconds} s.", retry_after_seconds=str(seconds)
        )

    async def prune(self, stop: asyncio.Event) -> None:
        """Forget old attempts from time to time, until `stop`."""
        while not stop.is_set():
            try:
                async with self._store.begin() as queries:
                    await queries.attempts.delete_old()
            except ServiceError as error:
                log.warning("old login attempts not deleted", cause=error.reason)
            try:
                await asyncio.wait_for(stop.wait(), PRUNE_SECONDS)
            except TimeoutError:
                continue


def user_subject(user_name: str) -> str:
    # A digest, because people type passwords into the wrong field.
    return f"user:{hashlib.sha256(user_name.encode()).hexdigest()}"


def address_subject(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address:{address[:64]}"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False)}"
    return f"address:{parsed}"


class Logins:
    def __init__(self, store: Store, passwords: Passwords, issuer: TokenIssuer, limit: LoginLimit) -> None:
        self._store = store
        self._passwords = passwords
        self._issuer = issuer
        self._limit = limit

    async def authenticate(self, user_name: str, password: str, *, address: str) -> Token:
        """A token; Unauthenticated says the same, after the same work, whatever was wrong."""
        if not user_name.strip() or not password:
            raise InvalidArgument("CREDENTIALS_REQUIRED", "username and password are required.")
        # Nobody's name has a NUL, and the database takes none.
        name = normal_user_name(user_name).replace("\0", "\ufffd")
        try:
            await self._limit.admit(name, address)
            account = await self._check(name, password)
        except ServiceError as error:
            metrics.LOGINS.labels(error.reason).inc()
            raise
        metrics.LOGINS.labels("OK").inc()
        act_as(account.principal())
        return self._issuer.issue(account)

    async def _check(self, name: str, password: str) -> Account:
        async with self._store.begin() as queries:
            found = await queries.accounts.get_with_password(name)
        # No transaction is held while the password is hashed: that takes a tenth of a second.
        account, stored = found or (None, None)
        is_right = await self._passwords.is_right(stored, password)
        if account is None or stored is None or not is_right or account.disabled:
            raise Unauthenticated("LOGIN_FAILED", "The user name or the password is wrong.")
        if self._passwords.is_outdated(stored):
            fresh = await self._passwords.hash(password)
            async with self._store.begin() as queries:
                await queries.accounts.replace_hash(account, stored, fresh)
        return account

    async def refresh(self, principal: Principal, credential: str) -> Token:
        """A new token for one that is still good, with the rights of now. `credential` is the token as it came."""
        generation = generation_of(credential)
        async with self._store.begin() as queries:
            account = await current_account(queries, principal)
        if generation != account.generation:
            raise Unauthenticated("INVALID_CREDENTIAL", "The credential is not valid, or has expired.")
        return self._issuer.issue(account)

    async def who_am_i(self, principal: Principal) -> Tenant:
        """The caller's tenant; Unauthenticated when the account has been disabled since."""
        async with self._store.begin() as queries:
            await current_account(queries, principal)
            tenant = await queries.tenants.get(principal.tenant_id)
        if tenant is None:
            raise Unauthenticated("INVALID_CREDENTIAL", "The credential is not valid, or has expired.")
        return tenant
