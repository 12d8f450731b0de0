"""The child that makes a preview: `python -m services.importer.assets.preview_child`.

It reads its order and says what came out, as JSON; or it ends with another code than 0, when the kernel or one of its
own bounds ends it.
"""

from __future__ import annotations

import io
import sys

import msgspec

from services.importer.engine.sandbox import limit_resources
from services.importer.formats.objects.preview import Syntax, preview
from services.importer.targets.objects.plan import ObjectPlan

__all__ = ["Order", "Syntax"]

MEMORY_BYTES = 512 << 20
CPU_SECONDS = 10
MOST_BYTES = 3 << 20
"""Of what is shown: an answer has 4 MiB at most."""
TOO_LONG = 3


class Order(msgspec.Struct, frozen=True):
    """`limit` is how many records are to be shown."""

    syntax: Syntax
    plan: ObjectPlan
    sample: bytes
    limit: int


def main() -> int:
    """The code to end with."""
    limit_resources(MEMORY_BYTES, CPU_SECONDS)
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    told = msgspec.json.encode(preview(order.syntax, order.plan, io.BytesIO(order.sample), order.limit))
    if len(told) > MOST_BYTES:
        return TOO_LONG
    sys.stdout.buffer.write(told)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
