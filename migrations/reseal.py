"""`python -m migrations.reseal`: seal under the first key of HYTHE_SECRETS_KEY what another one has sealed.

The step of a rotation before the old key may go (docs/operations.md). It connects as hythe_owner, takes one tenant
after the other, each in a transaction of its own, beside running services, and may be run again at will: what has been
sealed by the first key is left alone, and so is what somebody changes in the same moment.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Column, Connection, Table, create_engine, pool, select, text, update

from migrations.settings import ResealSettings
from runtime.sealing import Sealer, Unsealable
from runtime.settings import load
from schema.assets import import_sources
from schema.identity import container_tokens, tenants
from schema.importer import webhooks

SEALED: tuple[tuple[Table, Column[bytes]], ...] = (
    (webhooks, webhooks.c.secret),
    (import_sources, import_sources.c.secret),
    (container_tokens, container_tokens.c.sealed),
)
"""Every column that `runtime.sealing` writes."""


def reseal(connection: Connection, sealer: Sealer, tenant_id: int) -> Iterator[tuple[str, str]]:
    """For each secret of a tenant: table.column, and what became of it.

    That is `sealed anew`, `left`, `changed meanwhile`, or `unreadable` with the key of its row.
    """
    # The owner is under the tenants' policies, too.
    connection.execute(text("SELECT set_config('hythe.tenant', :tenant, true)"), {"tenant": str(tenant_id)})
    for table, column in SEALED:
        name = f"{table.fullname}.{column.name}"
        key = tuple(table.primary_key)
        rows = connection.execute(
            select(*key, column).where(table.c.tenant_id == tenant_id, column.is_not(None)).order_by(*key)
        ).all()
        for *identity, sealed in rows:
            place = dict(zip((each.name for each in key), identity, strict=True))
            try:
                fresh = sealer.reseal(sealed)
            except Unsealable:
                yield name, f"unreadable: {', '.join(f'{part} {value}' for part, value in place.items())}"
                continue
            if fresh is None:
                yield name, "left"
                continue
            done = connection.execute(
                update(table)
                .where(*(each == place[each.name] for each in key), column == sealed)
                .values({column: fresh})
            )
            yield name, "sealed anew" if done.rowcount else "changed meanwhile"


def main() -> int:
    """The exit code: 1 when something could not be unsealed or has changed in the same moment."""
    settings = load(ResealSettings)
    sealer = Sealer(settings.secrets_key.get_secret_value())
    engine = create_engine(
        settings.database_url.get_secret_value(),
        poolclass=pool.NullPool,
        connect_args={"application_name": "hythe-reseal"},
    )
    with engine.begin() as connection:
        tenant_ids = connection.execute(select(tenants.c.tenant_id).order_by(tenants.c.tenant_id)).scalars().all()
    counted: Counter[tuple[str, str]] = Counter()
    for tenant_id in tenant_ids:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            counted.update(reseal(connection, sealer, tenant_id))
    for (name, outcome), count in sorted(counted.items()):
        sys.stdout.write(f"{name}: {count} {outcome}\n")
    return int(any(outcome not in {"sealed anew", "left"} for _, outcome in counted))


if __name__ == "__main__":
    raise SystemExit(main())
