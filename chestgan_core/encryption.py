"""Encryption at the server of the store, as the environment asks for it.

In: $CHESTGAN_S3_ENCRYPTION (AES256 or aws:kms) and $CHESTGAN_S3_KMS_KEY (id or ARN of a key; without it the one
that AWS keeps for the account). Out: the arguments of every request that writes an object. Reading needs none.
"""

import os

from chestgan_core.errors import BadInput

SETTING, KEY = "CHESTGAN_S3_ENCRYPTION", "CHESTGAN_S3_KMS_KEY"
_KMS = "aws:kms"


def asked_encryption() -> dict[str, str]:
    """{} where nothing is asked for: the bucket's own default applies. Raises BadInput."""
    kind, key = os.environ.get(SETTING, ""), os.environ.get(KEY, "")
    if kind not in ("", "AES256", _KMS):
        raise BadInput(SETTING, f"is {kind!r}", f"choose AES256 or {_KMS}, or leave it unset")
    if key and kind != _KMS:
        raise BadInput(KEY, f"is set, and {SETTING} is {kind or 'not'}", f"set {SETTING}={_KMS}, or no key")
    told = {"ServerSideEncryption": kind, "SSEKMSKeyId": key}
    return {name: value for name, value in told.items() if value}
