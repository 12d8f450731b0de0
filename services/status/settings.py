"""Settings of the status service."""

from __future__ import annotations

from pydantic import Field

from runtime.settings import ObjectStoreSettings, Settings


class StatusSettings(Settings, ObjectStoreSettings):
    """What every service with an object store needs, and how many slow readers there may be."""

    stream_connections: int = Field(
        8, ge=1, le=100, description="Database connections for streamed answers, beside those of `database_pool`."
    )
    watch_fast_seconds: float = Field(
        0.1, gt=0, description="How long a watched import that just changed is left alone before it is read again."
    )
    watch_slow_seconds: float = Field(0.5, gt=0, description="The same for one that has not changed for a while.")
    watch_repeat_seconds: float = Field(
        10,
        gt=0,
        le=15,
        description="A watcher hears of an unchanged import this often; the contract says 15 s at most.",
    )
