"""What `make env` prints: the addresses of the stack and the credentials of its first administrator."""

from __future__ import annotations

from deploy.local import bootstrap, nats, postgres, s3
from deploy.local.instance import Instance
from deploy.local.ports import address
from deploy.local.secrets import Secrets
from deploy.local.services import public_url


def printed_environment(instance: Instance, secrets: Secrets) -> dict[str, str]:
    """The database URL is the superuser's, who stands outside row-level security; the NATS user may do everything."""
    return {
        "HYTHE_URL": public_url(instance),
        "HYTHE_GRPC": address(instance.ports.gateway),
        "HYTHE_USER": bootstrap.USER,
        "HYTHE_PASSWORD": secrets.admin_password,
        "HYTHE_TENANT": bootstrap.TENANT,
        "HYTHE_API_KEY": secrets.api_key,
        "HYTHE_APPFILE_WORKSPACE": bootstrap.WORKSPACE,
        "HYTHE_APPFILE_BUCKET": bootstrap.BUCKET,
        "HYTHE_ASSETS_WORKSPACE": bootstrap.ASSETS_WORKSPACE,
        "HYTHE_DATABASE_URL": postgres.superuser_url(instance, secrets),
        "HYTHE_NATS_URL": nats.url(instance, secrets, "operator"),
        "HYTHE_S3_ENDPOINT": address(instance.ports.s3),
        "HYTHE_S3_ACCESS_KEY": secrets.s3_access_key,
        "HYTHE_S3_SECRET_KEY": secrets.s3_secret_key,
        "HYTHE_S3_BUCKET": s3.BUCKET,
    }
