from __future__ import annotations

import re
from uuid import RFC_4122

from dialects.plextrac.ids import cuid, uuid


def test_a_cuid_has_the_published_form_and_stays_the_same() -> None:
    assert re.fullmatch(r"c[0-9a-z]{24}", cuid("client", 1, 1000))
    assert cuid("client", 1, 1000) == cuid("client", 1, 1000)


def test_kind_tenant_and_number_each_make_another_id() -> None:
    assert len({cuid("client", 1, 1), cuid("report", 1, 1), cuid("client", 2, 1), cuid("client", 1, 2)}) == 4
    assert len({uuid("evidence", 1, 1), uuid("asset", 1, 1), uuid("evidence", 2, 1), uuid("evidence", 1, 2)}) == 4


def test_a_uuid_is_marked_as_custom() -> None:
    identifier = uuid("evidence", 1, 5)
    assert (identifier.version, identifier.variant) == (8, RFC_4122)
    assert identifier == uuid("evidence", 1, 5)
