"""Reading a multipart/form-data body as it arrives: the file flows through, the fields beside it stay.

Pull on top of a push parser: each step feeds the parser with the next chunk of the body and takes what it found. So
memory is one chunk, and whoever takes the file's bytes slowly slows the sender down. Fields may stand on both sides of
the file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MAX_BOUNDARY_LENGTH, MultipartParser, parse_options_header

from runtime.errors import InvalidArgument, PayloadTooLarge, UnsupportedMediaType

FILE_PART = "file"
MAX_FIELD_BYTES = 64 * 1024
# All that is not the file: delimiters, headers, fields, parts that nobody asked for, what follows the last delimiter.
MAX_OTHER_BYTES = 1024 * 1024


class FormReader:
    """One body. Call `find_file`, `file_chunks`, `read_rest` in this order; `fields` is complete after the last."""

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._parser = MultipartParser(
            _boundary(content_type),
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open_part,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._part: str | None = None
        self._field = bytearray()
        self._field_bytes = 0
        self._in_file = False
        self._file_name: str | None = None
        self._file_data: list[bytes] = []
        self._received = 0
        self._file_bytes = 0
        self._ended = False
        self._fields: dict[str, str] = {}

    @property
    def fields(self) -> dict[str, str]:
        """Name to value; of a repeated name the last."""
        return self._fields

    async def find_file(self) -> str:
        """Reads up to the file's first byte; its name as the client says it, which may be empty."""
        while self._file_name is None:
            if not await self._step():
                raise InvalidArgument("FILE_MISSING", f"The form has no part named {FILE_PART}.")
        return self._file_name

    async def file_chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the file."""
        while True:
            pieces, self._file_data = self._file_data, []
            for piece in pieces:
                yield piece
            if not self._in_file:
                return
            await self._step()

    async def read_rest(self) -> None:
        """Reads what follows the file. A body that ends before its last delimiter was cut off on its way."""
        while await self._step():
            pass

    async def _step(self) -> bool:
        """Feeds the next chunk; False at the end of a whole body."""
        chunk = await anext(self._chunks, None)
        if chunk is None:
            if not self._ended:
                raise _malformed("it ends before its last delimiter")
            return False
        self._received += len(chunk)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed("a delimiter or a header is wrong") from None
        if self._received - self._file_bytes > MAX_OTHER_BYTES:
            raise PayloadTooLarge("FORM_TOO_LARGE", "The form has too much in it beside the file.")
        return True

    # The parser calls these while it is fed. Each `data` is the chunk itself, valid from `start` to `end`.

    def _begin_part(self) -> None:
        self._header_name = self._header_value = self._disposition = b""

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _open_part(self) -> None:
        # Text in these headers is UTF-8 (RFC 7578 §5.1); the parser takes a str as Latin-1, so that bytes survive it.
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        self._part = options.get(b"name", b"").decode(errors="replace")
        # Neither the file's name nor its media type can be relied on, only the part's name.
        self._in_file = self._part == FILE_PART and self._file_name is None
        if self._in_file:
            self._file_name = options.get(b"filename", b"").decode(errors="replace")
        elif b"filename" in options and self._file_name is None:
            raise InvalidArgument("FILE_MISSING", f"The part with the file must be named {FILE_PART}.")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file_data.append(data[start:end])
            self._file_bytes += end - start
        elif self._part != FILE_PART:
            self._field_bytes += end - start
            if self._field_bytes > MAX_FIELD_BYTES:
                raise PayloadTooLarge("FORM_TOO_LARGE", f"The fields may have {MAX_FIELD_BYTES} bytes at most.")
            self._field += data[start:end]

    def _end_part(self) -> None:
        if self._part is not None and self._part != FILE_PART:
            self._fields[self._part] = self._field.decode(errors="replace")
        self._field.clear()
        self._part = None
        self._in_file = False

    def _end(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        raise UnsupportedMediaType("UNSUPPORTED_MEDIA_TYPE", "Send the file as multipart/form-data.")
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH:
        raise _malformed("the content type names no usable boundary")
    return boundary


def _malformed(reason: str) -> InvalidArgument:
    return InvalidArgument("MALFORMED_FORM", f"The form cannot be read: {reason}.")
