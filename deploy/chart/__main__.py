"""`python -m deploy.chart [--check]`: writes what in the chart is made of other files, or tells what of it is stale."""

from __future__ import annotations

import argparse
import sys

from deploy.chart import copies, readme, schema
from deploy.chart.place import CHART, GenerationError


def generated() -> dict[str, bytes]:
    """Every generated file by its path in the chart."""
    return {
        **copies.files(),
        "values.schema.json": schema.text().encode(),
        "README.md": readme.text().encode(),
    }


def stale(files: dict[str, bytes]) -> list[str]:
    """What is not as generated, and what lies among generated files without being one."""
    different = [path for path, data in files.items() if not _is(path, data)]
    strays = [
        path
        for folder in copies.FOLDERS
        for found in sorted((CHART / folder).rglob("*"))
        if found.is_file() and (path := str(found.relative_to(CHART))) not in files
    ]
    return different + strays


def _is(path: str, data: bytes) -> bool:
    file = CHART / path
    return file.is_file() and file.read_bytes() == data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is committed and write nothing")
    check = parser.parse_args().check
    try:
        files = generated()
    except GenerationError as error:
        print(error, file=sys.stderr)
        return 1
    if check:
        if found := stale(files):
            print(f"Not what it is made of: deploy/k8s/{{{','.join(found)}}}. Run `make chart-docs`.", file=sys.stderr)
        return 1 if found else 0
    for path, data in files.items():
        file = CHART / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    for path in stale(files):
        (CHART / path).unlink()
    print(f"{len(files)} files -> {CHART.name}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
