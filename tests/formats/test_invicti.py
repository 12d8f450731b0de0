"""What is special about reports of Invicti Standard."""

from __future__ import annotations

from io import BytesIO

import pytest

from services.importer.formats import invicti
from services.importer.formats.kit.format import DamagedFile
from tests.formats.golden import DATA


def test_html_outside_cdata_is_told_with_its_place() -> None:
    data = (DATA / "invicti" / "standard-old.xml").read_bytes()
    broken = data.replace(b"<severity>", b"<description><p>An old<br>version</p></description>\n<severity>")
    with pytest.raises(DamagedFile) as caught:
        list(invicti.walk(BytesIO(broken)))
    assert caught.value.code == "MALFORMED_XML"
    assert caught.value.position.line == 7
