"""What the migrations are told by the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.settings import PREFIX, SealingSettings


class MigrationSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="postgresql+psycopg://…, of the role hythe_owner.")


class ResealSettings(MigrationSettings, SealingSettings):
    """The keys as the services have them: the new one first, the old ones behind it."""
