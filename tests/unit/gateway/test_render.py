from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.render import DEFAULTS, TemplateError, render, tokens

TEMPLATE = (Path(__file__).parents[3] / "gateway" / "envoy.yaml").read_text()


def test_tokens_are_replaced_and_comments_left_alone() -> None:
    assert render("# {{PORT}} is a port\nport: {{PORT}}{{PORT}}", {"PORT": 80}) == "# {{PORT}} is a port\nport: 8080"


def test_a_default_stands_in_for_a_value_that_is_not_given() -> None:
    assert render("{{S3_PREFIX}}", {}) == DEFAULTS["S3_PREFIX"]
    assert render("{{S3_PREFIX}}", {"S3_PREFIX": "other"}) == "other"


def test_a_token_without_a_value_is_refused_by_name() -> None:
    with pytest.raises(TemplateError, match="No value for A, B"):
        render("{{B}} {{A}} {{C}}", {"C": 1})


def test_a_value_without_a_token_is_refused_by_name() -> None:
    with pytest.raises(TemplateError, match="no token PROT"):
        render("{{PORT}}", {"PORT": 1, "PROT": 1})


@pytest.mark.parametrize("value", ["it's", 'a"b', "a\nb: c", "{{PORT}}", "{a}"])
def test_a_value_that_would_change_the_structure_is_refused(value: str) -> None:
    with pytest.raises(TemplateError, match="in the value of PORT"):
        render("'{{PORT}}'", {"PORT": value})


def test_the_configuration_documents_exactly_the_tokens_it_uses() -> None:
    head = TEMPLATE[: TEMPLATE.index("\nadmin:")]
    assert set(re.findall(r"\{\{([A-Z0-9_]+)\}\}", head)) == tokens(TEMPLATE)
    assert DEFAULTS.keys() <= tokens(TEMPLATE)
