"""What docs/operations.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deploy.local.instance import ROOT
from migrations.settings import ResealSettings
from services.fetcher.settings import FetcherSettings
from services.identity.settings import IdentitySettings
from services.importer.settings import ImporterSettings, WorkerSettings
from services.status.settings import StatusSettings
from services.upload.settings import UploadSettings

PAGES = (ROOT / "docs" / "operations.md", ROOT / "deploy" / "docker" / "README.md")
SETTINGS = (
    FetcherSettings,
    IdentitySettings,
    ImporterSettings,
    ResealSettings,
    StatusSettings,
    UploadSettings,
    WorkerSettings,
)
NAMED_WITH_DEFAULT = re.compile(r"`([a-z_]+)` \((\d+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_its_own_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_of_make_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", page.read_text()))
    assert named
    assert named <= targets


def test_every_setting_has_the_default_that_is_told() -> None:
    defaults: dict[str, set[object]] = {}
    for kind in SETTINGS:
        for name, field in kind.model_fields.items():
            defaults.setdefault(name, set()).add(field.default)
    told = NAMED_WITH_DEFAULT.findall(PAGES[0].read_text())
    assert len(told) >= 8
    for name, value in told:
        assert int(value) in defaults[name], name


def test_every_alert_of_the_chart_is_listed_with_its_page() -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "k8s" / "files" / "alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\)", PAGES[0].read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == alerts
