"""Imported once by the fork server: the formats are loaded and the network is gone before the first child is forked."""

from __future__ import annotations

from services.importer.engine import child
from services.importer.engine.sandbox import drop_network

child.IS_NETWORK_DROPPED = drop_network()
