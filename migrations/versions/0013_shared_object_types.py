"""Workers see how other sources map an object type, for a flip must not give its objects another identity."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

RIGHT = "SELECT (tenant_id, import_source_id, object_schema_id, name, is_enabled, plan) ON import_sources"


def upgrade() -> None:
    op.execute(f"GRANT {RIGHT} TO hythe_worker")
