"""What is wrong with a mapping, whoever finds it: the one who saves it is told, before any run."""

from __future__ import annotations


class InvalidMapping(Exception):
    """A rule cannot be carried out. `code` is stable, `place` says where in the mapping (`transformations[0].pattern`).

    The message is a whole sentence.
    """

    def __init__(self, code: str, place: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.place = place
        self.message = message

    def within(self, place: str) -> InvalidMapping:
        """The same, seen from outside."""
        inner = f".{self.place}" if self.place and not self.place.startswith("[") else self.place
        return InvalidMapping(self.code, place + inner, self.message)


class BadValue(Exception):
    """A value does not fit its attribute; its record cannot be used. The message is a whole sentence."""

    def __init__(self, code: str, message: str, value: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.value = value
