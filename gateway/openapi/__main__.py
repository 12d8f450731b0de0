"""Writes the OpenAPI documents beside this file: `python -m gateway.openapi`.

With `--check` nothing is written, and a document that is not what the protos give is a failure.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gateway.openapi.contract import Contract, ContractError, read_contract
from gateway.openapi.dialects import DIALECTS
from gateway.openapi.document import Dialect, document

FOLDER = Path(__file__).resolve().parent
PROTOS = FOLDER.parents[1] / "protos"


def rendered(dialect: Dialect, contract: Contract) -> str:
    shapes = json.loads((PROTOS / dialect.shapes).read_text())
    return json.dumps(document(dialect, contract, shapes), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate the OpenAPI documents of the dialects.")
    parser.add_argument("--check", action="store_true", help="compare with what is committed and write nothing")
    is_check = parser.parse_args().check
    try:
        contract = read_contract(PROTOS)
        texts = {FOLDER / f"{dialect.name}.json": rendered(dialect, contract) for dialect in DIALECTS}
    except ContractError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if is_check:
        stale = [file.name for file, text in texts.items() if not file.exists() or file.read_text() != text]
        if stale:
            sys.stderr.write(f"Not what the protos give: {', '.join(stale)}. Run `make openapi`.\n")
        return 1 if stale else 0
    for file, text in texts.items():
        file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
