"""${message}."""
<%
    needs_sqlalchemy = "sa." in (upgrades or "")
%>
from __future__ import annotations

% if needs_sqlalchemy:
import sqlalchemy as sa
% endif
from alembic import op

revision = "${up_revision}"
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "# Expand here, contract in a later release: migrations/README.md\n    op.execute(\"SELECT 1\")"}
