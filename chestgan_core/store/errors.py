"""Errors of the store in one line: bucket, key, cause, remedy.

In: the exceptions of boto3, botocore, s3transfer and urllib3. Out: StoreError and its subclasses.
Only error codes of the server are passed on, never its messages: those of a refused signature may repeat the request.
Nor are the messages of the libraries: they may repeat a key. StoreUnreachable, which Dagster tries again, is for what
may pass by itself; what is not known is not called a lost connection.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chestgan_core.errors import (
    BadInput,
    ChestganError,
    NotInStore,
    PointerMoved,
    StoreError,
    StoreUnreachable,
)
from chestgan_core.local.files import file_error

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError

_REFUSED = {
    "403", "401", "AccessDenied", "AllAccessDisabled", "Forbidden", "InvalidAccessKeyId", "InvalidIdentityToken",
    "SignatureDoesNotMatch", "Unauthorized",
}  # fmt: skip
_TOKEN = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_CONFLICTS = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_BUSY = {"429", "SlowDown", "TooManyRequests", "Throttling", "ThrottlingException", "RequestLimitExceeded"}
_REGION = {
    "301", "307", "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "InvalidRegion",
    "IllegalLocationConstraintException",
}  # fmt: skip
# What servers answer that do not know the checksums or the form of upload that boto3 sends since 1.36; each of these
# codes has other causes too.
_CHECKSUM = {
    "BadDigest", "InvalidArgument", "InvalidDigest", "InvalidRequest", "MissingContentLength", "NotImplemented", "501",
    "UnsupportedChecksum", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
}  # fmt: skip
_NOT_IMPLEMENTED = 501
# Codes of a request without a body in its answer say less than those of the same request with one.
VAGUE = re.compile(r"\d+|Bad Request|Forbidden|Moved Permanently")
_CHECK_KEY = (
    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role (AWS_ROLE_ARN and "
    "AWS_WEB_IDENTITY_TOKEN_FILE), and the rights on this bucket and on CHESTGAN_S3_KMS_KEY"
)
_NOT_PUBLIC = "check the name, or leave out --anonymous and use keys that may read it"
_SET_ENDPOINT = "set AWS_ENDPOINT_URL to http://host:port or https://host:port of the S3 server"


class AnswerNotS3(Exception):
    """A successful answer that no S3 server would give."""


class RefusedByStore(StoreError):
    """The key has no right to this, or there is none. Keys that may not list get it for what is not there, too."""


@contextmanager
def store_errors(where: str, endpoint: str, anonymous: bool = False) -> Iterator[None]:
    """Translates what the S3 client raises into a StoreError.

    where: s3://bucket/key; endpoint: URL; anonymous: requests have no signature.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from s3transfer.exceptions import RetriesExceededError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ResponseParserError, AnswerNotS3) as error:
        raise _not_s3(where, endpoint) from error
    except (BotoCoreError, ClientError, Boto3Error, RetriesExceededError, HTTPError) as error:
        found = as_store_error(error, where, endpoint)
        if anonymous and isinstance(found, RefusedByStore):
            found = RefusedByStore(where, "the store gives this to nobody without a key", _NOT_PUBLIC)
        raise found from error
    except TimeoutError as error:
        raise _too_slow(where) from error
    except ConnectionError as error:
        raise _connection_lost(where) from error
    except FileNotFoundError as error:
        if error.filename != os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            raise
        raise StoreError(where, "no usable credentials were found", _CHECK_KEY) from error


@contextmanager
def settings_errors(endpoint: str) -> Iterator[None]:
    """Translates what botocore says of settings while a client is made, before any request.

    endpoint: URL, "" for that of AWS. Raises StoreError, which names the setting.
    """
    from botocore.exceptions import BotoCoreError

    if endpoint:
        _check_endpoint(endpoint)
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle and not os.access(bundle, os.R_OK):
        raise StoreError(
            "AWS_CA_BUNDLE", "names no readable file", "give the path of a PEM file with certificates"
        )
    try:
        yield
    except BotoCoreError as error:
        raise _of_a_setting(error) or as_store_error(error, "AWS settings", endpoint) from error
    except ValueError as error:  # an endpoint of the AWS configuration file
        raise StoreError("AWS settings", "hold an endpoint that is not a URL", _SET_ENDPOINT) from error


def _check_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        named = re.fullmatch(r"[A-Za-z0-9._:-]+", parts.hostname or "") is not None
        _ = parts.port
        valid = parts.scheme in ("http", "https") and named
    except ValueError:  # a port above 65535, brackets that do not match
        valid = False
    if not valid:
        # Not repeated: it may hold a password.
        raise StoreError("AWS_ENDPOINT_URL", "is not the URL of a server", _SET_ENDPOINT)


def _of_a_setting(error: "BotoCoreError") -> StoreError | None:
    from botocore import exceptions as s3

    fields: Mapping[str, Any] = error.kwargs
    match error:
        case s3.InvalidRegionError() | s3.NoRegionError():
            return StoreError(
                "AWS_DEFAULT_REGION", "is not the name of a region", "set one, for example eu-central-1"
            )
        case s3.ConfigParseError() | s3.ConfigNotFound():
            return StoreError(
                fields.get("path", "AWS_CONFIG_FILE"),
                "is not a readable configuration file of AWS",
                "correct it, or unset AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE",
            )
        case s3.InvalidChecksumConfigError():
            name = f"AWS_{str(fields.get('config_key', 'checksum')).upper()}"
            allowed = " or ".join(map(str, fields.get("valid_options", ())))
            return StoreError(name, "has a value that does not exist", f"set it to {allowed}, or unset it")
        case s3.ProfileNotFound() | s3.PartialCredentialsError():
            return None  # credentials
    # The class of the others names the setting: InvalidDefaultsMode, InvalidRetryModeError, ...
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removesuffix("Error"))
    remedy = "check the AWS_... variables and the configuration file of AWS; --debug prints the whole error"
    return StoreError("AWS settings", f"cannot be used ({name.lower()})", remedy)


def as_store_error(error: BaseException, where: str, endpoint: str) -> StoreError:
    """The exception as a person should read it. Where a setting is at fault, it names the setting."""
    from boto3 import exceptions as boto3
    from botocore import exceptions as s3
    from s3transfer.exceptions import RetriesExceededError
    from urllib3 import exceptions as http

    if isinstance(error, boto3.S3UploadFailedError) and (inner := error.__cause__ or error.__context__):
        error = inner
    if isinstance(error, RetriesExceededError | boto3.RetriesExceededError):
        error = vars(error)["last_exception"]  # boto3 has it too, and its stub does not
    if isinstance(error, s3.ClientError):
        return from_answer(error, where, endpoint)
    inner = error.kwargs.get("error") if isinstance(error, s3.BotoCoreError) else None
    match error:
        case s3.EndpointConnectionError() | s3.ConnectTimeoutError() | s3.ProxyConnectionError():
            cause = f"the store at {plain_endpoint(endpoint)} does not answer"
            remedy = "start it, or correct AWS_ENDPOINT_URL and CHESTGAN_STORE"
            if (urlsplit(endpoint).hostname or "").endswith(".amazonaws.com"):
                remedy = "check the network, AWS_DEFAULT_REGION, and AWS_ENDPOINT_URL if it is not AWS"
            return StoreUnreachable(where, cause, remedy)
        case (
            s3.NoCredentialsError() | s3.PartialCredentialsError() | s3.CredentialRetrievalError()
            | s3.ProfileNotFound() | s3.TokenRetrievalError() | s3.UnauthorizedSSOTokenError()
        ):  # fmt: skip
            return StoreError(where, "no usable credentials were found", _CHECK_KEY)
        case s3.ParamValidationError():
            return StoreError(
                where, "is not a valid bucket or key", "correct CHESTGAN_STORE: s3://bucket/prefix"
            )
        case s3.SSLError() | http.SSLError():
            cause = f"the certificate of {plain_endpoint(endpoint)} is not trusted"
            return StoreError(where, cause, "set AWS_CA_BUNDLE, or correct AWS_ENDPOINT_URL")
        case s3.ReadTimeoutError() | http.ReadTimeoutError() | TimeoutError():
            return _too_slow(where)
        case s3.EndpointResolutionError():
            return StoreError("AWS_ENDPOINT_URL", "is not the URL of a server", _SET_ENDPOINT)
        case s3.HTTPClientError() if isinstance(inner, http.LocationParseError):
            return StoreError("HTTP_PROXY, HTTPS_PROXY", "are not URLs", "correct or unset them")
        case s3.HTTPClientError() if isinstance(inner, ValueError):
            # http.client refuses line ends and other control characters in a header.
            return StoreError(
                "AWS settings",
                "hold characters that cannot be part of a request",
                "look for line ends and blanks in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
            )
        case (
            s3.ConnectionClosedError() | s3.IncompleteReadError() | s3.ResponseStreamingError()
            | http.ProtocolError() | http.MaxRetryError() | ConnectionError()
        ):  # fmt: skip
            return _connection_lost(where)
        case s3.HTTPClientError() if isinstance(inner, http.HTTPError | OSError):
            return _connection_lost(where)
    cause = f"the request failed ({type(error).__name__})"
    return StoreError(
        where, cause, "check CHESTGAN_STORE and the AWS settings; --debug prints the whole error"
    )


def _connection_lost(where: str) -> StoreError:
    return StoreUnreachable(
        where,
        "the connection was lost during the transfer, and again when it was retried",
        "check the network and the store, then run again; no reader sees an incomplete object",
    )


def _too_slow(where: str) -> StoreError:
    return StoreUnreachable(
        where,
        "the store did not send its answer in time, and again when the request was repeated",
        "check the network and the load of the store, then run again; no reader sees an incomplete object",
    )


def _not_s3(where: str, endpoint: str) -> StoreError:
    address = f" at {plain_endpoint(endpoint)}" if endpoint else ""
    return StoreError(
        where,
        f"what answers{address} is not an S3 server",
        "correct AWS_ENDPOINT_URL: a web console and a proxy's login page have other addresses than the S3 API",
    )


def from_answer(error: BaseException, where: str, endpoint: str = "") -> StoreError:
    """What an error answer of the server means (botocore's ClientError)."""
    response = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", ""))
    metadata = response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    kind = str(metadata.get("HTTPHeaders", {}).get("content-type", ""))
    if code == "500" and kind and "xml" not in kind:
        # What botocore makes of a success whose body is not XML. A proxy that fails answers 502 to 504.
        return _not_s3(where, endpoint)
    for codes, answer in _ANSWERS:
        if code in codes:
            return answer(where, code, response)
    if status == _NOT_IMPLEMENTED:
        return _checksums(where, code, response)
    if status >= 500 or code in ("InternalError", "ServiceUnavailable"):
        cause = f"the store failed ({code or status}), and again when the request was repeated"
        return StoreUnreachable(where, cause, "check the log and the disk space of the store, then run again")
    if status == 429:
        return _busy(where, code, response)
    return StoreError(
        where, f"the store answered {code or status}", "check CHESTGAN_STORE and AWS_ENDPOINT_URL"
    )


def _busy(where: str, code: str, _: Mapping[str, Any]) -> StoreError:
    cause = f"the store is overloaded ({code or 429}), and was when the request was repeated"
    return StoreUnreachable(where, cause, "run again later, or raise its limits")


def _region(where: str, code: str, response: Mapping[str, Any]) -> StoreError:
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = str(response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region", ""))
    if not re.fullmatch(r"[a-z0-9-]{1,40}", region):
        return StoreError(
            where, f"the bucket is in another region ({code})", "set AWS_DEFAULT_REGION to its region"
        )
    return StoreError(where, f"the bucket is in the region {region}", f"set AWS_DEFAULT_REGION={region}")


def _checksums(where: str, code: str, _: Mapping[str, Any]) -> StoreError:
    return StoreError(
        where,
        f"the store does not take this request ({code or _NOT_IMPLEMENTED})",
        "check CHESTGAN_STORE; a server that does not know the checksums of newer AWS tools needs "
        "AWS_REQUEST_CHECKSUM_CALCULATION=when_required and AWS_RESPONSE_CHECKSUM_VALIDATION=when_required",
    )


def _clock(where: str, _: str, __: Mapping[str, Any]) -> StoreError:
    return StoreError(where, "the store refused the time of the request", "set the clock of this machine")


def _token(where: str, code: str, _: Mapping[str, Any]) -> StoreError:
    remedy = "sign in again, or renew AWS_SESSION_TOKEN together with its two keys"
    return StoreError(where, f"the session token has expired or is not valid ({code})", remedy)


def _refused(where: str, code: str, _: Mapping[str, Any]) -> StoreError:
    return RefusedByStore(where, f"the store refused the key ({code})", _CHECK_KEY)


def _moved(where: str, _: str, __: Mapping[str, Any]) -> StoreError:
    return PointerMoved(where, "another writer was first", "read it again and repeat the change")


def _no_bucket(where: str, _: str, __: Mapping[str, Any]) -> StoreError:
    return StoreError(where, "there is no such bucket", "create it, or correct CHESTGAN_STORE")


def _missing(where: str, _: str, __: Mapping[str, Any]) -> StoreError:
    return NotInStore(where, "is not in the store", "materialize what writes it, or check the name")


_ANSWERS: tuple[tuple[set[str], Callable[[str, str, Mapping[str, Any]], StoreError]], ...] = (
    (_CONFLICTS, _moved),
    ({"NoSuchBucket"}, _no_bucket),
    (_MISSING, _missing),
    (_CLOCK, _clock),
    (_TOKEN, _token),
    (_REFUSED, _refused),
    (_REGION, _region),
    (_BUSY, _busy),
    (_CHECKSUM, _checksums),
)


def plain_endpoint(url: str) -> str:
    """The URL of an endpoint without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Translates errors of the local file system: BadInput or DiskFull, in one line that names the file."""
    try:
        yield
    except (ChestganError, ConnectionError, TimeoutError):
        raise
    except FileNotFoundError as error:
        raise BadInput(path, "there is no such file", "check the path") from error
    except OSError as error:
        raise file_error(path, error) from error
