"""Presigned URLs of what the SDK cannot sign: requests on a whole bucket, and bodies of one exact length.

Signature version 4 in the query, as "Authenticating Requests: Using Query Parameters" of Amazon's S3 API reference has
it. A store that is sent more or fewer bytes than were signed for refuses them before it takes any.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
UNRESERVED = "-_.~"
# Of a URL that is signed for its host alone.
MEMBERS = frozenset(
    f"X-Amz-{name}" for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
)
DATE, SECONDS = re.compile(r"[0-9]{8}T[0-9]{6}Z"), re.compile(r"[0-9]{1,6}")
LONGEST_LIFE = timedelta(days=7)
# Clocks of two machines differ; Amazon allows for as much.
SKEW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A credential, and the store where it is good. `origin` is its scheme and host, as Host headers have it."""

    origin: str
    region: str
    access_key: str
    secret_key: str

    def url(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        life: timedelta,
        length: int | None = None,
        at: datetime | None = None,
    ) -> str:
        """A URL for this one request; `path` as it is, not escaped. With `length`: only for so many bytes of body.

        It is a credential: never log it.
        """
        now = at or datetime.now(UTC)
        scope = f"{now:%Y%m%d}/{self.region}/s3/aws4_request"
        headers = {"host": self.origin.partition("://")[2]}
        if length is not None:
            headers["content-length"] = str(length)
        names = ";".join(sorted(headers))
        members = {
            **query,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
            "X-Amz-Expires": str(int(life.total_seconds())),
            "X-Amz-SignedHeaders": names,
        }
        escaped = quote(path, safe="/" + UNRESERVED)
        asked = urlencode(sorted(members.items()), quote_via=quote, safe=UNRESERVED)
        said = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        request = f"{method}\n{escaped}\n{asked}\n{said}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signed = f"{ALGORITHM}\n{members['X-Amz-Date']}\n{scope}\n{digest}"
        signature = hmac.digest(self._key(now), signed.encode(), "sha256").hex()
        return f"{self.origin}{escaped}?{asked}&X-Amz-Signature={signature}"

    def has_signed(self, method: str, path: str, query: Mapping[str, str], now: datetime) -> bool:
        """Whether a request with this query and any body is one that a URL of ours lets its holder make by now."""
        if query.keys() != MEMBERS or query["X-Amz-SignedHeaders"] != "host":
            return False
        if not DATE.fullmatch(query["X-Amz-Date"]) or not SECONDS.fullmatch(query["X-Amz-Expires"]):
            return False
        try:
            at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return False
        life = timedelta(seconds=int(query["X-Amz-Expires"]))
        if life > LONGEST_LIFE or not at - SKEW <= now <= at + life:
            return False
        expected = dict(parse_qsl(urlsplit(self.url(method, path, {}, life=life, at=at)).query))
        signature = expected.pop("X-Amz-Signature")
        given = query["X-Amz-Signature"].encode()
        return all(query[name] == value for name, value in expected.items()) and hmac.compare_digest(
            signature.encode(), given
        )

    def _key(self, now: datetime) -> bytes:
        key = f"AWS4{self.secret_key}".encode()
        for word in (f"{now:%Y%m%d}", self.region, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        return key
