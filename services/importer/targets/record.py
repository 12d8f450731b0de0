"""What the records of every target share."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True, tag_field="record", tag=True, gc=False):
    """Base of all records. Encoded as an array whose first element is the class name.

    A definition may be given many times, as the same object; it is sent once. Everything else is sent each time.
    What is about the file stands alone in its item, which is none of the file's items then: it is not counted, and
    every attempt sends it.
    """

    IS_DEFINITION: ClassVar[bool] = False
    IS_ABOUT_FILE: ClassVar[bool] = False


class Caution(Record, frozen=True):
    """Something a person should know that costs no record: a value that was cut, a column that was not known."""

    code: str
    message: str
