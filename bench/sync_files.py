"""Sync files of members of families, as cc5 and as its JSON twin: published columns, invented rows.

One value in some hundred has an escape, a quote or characters beyond ASCII; texts that are often left empty are.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

_COLUMNS = (
    ("entityId", "string"), ("familyEntityId", "string"), ("firstName", "string"), ("lastName", "string"),
    ("middleInitial", "string"), ("dob", "date"), ("gender", "string"), ("email", "string"), ("phone", "string"),
    ("address", "object"), ("language", "string"), ("includeInSize", "bool"), ("status", "string"),
    ("isParent", "bool"), ("isChild", "bool"), ("primaryParent", "bool"), ("minorParent", "bool"),
    ("comment", "string"), ("tags", "array"), ("disabled", "bool"),
)  # fmt: skip
_FIRST = ("Maria", "Li", "Amara", "José", "Noah", "Fatima", "Ivan", "Chloe", "Siân", "Emeka")
_LAST = ("Garcia", "Okafor", "Nguyen", "Smith", "O'Neil", "Müller", "Haddad", "Kowalski", "Park", "Silva")
_ODD = ('says "twice"', "left #/# right", "first#Enter#second", "東京", "C:\\temp")
_STATUS = ("new", "pending", "active", "inactive")
_ODD_SHARE, _REMOVED_SHARE = 0.003, 0.001
_PIECE_ROWS = 100


def cc5(items: int, seed: int = 1) -> Iterator[bytes]:
    """So many rows, a few of them deletions in one run at the end."""
    rng = random.Random(seed)
    removed = int(items * _REMOVED_SHARE)
    yield (
        "00|AGENCY01|cc5|20260102030405|bench\n01|wks_family_member|ws-demo|bk-demo|cc-family-member|upsert\n"
        "02|entityId\n03|" + "|".join(f"{code}: {type_}" for code, type_ in _COLUMNS) + "\n"
    ).encode()
    rows: list[str] = []
    for number in range(items - removed):
        rows.append("|".join(("10", *_row(number, rng))) + "|\n")
        if len(rows) == _PIECE_ROWS:
            yield "".join(rows).encode()
            rows.clear()
    rows += [f"90|M{number}\n" for number in range(removed)]
    yield ("".join(rows) + f"99|{items}|\n").encode()


def cc5_json(items: int, seed: int = 1) -> Iterator[bytes]:
    """The same rows as a document of the JSON API."""
    rng = random.Random(seed)
    header = {
        "customer": "AGENCY01",
        "fileType": "cc5",
        "metadata": {
            "keys": ["entityId"],
            "entityType": "wks_family_member",
            "workspaceId": "ws-demo",
            "bucketId": "bk-demo",
            "dataSource": "cc-family-member",
            "fileCreateTime": "20260102030405",
            "flowType": "upsert",
        },
        "FieldMappings": {code: {"code": code, "name": code, "type": type_} for code, type_ in _COLUMNS},
    }
    yield b'{"InstanceId": "bench",\n"header": ' + json.dumps(header).encode() + b',\n"data": ['
    for number in range(items):
        row = dict(zip((code for code, _ in _COLUMNS), _row(number, rng), strict=True))
        values = {code: value for code, value in row.items() if value}
        values["address"] = json.loads(values["address"])
        if not number % 7:
            values["comment"] = "A text like any other"
        yield (",\n" if number else "").encode() + json.dumps(values, ensure_ascii=False).encode()
    yield b'],\n"delete": [], "footer": {"total": ' + str(items).encode() + b"}}\n"


def _row(number: int, rng: random.Random) -> tuple[str, ...]:
    comment = rng.choice(_ODD) if rng.random() < _ODD_SHARE else "A text like any other" if number % 3 else ""
    is_child = "true" if number % 3 else "false"
    return (
        f"M{number}", f"F{number // 3}", rng.choice(_FIRST), f"{rng.choice(_LAST)} {number % 977}",
        "" if number % 4 else "J", f"{1960 + number % 60}{number % 12 + 1:02}{number % 28 + 1:02}",
        "F" if number % 2 else "M", f"m{number}@example.net", f"916555{number % 10_000:04}",
        f'{{"street":"{number % 900} Main Street","zip":"958{number % 90 + 10}","state":"CA"}}',
        "es" if number % 5 else "", "1", _STATUS[number % 4], "true" if is_child == "false" else "false", is_child,
        "0", "0", comment, "new,2026", "false",
    )  # fmt: skip
