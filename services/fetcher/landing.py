"""Lands rows in the object store: lines of JSON, in objects of a bounded size, each streamed as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from runtime.failpoints import failpoint
from services.fetcher.reader_process import Lines
from services.importer.engine.claims import Input


class Objects(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> Info: ...

    async def delete(self, object_key: str) -> None: ...


class Info(Protocol):
    """Of an object that was written."""

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str: ...


class Landing:
    """What one attempt has landed. `begun` are the keys of all objects that it may have left in the store."""

    def __init__(self, objects: Objects, folder: str, object_bytes: int) -> None:
        self._objects = objects
        self._folder = folder
        self._object_bytes = object_bytes
        self._rest: Lines | None = None
        self.begun: list[str] = []
        self.inputs: list[Input] = []

    async def land(self, frames: AsyncIterator[Lines]) -> None:
        """All of them. No line is cut in two: a frame that does not fit begins the next object."""
        self._rest = await anext(frames, None)
        while self._rest is not None:
            key = f"{self._folder}/{len(self.inputs):05}.ndjson"
            self.begun.append(key)
            failpoint("fetch.before_landing")
            info = await self._objects.put_stream(key, self._pieces(frames), max_bytes=self._object_bytes)
            failpoint("fetch.after_landing")
            self.inputs.append(Input(key, info.etag, info.size))

    async def _pieces(self, frames: AsyncIterator[Lines]) -> AsyncIterator[bytes]:
        """Of one object."""
        size = 0
        while self._rest is not None and (not size or size + len(self._rest.data) <= self._object_bytes):
            size += len(self._rest.data)
            yield self._rest.data
            self._rest = await anext(frames, None)
