"""What a command may end with: one readable sentence and an exit code."""

from __future__ import annotations

from enum import IntEnum

from grpc import StatusCode

from hythe_client import HytheError


class ExitCode(IntEnum):
    """Scripts may rely on these."""

    SUCCEEDED = 0
    # The import failed or was cancelled, or the server would not do what was asked.
    FAILED = 1
    USAGE = 2
    # The server cannot be reached, is not well, or does not accept the credential.
    UNREACHABLE = 3
    INTERRUPTED = 130


class CliError(Exception):
    """Ends the command. `details` are members of the JSON object that `--json` prints instead of the sentence."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.FAILED, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.details = details


class Unreachable(CliError):
    """Nobody answers, or only to say that it is not possible now: the same request may work later."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message, ExitCode.UNREACHABLE, **details)


WRONG_REQUEST = frozenset({StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND})
NOT_NOW = frozenset({StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.RESOURCE_EXHAUSTED})
NOT_ALLOWED = frozenset({StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED})


def of_native(error: HytheError) -> CliError:
    """A refused gRPC call or upload as an error of ours."""
    if error.code in NOT_NOW | NOT_ALLOWED:
        exit_code = ExitCode.UNREACHABLE
    else:
        exit_code = ExitCode.USAGE if error.code in WRONG_REQUEST else ExitCode.FAILED
    return CliError(error.message, exit_code, reason=error.reason)
