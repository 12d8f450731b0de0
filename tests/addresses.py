"""Where nothing on behalf of a user may connect to, in all the ways to write it: the same for sources and webhooks."""

from __future__ import annotations

import socket
from collections.abc import Callable

PUBLIC = "93.184.215.14"

NEVER_REACHED = [
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.1.1", "192.0.0.1", "192.0.0.192"),  # noqa: S104 - an address to refuse
    *("100.100.100.200", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fec0::1"),
    *("ff02::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("64:ff9b::808:808", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:808:808::1", "192.88.99.1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
]
"""Whatever a setting says."""

PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1"),
    *("::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
]
"""What `private` allows."""

NOT_PUBLIC = [
    *NEVER_REACHED,
    *PRIVATE,
    *("198.18.0.1", "198.19.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *("::127.0.0.1", "2001:db8::1", "3fff::1", "3fff:fff:ffff::1", "100::1"),
]

SPELLINGS = [
    *("127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "2130706433", "0x7f000001", "017700000001", "0x7f.1", "0177.0.0.1"),
    *("0", "0.0.0.0", "0x0", "127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "LocalHost.", "127.000.000.001"),  # noqa: S104 - an address to refuse
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]"),
    *("[2001:0:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]", "192.0.0.192", "100.100.100.200", "10.0.0.1"),
    *("user@127.0.0.1", "127.0.0.1@localhost", "127.0.0.1#@example.com", "example.com@127.0.0.1", "127.0.0.1\\@a.b"),
    *("127。0。0。1", "\uff11\uff12\uff17.0.0.1", "ⓛocalhost", "127.0.0.1%00.example.com", "127.0.0.1\t"),
    *("127.0.0.1,127.0.0.1", "127.0.0.1/32", "rebound.example.com", "partly.example.com", "second.example.com"),
]
"""Hosts that are this machine, or would be for a careless reader; the names are those of `resolving`."""


def resolving(asked: dict[str, int]) -> Callable[[str, int], list[str]]:
    """A name server: `rebound` leads here, `partly` also elsewhere, `second` elsewhere first and here from then on.

    `asked` counts the questions for each name, and may begin with some.
    """

    def look_up(host: str, port: int) -> list[str]:
        asked[host] = asked.get(host, 0) + 1
        if host == "rebound.example.com":
            return ["127.0.0.1"]
        if host == "partly.example.com":
            return [PUBLIC, "127.0.0.1"]
        if host == "second.example.com" and asked[host] > 1:
            return ["127.0.0.1"]
        return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    return look_up
