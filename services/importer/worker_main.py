"""Entry point of the worker. The fork server of the parser children is started before anything imports grpc."""

from __future__ import annotations

from services.importer.engine.parser_process import start_fork_server


def main() -> None:
    """Starts the fork server, then the worker itself."""
    start_fork_server()
    from services.importer.worker_root import run  # noqa: PLC0415  (grpc's threads would not survive the fork)

    run()


if __name__ == "__main__":
    main()
