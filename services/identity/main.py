"""The identity service: settings, adapters, use cases, serve."""

from __future__ import annotations

from functools import partial

import dialects.assets.envelope
import dialects.plextrac.envelope
from hythe.dialects.assets.v1.assets_pb2_grpc import add_AssetsIdentityServicer_to_server
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import add_PlextracIdentityServicer_to_server
from hythe.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from hythe.identity.v1.well_known_pb2_grpc import add_WellKnownServicer_to_server
from runtime.audit import AuditTable, AuditTrail
from runtime.auth import Authenticator
from runtime.database import Database
from runtime.sealing import Sealer
from runtime.server import run, serve
from runtime.settings import load
from schema.identity import audit_log
from services.identity.api_keys import ApiKeys
from services.identity.container_tokens import ContainerTokens
from services.identity.credentials import Credentials
from services.identity.dialects.assets import AssetsIdentity
from services.identity.dialects.plextrac import PlextracIdentity, extra_claims
from services.identity.logins import LoginLimit, Logins
from services.identity.passwords import Passwords
from services.identity.service import IdentityService, UseCases, WellKnown
from services.identity.settings import IdentitySettings
from services.identity.signing import KeyRing
from services.identity.standings import Standings
from services.identity.store.transactions import Store
from services.identity.tenants import Tenants
from services.identity.tokens import TokenIssuer
from services.identity.users import Users
from services.identity.workspaces import Workspaces

NAME = "identity"
SERVICE_NAMES = (
    "hythe.identity.v1.IdentityService",
    "hythe.identity.v1.WellKnown",
    "hythe.dialects.plextrac.v2.PlextracIdentity",
    "hythe.dialects.assets.v1.AssetsIdentity",
)


async def main() -> None:
    settings = load(IdentitySettings)
    database = Database(
        settings.database_url.get_secret_value(), application_name=NAME, pool_size=settings.database_pool
    )
    audit_database = Database(
        settings.audit_database_url.get_secret_value(), application_name=f"{NAME}-audit", pool_size=1
    )
    store = Store(database)
    keys = KeyRing(settings.jwt_private_key_file)
    passwords = Passwords(threads=settings.hashing_threads, max_waiting=settings.max_waiting_logins)
    limit = LoginLimit(store, per_user=settings.logins_per_user, per_address=settings.logins_per_address)
    issuer = TokenIssuer(
        keys,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        life_seconds=settings.token_seconds,
        claims_of=extra_claims,
    )
    use_cases = UseCases(
        keys=keys,
        logins=Logins(store, passwords, issuer, limit),
        credentials=Credentials(store),
        standings=Standings(store),
        tenants=Tenants(store, passwords),
        users=Users(store, passwords),
        api_keys=ApiKeys(store),
        container_tokens=ContainerTokens(store, Sealer(settings.secrets_key.get_secret_value())),
        workspaces=Workspaces(store),
    )
    assets = AssetsIdentity(
        use_cases.workspaces, public_url=str(settings.public_url), installation_id=settings.installation_id
    )
    # This service knows its own keys and credentials; the others ask it for them.
    authenticator = Authenticator(
        keys, use_cases.credentials, issuer=settings.token_issuer, audience=settings.token_audience
    )
    try:
        await serve(
            settings,
            name=NAME,
            registrations=[
                partial(add_IdentityServiceServicer_to_server, IdentityService(use_cases)),
                partial(add_WellKnownServicer_to_server, WellKnown(use_cases)),
                partial(add_PlextracIdentityServicer_to_server, PlextracIdentity(use_cases.logins)),
                partial(add_AssetsIdentityServicer_to_server, assets),
            ],
            service_names=SERVICE_NAMES,
            envelopes={
                "plextrac": dialects.plextrac.envelope.error_envelope,
                "assets": dialects.assets.envelope.error_envelope,
            },
            authenticator=authenticator,
            audit=AuditTrail(AuditTable(audit_database, audit_log)),
            background=[partial(keys.watch, seconds=settings.key_reload_seconds), limit.prune],
            readiness=[database.ping],
        )
    finally:
        passwords.close()
        await authenticator.close()
        await database.close()
        await audit_database.close()


if __name__ == "__main__":
    run(main())
