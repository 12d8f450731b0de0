"""Row-level security on every table of a tenant."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "affected_assets",
    "asset_keys",
    "assets",
    "audit_log",
    "before_images",
    "clients",
    "evidence",
    "files",
    "findings",
    "import_cancellations",
    "import_claims",
    "import_inputs",
    "import_leases",
    "import_progress",
    "imports",
    "outbox",
    "reports",
    "row_errors",
    "sightings",
    "tags",
    "tenant_limits",
)

TENANT_RULE = "tenant_id = (SELECT NULLIF(current_setting('hythe.tenant', true), '')::int)"

# The dispatcher sees the queue of every tenant; the grants say which columns of it.
DISPATCH_POLICIES = (
    "CREATE POLICY dispatch ON import_inputs FOR SELECT TO hythe_dispatch USING (true)",
    "CREATE POLICY dispatch ON imports FOR SELECT TO hythe_dispatch USING (true)",
    "CREATE POLICY dispatch ON outbox FOR ALL TO hythe_dispatch USING (true) WITH CHECK (true)",
)


def upgrade() -> None:
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} FOR ALL TO PUBLIC USING ({TENANT_RULE}) WITH CHECK ({TENANT_RULE})"
        )
    for statement in DISPATCH_POLICIES:
        op.execute(statement)
