"""Generate the Python code under gen/ and the gateway's descriptor set from the protos.

`python protos/generate.py` writes both; `--check` writes nothing and fails when what is committed differs from what the
protos give. Everything comes from wheels: protoc from grpcio-tools, google/api and google/rpc from
googleapis-common-protos, type stubs from mypy-protobuf.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "gen"
DESCRIPTORS = ROOT / "gateway" / "descriptors.pb"
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))

# The gateway renders the details of an error as JSON and needs their types, although no RPC names them.
ERROR_PROTOS = ("google/rpc/status.proto", "google/rpc/error_details.proto")


class GenerationFailed(Exception):
    """Protoc refused the protos; it has printed why."""


def run_protoc(*arguments: str) -> None:
    scripts = Path(sysconfig.get_path("scripts"))
    plugins = [f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    includes = [f"-I{PROTOS}", f"-I{SITE_PACKAGES}", f"-I{SITE_PACKAGES / 'grpc_tools' / '_proto'}"]
    if protoc.main(["protoc", *includes, *plugins, *arguments]) != 0:
        raise GenerationFailed


def write_python(protos: list[str], out: Path) -> None:
    """Modules and stubs of `protos` below `out`, and an empty __init__.py in each package."""
    run_protoc(
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
        *protos,
    )
    for folder in sorted({parent for file in out.rglob("*.py") for parent in file.relative_to(out).parents}):
        if folder != Path():
            (out / folder / "__init__.py").touch()


def write_descriptors(protos: list[str], out: Path) -> None:
    run_protoc("--include_imports", f"--descriptor_set_out={out}", *protos, *ERROR_PROTOS)


def is_same_tree(left: Path, right: Path) -> bool:
    ours, theirs = (
        sorted(
            file.relative_to(tree)
            for file in tree.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts and file.suffix in {".py", ".pyi"}
        )
        for tree in (left, right)
    )
    return ours == theirs and not any(filecmp.cmpfiles(left, right, [str(file) for file in ours], shallow=False)[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed and write nothing")
    check = parser.parse_args().check
    protos = sorted(str(file.relative_to(PROTOS)) for file in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        python, descriptors = Path(scratch) / "gen", Path(scratch) / "descriptors.pb"
        python.mkdir()
        try:
            write_python(protos, python)
            write_descriptors(protos, descriptors)
        except GenerationFailed:
            return 1
        if check:
            return report_difference(python, descriptors)
        # The package tree is replaced whole, so that a removed proto leaves no module behind.
        shutil.rmtree(GENERATED / "hythe", ignore_errors=True)
        shutil.copytree(python, GENERATED, dirs_exist_ok=True)
        DESCRIPTORS.parent.mkdir(exist_ok=True)
        shutil.copyfile(descriptors, DESCRIPTORS)
    print(f"{len(protos)} protos -> {GENERATED.name}/ and {DESCRIPTORS.relative_to(ROOT)}")
    return 0


def report_difference(python: Path, descriptors: Path) -> int:
    stale = []
    if not is_same_tree(python, GENERATED):
        stale.append(f"{GENERATED.name}/")
    if not DESCRIPTORS.exists() or not filecmp.cmp(descriptors, DESCRIPTORS, shallow=False):
        stale.append(str(DESCRIPTORS.relative_to(ROOT)))
    if stale:
        print(f"Not what the protos give: {', '.join(stale)}. Run `make proto`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
