"""A boto3 client for one S3 server that always comes to an end, and says when what answered is not S3.

In: the settings of AWS tools, or an Access. Out: an S3Client for any number of threads. Settings that botocore cannot
use are errors that name the setting (errors.py); no request is sent here.
"""

import http.client
import io
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from chestgan_core.store.errors import AnswerNotS3, settings_errors

if TYPE_CHECKING:
    import botocore.loaders
    from mypy_boto3_s3 import S3Client

PARALLEL = 8
ATTEMPTS = 3
# An answer may take this many times the read timeout, and a second more for each KiB: less than any working network.
_PATIENCE, _LEAST_RATE = 3, 1024
_TOO_MANY_REQUESTS, _LONGEST_PAUSE = 429, 5.0
_UNREAD = re.compile(rb"<(LastModified|StorageClass)>[^<]*</\1>")
# What every S3 server puts into these answers, and nothing else does.
_PROOF = {
    "GetObject": "ETag",
    "HeadObject": "ETag",
    "PutObject": "ETag",
    "UploadPart": "ETag",
    "CompleteMultipartUpload": "ETag",
    "CreateMultipartUpload": "UploadId",
    "ListObjectsV2": "IsTruncated",
    "CopyObject": "CopyObjectResult",
}


@dataclass(frozen=True)
class Access:
    """An S3 server (URL) and the credentials for it."""

    endpoint: str
    key: str
    secret: str = field(repr=False)
    region: str = "us-east-1"


def s3_client(
    access: Access | None = None,
    attempts: int = ATTEMPTS,
    answer_within: float = 10,
    anonymous: bool = False,
) -> "S3Client":
    """A boto3 client that reports a store that is down within about 10 s, all attempts together.

    A server that sends its answer byte by byte is given up as well: after three times answer_within and a second per
    KiB.

    Args:
        access: Server and credentials; by default what AWS tools use (environment, profile, role).
        attempts: Of one request, the first one included.
        answer_within: Seconds until the next byte of one attempt, after at most 2.5 for the connection.
        anonymous: Send no signature, and look for no credentials: for buckets that everybody may read.

    Raises:
        StoreError: A setting of AWS tools cannot be used: endpoint, region, profile, configuration file, ...
    """
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    from_environment = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    endpoint = access.endpoint if access else from_environment or ""
    with settings_errors(endpoint):
        config = Config(
            connect_timeout=2.5,
            read_timeout=answer_within,
            # What botocore would choose for requests; links it would sign in the way that newer regions refuse.
            signature_version=UNSIGNED if anonymous else "s3v4",
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=2 * PARALLEL,
            # Servers other than AWS seldom have a DNS name for each bucket.
            s3={"addressing_style": "path" if endpoint else "auto"},
            # A company's proxy cannot reach this machine.
            proxies={} if urlsplit(endpoint).hostname in ("127.0.0.1", "localhost", "::1") else None,
        )
        # Credentials and profile are read anew each time, what S3 can do only once.
        session = botocore.session.get_session()
        session.register_component("data_loader", _service_descriptions())
        options: dict[str, Any] = {}
        if access is not None:
            options = {
                "endpoint_url": access.endpoint,
                "aws_access_key_id": access.key,
                "aws_secret_access_key": access.secret,
                "region_name": access.region,
            }
        client = cast("S3Client", session.create_client("s3", config=config, **options))
    _give_up_slow_answers(client, _PATIENCE * answer_within)
    client.meta.events.register("before-parse.s3.ListObjectsV2", _without_dates)
    client.meta.events.register("after-call.s3", _require_s3)
    client.meta.events.register("needs-retry.s3", _Throttled(attempts))  # type: ignore[arg-type]  # it may answer
    return client


def is_anonymous(client: "S3Client") -> bool:
    """Whether a client sends requests without a signature."""
    from botocore import UNSIGNED

    return cast("Any", client.meta.config).signature_version is UNSIGNED


@cache
def _service_descriptions() -> "botocore.loaders.Loader":
    """What botocore knows of services. To read that of S3 takes 80 ms, and a daemon opens the store at each tick."""
    import botocore.loaders

    return botocore.loaders.create_loader()


def _without_dates(response_dict: dict[str, Any], **_: Any) -> None:
    """Take from a listing what nobody here reads: to parse the dates of 1,000 objects takes three quarters of the time
    of the request.
    """
    if isinstance(body := response_dict.get("body"), bytes):
        response_dict["body"] = _UNREAD.sub(b"", body)


def _require_s3(model: Any, http_response: Any, parsed: Mapping[str, Any], **_: Any) -> None:
    """Refuse a success without what S3 always sends: a web console, a proxy or a login page may answer 200 to all.

    What has another body than XML is an error 500 by now (errors.py).
    """
    proof = _PROOF.get(model.name)
    if proof and http_response.status_code < http.client.MULTIPLE_CHOICES and proof not in parsed:
        raise AnswerNotS3(model.name)


class _Throttled:
    """Repeat a request that was answered with 429 whatever its code is; botocore knows only some of the codes."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts

    def __call__(self, response: Any, attempts: int, **_: Any) -> float | None:
        """The seconds to wait before the next attempt; None: no opinion."""
        if response is None or response[0].status_code != _TOO_MANY_REQUESTS or attempts >= self._attempts:
            return None
        demanded = str(response[0].headers.get("retry-after", ""))
        return min(float(demanded) if demanded.isdigit() else 0.5 * attempts, _LONGEST_PAUSE)


def _give_up_slow_answers(client: "S3Client", patience: float) -> None:
    """Have the client's connections read answers through _Steady. patience: seconds.

    A read timeout counts from byte to byte, and neither botocore nor urllib3 has one for a whole answer. botocore has
    no public way to a connection class either, hence one private attribute.
    """
    from botocore import awsrequest

    class Response(http.client.HTTPResponse):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self.fp = io.BufferedReader(_Steady(self.fp.detach(), patience))

    class Connection(awsrequest.AWSHTTPConnection):
        response_class = Response  # type: ignore[assignment]  # botocore has two itself

    class SecureConnection(awsrequest.AWSHTTPSConnection):
        response_class = Response  # type: ignore[assignment]  # botocore has two itself

    class Pool(awsrequest.AWSHTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(awsrequest.AWSHTTPSConnectionPool):
        ConnectionCls = SecureConnection

    session = cast("Any", client)._endpoint.http_session
    session._pool_classes_by_scheme.update({"http": Pool, "https": SecurePool})


class _Steady(io.RawIOBase):
    """A stream that must bring a least number of bytes per second. Raises TimeoutError."""

    def __init__(self, raw: io.RawIOBase, patience: float) -> None:
        super().__init__()
        self._raw, self._patience = raw, patience
        self._waited, self._received = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        started = time.monotonic()
        count = self._raw.readinto(buffer)
        # Only the server's time: the reader may do other work between two reads.
        self._waited += time.monotonic() - started
        self._received += count or 0
        if self._waited > self._patience + self._received / _LEAST_RATE:
            raise TimeoutError(f"{self._received} bytes in {self._waited:.0f} s")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
