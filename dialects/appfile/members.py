"""The members of a JSON object of the AppFile API, whose names may be in PascalCase or in camelCase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runtime.errors import InvalidArgument

TRUE_WORDS = frozenset({"true", "1"})
FALSE_WORDS = frozenset({"false", "0"})
LARGEST_NUMBER = 2**63 - 1


class Members:
    """The members of an object by their PascalCase names. An explicit null is as if it were not there."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload

    def get(self, name: str) -> Any:
        value = self._payload.get(name)
        return self._payload.get(camel_case(name)) if value is None else value

    def all(self) -> Iterable[tuple[str, Any]]:
        """With their names as they are spelled."""
        return self._payload.items()

    def text(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise InvalidArgument("FIELD_NOT_TEXT", f"{name} must be a text.", field=name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise InvalidArgument("INVALID_TAGS", f"{name} must be a list of texts.", field=name)
        return tuple(value)

    def object(self, name: str) -> dict[str, Any]:
        value = self.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise InvalidArgument("FIELD_NOT_OBJECT", f"{name} must be an object.", field=name)
        return value

    def flag(self, name: str) -> bool | None:
        value = self.get(name)
        if value is None or value == "":
            return None
        # 1 is 1.0 where a body comes as google.protobuf.Struct.
        if isinstance(value, bool | int | float) and value in {0, 1}:
            return bool(value)
        word = str(value).strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise InvalidArgument("INVALID_FLAG", f"{name} must be true or false.", field=name)

    def number(self, name: str) -> float | None:
        """A number or its digits, not below 0."""
        value = self.get(name)
        if value is None or value == "":
            return None
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
        except (ValueError, OverflowError):
            number = -1.0
        if not 0 <= number <= LARGEST_NUMBER:
            raise InvalidArgument("INVALID_NUMBER", f"{name} must be a number, 0 or more.", field=name)
        return number

    def whole(self, name: str) -> int | None:
        number = self.number(name)
        if number is not None and not number.is_integer():
            raise InvalidArgument("INVALID_NUMBER", f"{name} must be a whole number, 0 or more.", field=name)
        return None if number is None else int(number)


def camel_case(name: str) -> str:
    return name[:1].lower() + name[1:]
