"""Fills the {{NAME}} tokens of the gateway's configuration, for the local stack and for the chart alike.

The tokens and their meaning are listed at the head of envoy.yaml; the values are plain text put in as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TOKEN = re.compile(r"\{\{([A-Z0-9_]+)\}\}")

# What an installation may leave as it is. Addresses have no default: a wrong guess would reach somebody else's service.
DEFAULTS: Mapping[str, str | int] = {
    "GATEWAY_ADDRESS": "127.0.0.1",
    "CORS_ORIGIN_REGEX": r"https?://(localhost|127\.0\.0\.1)(:[0-9]+)?",
    "MULTIPART_MAX_BYTES": 1 << 30,
    "REQUESTS_PER_SECOND": 5000,
    "S3_PREFIX": "uploads",
}


class TemplateError(Exception):
    """A template and its values do not fit; the message names the tokens."""


def tokens(template: str) -> frozenset[str]:
    """The tokens that a template asks for. A comment may speak of tokens: full-line comments are not looked at."""
    return frozenset(name for line in template.splitlines() if not is_comment(line) for name in TOKEN.findall(line))


def is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def render(template: str, values: Mapping[str, str | int]) -> str:
    """The template with every token replaced; DEFAULTS stand in where `values` is silent.

    Raises TemplateError for a token without a value, a value without a token, and a value that would end the YAML
    string it stands in.
    """
    asked = tokens(template)
    if unknown := values.keys() - asked:
        raise TemplateError(f"The template has no token {', '.join(sorted(unknown))}.")
    filled = {name: str(value) for name, value in {**DEFAULTS, **values}.items() if name in asked}
    if missing := asked - filled.keys():
        raise TemplateError(f"No value for {', '.join(sorted(missing))}.")
    if unsafe := [name for name, value in filled.items() if re.search(r"['\"\n{}]", value)]:
        raise TemplateError(f"A quote, a brace or a line break in the value of {', '.join(sorted(unsafe))}.")
    return "\n".join(
        line if is_comment(line) else TOKEN.sub(lambda match: filled[match[1]], line) for line in template.split("\n")
    )
