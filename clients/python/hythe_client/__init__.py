"""Typed client of Hythe's native gRPC API: `HytheClient` for asyncio, `SyncHytheClient` for everything else."""

from __future__ import annotations

from hythe_client.client import TERMINAL_STATES, HytheClient
from hythe_client.errors import HytheError
from hythe_client.files import put_file
from hythe_client.sync import SyncHytheClient

__all__ = ["TERMINAL_STATES", "HytheClient", "HytheError", "SyncHytheClient", "put_file"]
