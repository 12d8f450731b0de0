"""What each role may do on which table (schema/security.py)."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

GRANTS = (
    "GRANT USAGE ON SCHEMA identity TO hythe_identity",
    "GRANT DELETE, INSERT, SELECT, UPDATE ON files TO hythe_upload",
    "GRANT SELECT ON tenant_limits TO hythe_upload",
    (
        "GRANT DELETE, INSERT, SELECT, UPDATE ON clients, import_cancellations, import_claims, import_inputs,"
        " import_leases, import_progress, imports, outbox, reports, row_errors, tenant_limits TO "
        "hythe_importer"
    ),
    "GRANT SELECT ON files TO hythe_importer",
    (
        "GRANT DELETE, SELECT ON affected_assets, asset_keys, assets, before_images, evidence, findings, "
        "sightings, tags TO hythe_importer"
    ),
    "GRANT DELETE, SELECT ON outbox TO hythe_dispatch",
    "GRANT SELECT ON import_leases TO hythe_dispatch",
    "GRANT SELECT, UPDATE ON imports TO hythe_worker",
    "GRANT SELECT ON clients, import_inputs, reports TO hythe_worker",
    (
        "GRANT DELETE, INSERT, SELECT, UPDATE ON affected_assets, asset_keys, assets, evidence, findings, "
        "import_cancellations, import_claims, import_leases, import_progress TO hythe_worker"
    ),
    "GRANT DELETE, SELECT, UPDATE ON outbox TO hythe_worker",
    "GRANT DELETE, INSERT, SELECT ON row_errors TO hythe_worker",
    "GRANT INSERT, SELECT ON before_images, sightings, tags TO hythe_worker",
    (
        "GRANT SELECT ON affected_assets, asset_keys, assets, before_images, clients, evidence, files, "
        "findings, import_cancellations, import_claims, import_inputs, import_leases, import_progress, "
        "imports, outbox, reports, row_errors, sightings, tags, tenant_limits TO hythe_status"
    ),
    (
        "GRANT INSERT, SELECT, UPDATE ON identity.api_keys, identity.tenants, identity.users, "
        "identity.workspaces TO hythe_identity"
    ),
    "GRANT DELETE, INSERT, SELECT ON identity.login_attempts TO hythe_identity",
    "GRANT SELECT ON audit_log TO hythe_identity",
    "GRANT INSERT ON audit_log TO hythe_audit",
    (
        "GRANT SELECT (tenant_id, import_id, state, lane, not_before, created_at, started_at, ended_at) ON "
        "imports TO hythe_dispatch"
    ),
    "GRANT SELECT (tenant_id, import_id, number) ON import_inputs TO hythe_dispatch",
    "GRANT UPDATE (dispatch_number, stream_sequence, published_at, next_at) ON outbox TO hythe_dispatch",
    (
        "GRANT USAGE ON SEQUENCE affected_assets_affected_id_seq, assets_asset_id_seq, "
        "evidence_evidence_id_seq, findings_finding_id_seq TO hythe_worker"
    ),
)


def upgrade() -> None:
    for statement in GRANTS:
        op.execute(statement)
