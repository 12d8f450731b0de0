"""The settings of the identity service, and of the command that makes its first administrator."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.settings import PREFIX, SealingSettings, Settings


class IdentitySettings(Settings, SealingSettings):
    public_url: HttpUrl = Field(description="Origin of the gateway, as clients see it.")
    installation_id: UUID | None = Field(
        None, description="What clients of the Assets API call its cloud; without it one is made of the public URL."
    )
    jwt_private_key_file: Path = Field(description="PEM with one private key or more; the last signs, all verify.")
    key_reload_seconds: float = Field(30, gt=0, description="How often the key file is looked at for a change.")
    token_seconds: int = Field(900, ge=60, le=3600, description="Life of a token.")
    logins_per_user: int = Field(10, ge=1, description="Logins a minute with one user name, good or bad.")
    logins_per_address: int = Field(60, ge=1, description="Logins a minute from one network address, good or bad.")
    hashing_threads: int = Field(2, ge=1, le=16, description="Passwords hashed at once, each in 64 MiB of memory.")
    max_waiting_logins: int = Field(64, ge=1, description="Logins that may wait for a thread; more are refused.")


class BootstrapSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="postgresql+psycopg://…, of the role hythe_identity.")
    bootstrap_tenant: str = Field(description="Name of the first tenant.")
    bootstrap_user: str = Field(description="User name of its first administrator, who is also an operator.")
    admin_password_file: Path = Field(description="File with that user's first password.")
    bootstrap_workspace: str = Field("", description="Name of that tenant's AppFile workspace, if it is to have one.")
    bootstrap_bucket: str = Field("", description="What clients of the AppFile API call its bucket.")
    bootstrap_assets_workspace: str = Field("", description="Name of its Assets workspace, if it is to have one.")
    bootstrap_api_key_file: Path | None = Field(None, description="File with an API key of that user, if it needs one.")
