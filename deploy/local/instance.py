"""What one local stack is: where its state lives, its ports, and which servers it runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.ports import Ports

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_STATE = ROOT / ".state"

POSTGRES_VERSIONS = (18, 16)
S3_KINDS = ("juicefs", "minio")
PROFILES = ("plain", "observability")


class SettingError(Exception):
    """A setting of the stack has no meaning, or differs from what the stored data was made with."""


@dataclass(frozen=True)
class Instance:
    state: Path
    """Folder of everything the stack writes."""
    ports: Ports = field(default_factory=Ports)
    postgres: int = POSTGRES_VERSIONS[0]
    """Major version of PostgreSQL."""
    s3: str = S3_KINDS[0]
    profile: str = PROFILES[0]
    """`observability`: spans are sent to a collector of the stack's own."""
    shared_buffers_mb: int = 512
    service_settings: Mapping[str, str] = field(default_factory=dict)
    """Settings handed to every service as they are, such as HYTHE_LEASE_SECONDS."""
    tied_to_caller: bool = False
    """Stop when the process that started the stack dies, however it dies. For tests."""
    outlives_power: bool = True
    """Whether PostgreSQL waits for the disk. Where not, a kill -9 loses nothing either, but the end of the machine
    does; databases are made and dropped ten times as fast. Off for tests."""

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def record(self) -> Path:
        return self.state / "instance.json"

    def remember(self) -> None:
        """Keep what later commands must know: the ports, and what the data was made with."""
        kept = {"ports": self.ports.named(), "postgres": self.postgres, "s3": self.s3, "profile": self.profile}
        self.record.write_text(json.dumps(kept, indent=2))


def checkout_instance(environment: Mapping[str, str], state: Path = DEFAULT_STATE) -> Instance:
    """The stack of this checkout: remembered choices first, then HYTHE_PORT_* and HYTHE_LOCAL_{PG,S3,PROFILE}.

    Ports and profile may change at any start. The servers may not, because their data is already there.
    """
    remembered = recall(state)
    instance = remembered or Instance(state=state)
    chosen = dataclasses.replace(
        instance,
        ports=instance.ports.with_settings(environment),
        postgres=parse_postgres(environment.get("HYTHE_LOCAL_PG", str(instance.postgres))),
        s3=parse_s3(environment.get("HYTHE_LOCAL_S3", instance.s3)),
        profile=parse_profile(environment.get("HYTHE_LOCAL_PROFILE") or instance.profile),
        service_settings={name: environment[name] for name in ("HYTHE_LOG_LEVEL",) if name in environment},
    )
    if remembered and (chosen.postgres, chosen.s3) != (remembered.postgres, remembered.s3):
        message = (
            f"The data under {state} was made with PostgreSQL {remembered.postgres} and {remembered.s3}. "
            "Remove it first (`make reset`)."
        )
        raise SettingError(message)
    return chosen


def recall(state: Path) -> Instance | None:
    """The stack that was started last with this state, if any."""
    try:
        kept = json.loads((state / "instance.json").read_text())
    except FileNotFoundError:
        return None
    return Instance(
        state=state,
        ports=Ports(**kept["ports"]),
        postgres=kept["postgres"],
        s3=kept["s3"],
        # A stack that was started before there were profiles has the first.
        profile=kept.get("profile", PROFILES[0]),
    )


def parse_postgres(text: str) -> int:
    if text not in {str(version) for version in POSTGRES_VERSIONS}:
        message = f"PostgreSQL {text} is not in the wheel; there are {', '.join(map(str, POSTGRES_VERSIONS))}."
        raise SettingError(message)
    return int(text)


def parse_s3(text: str) -> str:
    if text not in S3_KINDS:
        message = f"S3 server {text!r} is not known; there are {', '.join(S3_KINDS)}."
        raise SettingError(message)
    return text


def parse_profile(text: str) -> str:
    if text not in PROFILES:
        message = f"Profile {text!r} is not known; there are {', '.join(PROFILES)}."
        raise SettingError(message)
    return text
