"""Whom an opaque credential belongs to: an API key, or a container token."""

from __future__ import annotations

from runtime.auth import ApiKey, Basic, Principal
from runtime.errors import Unauthenticated
from services.identity import container_tokens, metrics
from services.identity.api_keys import digest_of
from services.identity.checks import normal_user_name
from services.identity.store.transactions import Store


class Credentials:
    """API keys, alone or as the password of a Basic credential; runtime.auth's Resolver for this service itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def resolve(self, credential: ApiKey | Basic) -> Principal:
        is_container_token = isinstance(credential, ApiKey) and credential.secret.startswith(container_tokens.PREFIX)
        found = await (self._of_token if is_container_token else self._of_key)(credential)
        if found is None:
            metrics.RESOLVED.labels("INVALID_CREDENTIAL").inc()
            raise Unauthenticated("INVALID_CREDENTIAL", "The credential is not valid, or has expired.")
        metrics.RESOLVED.labels("OK").inc()
        return found

    async def _of_key(self, credential: ApiKey | Basic) -> Principal | None:
        async with self._store.begin() as queries:
            found = await queries.keys.get_owner(digest_of(credential.secret))
        account, scopes = found or (None, frozenset())
        is_theirs = isinstance(credential, ApiKey) or (
            account is not None and account.email == normal_user_name(credential.username)
        )
        return account.principal(scopes) if account and not account.disabled and is_theirs else None

    async def _of_token(self, credential: ApiKey | Basic) -> Principal | None:
        digest = digest_of(credential.secret)
        async with self._store.begin() as queries:
            found = await queries.container_tokens.get_owner(digest)
            if found is None or found[0].disabled:
                return None
            await queries.container_tokens.note_use(digest)
        return container_tokens.token_principal(*found)
