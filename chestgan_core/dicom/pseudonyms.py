"""The names of patients, series and slices in keys, rows and reports.

Public collections and phantoms keep their ids, which are pseudonyms already. In a private folder an id may name a
person, so it is replaced by a keyed hash: the same patient gets the same name on this machine, and without the key the
id cannot be found, not even by trying all possible ids.
"""

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from chestgan_core.errors import BadInput
from chestgan_core.local.files import create_secret, file_error

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset

KEY_VARIABLE = "CHESTGAN_PATIENT_KEY"
KEY_FILE = "patient-key"
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Pseudonyms:
    """secret: the key of the hash; None: ids are public, and only checked."""

    secret: bytes | None = field(default=None, repr=False)

    @classmethod
    def private(cls, home: Path) -> Self:
        """With the key in $CHESTGAN_PATIENT_KEY, else in home/patient-key, which is generated at first use.

        Raises BadInput: the key is too short, or the file cannot be read or written.
        """
        given = os.environ.get(KEY_VARIABLE)
        if given is not None:
            return cls(_checked(given.encode(), KEY_VARIABLE))
        path = home / KEY_FILE
        try:
            home.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                create_secret(path, secrets.token_hex(32))
            return cls(_checked(path.read_bytes().strip(), path))
        except OSError as error:
            raise file_error(path, error, "set CHESTGAN_HOME to a folder of yours") from error

    def patient(self, patient_id: str) -> str:
        """A name that can be part of a key: the id itself, or P and 12 hexadecimal digits.

        Raises BadInput, without the id: a public id has other characters than letters, digits, dot, _ and -.
        """
        if self.secret is None:
            return _safe("patient id", patient_id)
        return "P" + _hash(self.secret, "patient", patient_id)[:12]

    def series(self, uid: str) -> str:
        """The series instance UID, or one made from its keyed hash (2.25., DICOM PS3.5 B.2)."""
        return self._uid("series", uid)

    def sop(self, uid: str) -> str:
        """The SOP instance UID, or one made from its keyed hash."""
        return self._uid("sop", uid)

    def file(self, path: str) -> str:
        """The path of a file below a folder, or F and 32 hexadecimal digits: folders often have names of people."""
        return path if self.secret is None else "F" + _hash(self.secret, "file", path)[:32]

    def _uid(self, kind: str, uid: str) -> str:
        if self.secret is None:
            return _safe(f"{kind} instance UID", uid)
        return f"2.25.{int(_hash(self.secret, kind, uid)[:32], 16)}"


def pseudonyms_of(dataset: "Dataset", home: Path) -> Pseudonyms:
    """The pseudonyms of a dataset. home: the local folder, with the key for private datasets. Raises BadInput."""
    return Pseudonyms.private(home) if dataset.private else Pseudonyms()


def _hash(secret: bytes, kind: str, value: str) -> str:
    return hmac.new(secret, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()


def _checked(key: bytes, where: object) -> bytes:
    if len(key) < 16:
        raise BadInput(where, "the patient key has fewer than 16 characters", "use a long random one")
    return key


def _safe(what: str, value: str) -> str:
    if not SAFE_NAME.fullmatch(value) or ".." in value:
        raise BadInput(
            what,
            "has characters that a key of the store must not have, or is empty",
            "treat the folder as private, so that ids are replaced",
        )
    return value
