"""The names of patients, series and slices in keys, rows and reports.

In: ids from DICOM, tables of providers and folder names, in any form: they are compared as identity.py says, here, so
that each of these sources gives a patient the same name.

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

from chestgan_core.dicom.patient_ids import NO_ID, normal_patient_id, normal_uid
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

    def patient(self, patient_id: str, study_uid: str = "") -> str:
        """A name that can be part of a key: the id itself, or P and 12 hexadecimal digits.

        Without a PatientID, NOID- and 12 digits made from the study instance UID: the files of a study belong to one
        patient, and which studies belong to the same one is not known (`has_no_id`).

        Raises BadInput, without the id: a public id has other characters than letters, digits, dot, _ and -, or there
        is neither an id nor a study.
        """
        patient_id, study_uid = normal_patient_id(patient_id), normal_uid(study_uid)
        if not patient_id and study_uid:
            return NO_ID + _hash(self.secret or b"", "study", study_uid)[:12]
        if self.secret is None:
            return _safe("patient id", patient_id)
        return "P" + _hash(self.secret, "patient", patient_id)[:12]

    def series(self, uid: str) -> str:
        """The series instance UID, or one made from its keyed hash (2.25., DICOM PS3.5 B.2)."""
        return self._uid("series", uid)

    def stack(self, label: str) -> str:
        """8 hexadecimal digits that tell a stack from the others of its series: its label, or a keyed hash of that."""
        return label if self.secret is None or not label else _hash(self.secret, "stack", label)[:8]

    def sop(self, uid: str, content: str = "") -> str:
        """The SOP instance UID, or one made from its keyed hash.

        content: a hash of the content of the slice, where other slices have the same UID. Then the name is made from
        both, in a public collection too: each slice has a name of its own, the same one in each run.
        """
        if content:
            return (
                f"2.25.{int(_hash(self.secret or b'', 'content', f'{normal_uid(uid)}:{content}')[:32], 16)}"
            )
        return self._uid("sop", uid)

    def uid(self, uid: str, stack: str = "") -> str:
        """A UID for any UID of a cleaned file, the same wherever it is referred to. stack: of a series (`stack`)."""
        return f"2.25.{int(_hash(self.secret or b'', 'uid', f'{normal_uid(uid)}:{stack}')[:32], 16)}"

    def days(self, patient: str) -> int:
        """1 to 3650: by how many days all dates of a patient are moved back. Without the key it cannot be found."""
        return int(_hash(self.secret or b"", "days", patient)[:12], 16) % 3650 + 1

    def file(self, path: str) -> str:
        """The path of a file below a folder, or F and 32 hexadecimal digits: folders often have names of people."""
        return path if self.secret is None else "F" + _hash(self.secret, "file", path)[:32]

    def _uid(self, kind: str, uid: str) -> str:
        uid = normal_uid(uid)
        if self.secret is None:
            return _safe(f"{kind} instance UID", uid)
        return f"2.25.{int(_hash(self.secret, kind, uid)[:32], 16)}"


def pseudonyms_of(dataset: "Dataset", home: Path) -> Pseudonyms:
    """The pseudonyms of a dataset. home: the local folder, with the key for private datasets. Raises BadInput."""
    return Pseudonyms.private(home) if dataset.private else Pseudonyms()


def _hash(secret: bytes, kind: str, value: str) -> str:
    # An id may hold half of a surrogate pair, which some character sets decode to.
    data = f"{kind}:{value}".encode("utf-8", "backslashreplace")
    return hmac.new(secret, data, hashlib.sha256).hexdigest()


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
