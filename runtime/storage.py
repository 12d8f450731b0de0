"""What failures of the object store mean, and the threads that its blocking calls run in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from minio.error import MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from runtime.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

PRECONDITION_FAILED = 412


class ObjectMissing(Exception):
    """There is no such object."""


class ObjectChanged(Exception):
    """The object was overwritten since its ETag was noted."""


class UploadMissing(Exception):
    """There is no such upload in parts: it has been completed or aborted, or never was."""


class StorageUnavailable(Unavailable):
    """The store does not answer, or not as it should; it may do so later. The cause is for the log."""

    def __init__(self, cause: str = "") -> None:
        super().__init__("STORAGE_UNAVAILABLE", "The object store does not answer at the moment.")
        self.cause = cause

    def __str__(self) -> str:
        return self.cause


FAILURES = (MinioException, HTTPError, OSError)
"""All that the SDK and its HTTP client raise for what the other side did."""


def translate(error: Exception) -> Exception:
    """One of the three above. Their texts are codes, never URLs: those are signed."""
    if isinstance(error, S3Error):
        if error.code in {"NoSuchKey", "NoSuchObject"}:
            return ObjectMissing(error.code)
        if error.code == "PreconditionFailed":
            return ObjectChanged(error.code)
        return StorageUnavailable(error.code or "unknown")
    # The answer to a HEAD has no body, so no code either.
    if isinstance(error, ServerError) and error.status_code == PRECONDITION_FAILED:
        return ObjectChanged("PreconditionFailed")
    return StorageUnavailable(type(error).__name__)


class StorageThreads:
    """A bounded pool; more calls wait for a thread."""

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="objects")

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin a call. Cancelling the future does not stop a call that runs."""

        def run() -> T:
            try:
                return function(*args, **kwargs)
            except FAILURES as error:
                raise translate(error) from error

        return asyncio.get_running_loop().run_in_executor(self._executor, run)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.start(function, *args, **kwargs)

    def close(self) -> None:
        """Wait for the calls that run, which their time limits bound; drop those that wait."""
        self._executor.shutdown(wait=True, cancel_futures=True)
