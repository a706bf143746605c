"""The sealed key of one offline file: which image each of its random names is.

In: a frozen study and a reader. Out: SealedKey, kept in the store as
`reading/packs/<study>/<version>/<reader>/pack.json`. The file that a reader gets holds the sha256 of it alone. The
names are random, so the sha256 tells nothing, and nobody can exchange the key later without being noticed.
"""

import secrets
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chestgan_core.errors import DamagedObject
from chestgan_core.local.json_text import parse_json
from chestgan_core.reading.design import Name, Part
from chestgan_core.reading.images.frozen_study import FrozenStudy
from chestgan_core.reading.images.order import reading_order
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, parse_typed, sha256_of
from chestgan_core.store.store import Store

FILE = "pack.json"
REMEDY = "make the offline file again"
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shown(_Row):
    """One image of the file, in its order. id: its random name there."""

    id: Id
    item: Annotated[int, Field(ge=0, lt=100_000)]
    part: Part


class SealedKey(_Row):
    """truth_sha256: of the study's key, so that this key vouches for it. seed: of the reader's order."""

    study: Name
    version: Name
    reader: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    truth_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    shown: Annotated[tuple[Shown, ...], Field(min_length=1, max_length=10_000)]

    def as_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def seal(self) -> str:
        """The sha256 that is printed, and that the file holds."""
        return sha256_of(self.as_bytes())


def new_key(study: FrozenStudy) -> SealedKey:
    """A key for one more reader, with an order and random names of its own."""
    seed = secrets.randbits(32)
    shown = tuple(
        Shown(id=secrets.token_hex(16), item=planned.item, part=planned.part)
        for planned in reading_order(study, seed)
    )
    return SealedKey(
        study=study.design.name,
        version=study.version,
        reader=f"r{secrets.token_hex(4)}",
        seed=seed,
        truth_sha256=study.key_sha256,
        shown=shown,
    )


def store_key(store: Store, key: SealedKey) -> None:
    """Keep a key in the store. Raises StoreError."""
    fields = {"kind": "reader-study-pack", "study": key.study, "version": key.version, "reader": key.reader}
    store.commit(
        keys.reader_pack_manifest(key.study, key.version, key.reader), {FILE: key.as_bytes()}, fields
    )


def stored_key(store: Store, study: FrozenStudy, reader: str) -> SealedKey:
    """The key of a reader's file. Raises NotInStore, DamagedObject."""
    artefact = store.read_manifest(keys.reader_pack_manifest(study.design.name, study.version, reader))
    where = f"{store.uri(artefact.manifest_key)}: {FILE}"
    fields = parse_json(store.read(artefact, FILE), where, REMEDY)
    key = parse_typed(SealedKey, fields, where, REMEDY, "the key of an offline file")
    own = (study.design.name, study.version, reader, study.key_sha256)
    if (key.study, key.version, key.reader, key.truth_sha256) != own:
        raise DamagedObject(where, "is the key of another file", REMEDY)
    return key
