"""Unique identifiers of exported images: new ones, of nobody, and the same each time.

In: the sha256 of a model, a seed, the number of an image. Out: UIDs (DICOM PS3.5 9) below a root: by default 2.25,
where each UUID is a UID that needs no registration (PS3.5 B.2). They follow from a hash, never from an identifier of a
source.
"""

import hashlib
import os
import re
import uuid

from chestgan_core.errors import BadInput

ROOT_VARIABLE = "CHESTGAN_UID_ROOT"
UUID_ROOT = "2.25"
_STANDARD = "1.2.840.10008"  # PS3.6
MAX_UID = 64  # characters (PS3.5 9.1)
# What is left below the root has at least 23 digits: among a million images two would be alike once in 10^11 exports.
MAX_ROOT = 40
_MAX_DIGITS = 39  # of 128 bits
_ROOT = re.compile(r"(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*")


def checked_root(root: str | None = None) -> str:
    """The root of new UIDs: the given one, else $CHESTGAN_UID_ROOT, else 2.25.

    Raises:
        BadInput: It is no object identifier, that of the DICOM standard, or so long that too little is left for the
            images.

    Examples:
        >>> checked_root("1.2.826.0.1.3680043.10.1234")
        '1.2.826.0.1.3680043.10.1234'
        >>> checked_root("1.2.03")
        Traceback (most recent call last):
        chestgan_core.errors.BadInput: the root of UIDs: '1.2.03' is no object identifier; write numbers without ...
    """
    root = root or os.environ.get(ROOT_VARIABLE, "").strip() or UUID_ROOT
    if not _ROOT.fullmatch(root):
        remedy = "write numbers without leading zeros between points, such as 1.2.826.0.1.3680043.10.1234"
        raise BadInput("the root of UIDs", f"{root[:80]!r} is no object identifier", remedy)
    if f"{root}.".startswith(f"{_STANDARD}."):
        cause = f"{root[:80]!r} is that of the DICOM standard, whose identifiers all mean something"
        raise BadInput("the root of UIDs", cause, "use your own, or leave it out")
    if len(root) > MAX_ROOT:
        cause = f"{root[:80]!r} has {len(root)} characters"
        raise BadInput("the root of UIDs", cause, f"give at most {MAX_ROOT}: a UID has {MAX_UID} in all")
    return root


class Uids:
    """UIDs below a root, for what is named. root: from checked_root."""

    def __init__(self, root: str) -> None:
        self.root = root

    def __call__(self, *names: object) -> str:
        """The UID for these names: at most 64 characters, the same for the same names."""
        digest = bytearray(hashlib.sha256("/".join(map(str, names)).encode()).digest()[:16])
        if self.root == UUID_ROOT:
            # Version 8 of a UUID, whose bits whoever makes it chooses (RFC 9562 5.8).
            digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
            return f"{self.root}.{uuid.UUID(bytes=bytes(digest)).int}"
        digits = min(_MAX_DIGITS, MAX_UID - 1 - len(self.root))
        return f"{self.root}.{int.from_bytes(digest, 'big') % 10**digits}"
