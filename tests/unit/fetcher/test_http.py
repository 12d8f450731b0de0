"""Names of hosts as sources are asked under them."""

from __future__ import annotations

import pytest

from runtime.outbound import host_of
from services.fetcher.http import url_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://xn--mnchen-3ya.example/a", "xn--mnchen-3ya.example"),
        ("https://API.example.com:8443/", "api.example.com"),
        ("https://[2001:db8::1]/", "2001:db8::1"),
        ("https://192.0.2.7/", "192.0.2.7"),
    ],
)
def test_a_host_is_looked_up_by_the_name_that_is_sent(url: str, host: str) -> None:
    assert host_of(url_of(url)) == host
