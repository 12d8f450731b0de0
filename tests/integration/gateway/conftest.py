"""Envoy with the checked-in configuration before twins of the services and of the object store."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from deploy.local.ports import free_ports
from tests.integration.gateway.objectserver import ObjectServer
from tests.integration.gateway.running import SERVICES, Gateway
from tests.integration.gateway.twins import Services


@pytest.fixture(scope="session")
def running_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    ports = free_ports()
    services = Services({name: ports.named()[name] for name in SERVICES})
    objects = ObjectServer(ports.s3)
    services.start()
    objects.start()
    gateway = Gateway(ports, services, objects, tmp_path_factory.mktemp("gateway"))
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.stop()
        objects.stop()
        services.stop()


@pytest.fixture
def gateway(running_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway of the run; what a test told the twins is forgotten after it."""
    yield running_gateway
    running_gateway.services.reset()
    running_gateway.objects.reset()


@pytest.fixture
def rest(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        yield client
