"""Errors of the store in one line: bucket, key, cause, remedy.

In: the exceptions of boto3, botocore and s3transfer. Out: StoreError and its subclasses. Only error codes of the server
are passed on, never its messages: those of a refused signature may repeat the request.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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

_REFUSED = {
    "403", "AccessDenied", "AllAccessDisabled", "ExpiredToken", "ExpiredTokenException", "Forbidden",
    "InvalidAccessKeyId", "InvalidIdentityToken", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired",
}  # fmt: skip
_CONFLICTS = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
_CHECK_KEY = (
    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role (AWS_ROLE_ARN and "
    "AWS_WEB_IDENTITY_TOKEN_FILE), and the rights on this bucket and on CHESTGAN_S3_KMS_KEY"
)


@contextmanager
def store_errors(where: str, endpoint: str) -> Iterator[None]:
    """Translates what the S3 client raises into a StoreError. where: s3://bucket/key; endpoint: URL."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from s3transfer.exceptions import RetriesExceededError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error, RetriesExceededError, HTTPError) as error:
        raise as_store_error(error, where, endpoint) from error
    except (ConnectionError, TimeoutError) as error:
        raise _connection_lost(where) from error
    except FileNotFoundError as error:
        if error.filename != os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            raise
        raise StoreError(where, "no usable credentials were found", _CHECK_KEY) from error


def as_store_error(error: BaseException, where: str, endpoint: str) -> StoreError:
    """The exception as a person should read it."""
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions as s3

    if isinstance(error, S3UploadFailedError) and (inner := error.__cause__ or error.__context__):
        error = inner
    if isinstance(error, s3.ClientError):
        return _from_answer(error, where)
    match error:
        case s3.EndpointConnectionError() | s3.ConnectTimeoutError() | s3.ProxyConnectionError():
            cause = f"the store at {plain_endpoint(endpoint)} does not answer"
            return StoreUnreachable(where, cause, "start it, or correct AWS_ENDPOINT_URL and CHESTGAN_STORE")
        case (
            s3.NoCredentialsError() | s3.PartialCredentialsError() | s3.CredentialRetrievalError()
            | s3.ProfileNotFound() | s3.TokenRetrievalError() | s3.UnauthorizedSSOTokenError()
        ):  # fmt: skip
            return StoreError(where, "no usable credentials were found", _CHECK_KEY)
        case s3.ParamValidationError():
            return StoreError(
                where, "is not a valid bucket or key", "correct CHESTGAN_STORE: s3://bucket/prefix"
            )
        case s3.SSLError():
            cause = f"the certificate of {plain_endpoint(endpoint)} is not trusted"
            return StoreError(where, cause, "set AWS_CA_BUNDLE, or correct AWS_ENDPOINT_URL")
    return _connection_lost(where)


def _connection_lost(where: str) -> StoreError:
    return StoreUnreachable(
        where,
        "the connection was lost during the transfer, and again when it was retried",
        "check the network and the store, then run again; no reader sees an incomplete object",
    )


def _from_answer(error: BaseException, where: str) -> StoreError:
    response = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _CONFLICTS:
        return PointerMoved(where, "another writer was first", "read it again and repeat the change")
    if code == "NoSuchBucket":
        return StoreError(where, "there is no such bucket", "create it, or correct CHESTGAN_STORE")
    if code in ("NoSuchKey", "404", "NotFound"):
        return NotInStore(where, "is not in the store", "materialize what writes it, or check the name")
    if code == "RequestTimeTooSkewed":
        return StoreError(where, "the store refused the time of the request", "set the clock of this machine")
    if code in _REFUSED:
        return StoreError(where, f"the store refused the key ({code})", _CHECK_KEY)
    if status >= 500 or code in ("SlowDown", "InternalError", "ServiceUnavailable"):
        cause = f"the store failed ({code or status}), and again when the request was repeated"
        return StoreUnreachable(where, cause, "check the log and the disk space of the store, then run again")
    return StoreError(
        where, f"the store answered {code or status}", "check CHESTGAN_STORE and AWS_ENDPOINT_URL"
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
