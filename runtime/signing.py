"""Presigned URLs of what the SDK cannot sign: requests on a whole bucket, and bodies of one exact length.

Signature version 4 in the query, as "Authenticating Requests: Using Query Parameters" of Amazon's S3 API reference has
it. A store that is sent more or fewer bytes than were signed for refuses them before it takes any.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

ALGORITHM = "AWS4-HMAC-SHA256"
UNRESERVED = "-_.~"


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

    def _key(self, now: datetime) -> bytes:
        key = f"AWS4{self.secret_key}".encode()
        for word in (f"{now:%Y%m%d}", self.region, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        return key
