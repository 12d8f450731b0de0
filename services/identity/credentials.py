"""Whom an opaque credential belongs to."""

from __future__ import annotations

from runtime.auth import ApiKey, Basic, Principal
from runtime.errors import Unauthenticated
from services.identity import metrics
from services.identity.api_keys import digest_of
from services.identity.checks import normal_user_name
from services.identity.store.transactions import Store


class Credentials:
    """API keys, alone or as the password of a Basic credential; runtime.auth's Resolver for this service itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def resolve(self, credential: ApiKey | Basic) -> Principal:
        async with self._store.begin() as queries:
            found = await queries.keys.get_owner(digest_of(credential.secret))
        account, scopes = found or (None, frozenset())
        is_theirs = isinstance(credential, ApiKey) or (
            account is not None and account.email == normal_user_name(credential.username)
        )
        if account is None or account.disabled or not is_theirs:
            metrics.RESOLVED.labels("INVALID_CREDENTIAL").inc()
            raise Unauthenticated("INVALID_CREDENTIAL", "The credential is not valid, or has expired.")
        metrics.RESOLVED.labels("OK").inc()
        return account.principal(scopes)
