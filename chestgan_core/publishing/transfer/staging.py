"""The tars of a release that has not ended: in the store, where no reader looks, until the version is known.

In: tars as they are generated. Out: `synthetic/<set>/unfinished/<images>/`, from which the same release goes on after
a kill, and from which the tars are copied inside the store to their final keys. The version of a set is a hash of all
that it holds, so it is known only at the end. <images> is a hash of what decides the images: releases that would
generate the same share what is there, and no other finds it.

The key of a tar has the start of its sha256 in it, and the record of its rows is written after it: a tar counts as
staged when its record does, and nobody's tar is overwritten with other bytes.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.reader.labels import Boxes, LabelRow
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.writing.contents import FileFacts, SetPlan
from chestgan_core.publishing.writing.image_tars import (
    ImageTar,
    image_row,
    images_of,
)
from chestgan_core.publishing.writing.png import encoder
from chestgan_core.publishing.writing.tar_writer import IMAGES_PER_TAR, tar_name
from chestgan_core.store import keys
from chestgan_core.store.artefacts import (
    AGAIN,
    StoredObject,
    canonical_json,
    content_key,
    content_version,
    folder_of,
    parse_typed,
)
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store
from chestgan_core.training.devices import kind_of_device

WRITER = 2
"""Raise it when the same images get other bytes in a tar."""
ABANDONED = timedelta(days=1)
"""Since the last tar of a release. One that goes on writes a tar every few minutes; one that was interrupted is resumed
by whoever retries, within hours. Younger ones may belong to a process that is at work, and stay."""
_RECORD = re.compile(r"images-(\d{4,})\.json")


@dataclass(frozen=True)
class StagedRow:
    """What the tar of an image alone knows of it; its number, seed and class follow from its place."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    offset: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=1)]
    boxes: Boxes
    position: float | None


@dataclass(frozen=True)
class StagedTar:
    """The record of a tar, as it is in the store."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=1)]
    rows: tuple[StagedRow, ...]

    @property
    def facts(self) -> FileFacts:
        """As the manifest lists it."""
        return FileFacts(self.bytes, self.sha256)

    def labels(self, number: int, facts: SetFacts) -> list[LabelRow]:
        """The rows of labels.parquet."""
        return [
            {**image_row(k, facts, None), **asdict(row)}  # type: ignore[typeddict-item]  # the same names and types
            for k, row in zip(images_of(number, facts), self.rows, strict=True)
        ]


class Staging:
    """The staged tars of one set. For any number of threads."""

    def __init__(self, store: Store, plan: SetPlan) -> None:
        facts = plan.facts
        self._store, self._facts = store, facts
        asked = plan.layouts.name if plan.layouts else ""
        decides = (facts.model_sha256, facts.first_seed, facts.images, facts.bits, asked, IMAGES_PER_TAR)
        images = content_version(WRITER, *decides, encoder(), kind_of_device(plan.generator.device))
        self._folder = folder_of(keys.unfinished_file(facts.name, images, tar_name(0)))

    def numbers(self) -> set[int]:
        """Of the tars that have a record."""
        names = (item.key.removeprefix(self._folder) for item in self._store.list(self._folder))
        return {int(found[1]) for name in names if (found := _RECORD.fullmatch(name))}

    def find(self, number: int) -> StagedTar | None:
        """A tar whose record and whose object agree by size and sha256; None where it is to be made anew."""
        try:
            data = self._store.get_bytes(self._record(number))
            where = self._store.uri(self._record(number))
            found = parse_typed(StagedTar, parse_json(data, where, AGAIN), where)
        except (NotInStore, DamagedObject):
            return None
        if len(found.rows) != len(images_of(number, self._facts)):
            return None
        key = self._tar(number, found.sha256)
        return found if self._store.head(key) == StoredObject(key, found.bytes, found.sha256) else None

    def has(self, number: int) -> bool:
        """Whether `find` finds it."""
        return self.find(number) is not None

    def put(self, tar: ImageTar) -> None:
        """Upload a tar, then the record that makes it count."""
        rows = tuple(
            StagedRow(row["sha256"], row["offset"], row["bytes"], row["boxes"], row["position"])
            for row in tar.rows
        )
        record = StagedTar(tar.sha256, tar.bytes, rows)
        self._store.put_file(tar.path, self._tar(tar.number, tar.sha256), tar.sha256)
        self._store.put_bytes(canonical_json(asdict(record)), self._record(tar.number))

    def fetch(self, number: int, tar: FileFacts, path: Path) -> None:
        """Download a tar. Raises NotInStore, DamagedObject."""
        self._store.get_file(self._tar(number, tar.sha256), path, tar.sha256)

    def copy(self, number: int, tar: FileFacts, folder: str) -> StoredObject:
        """Copy a tar into the folder of its version, if it is not there yet, inside the store.

        Raises NotInStore: it is in neither place.
        """
        target = StoredObject(folder + tar_name(number), tar.bytes, tar.sha256)
        if self._store.head(target.key) == target:
            return target
        return self._store.copy(self._tar(number, tar.sha256), target.key)

    def delete(self) -> None:
        """Remove what this release has staged, whoever else uses it: they make anew what they miss."""
        self._delete([item.key for item in self._store.list(self._folder)])

    def delete_abandoned(self) -> None:
        """Remove what other releases of this set have left, where nothing was written for a day.

        They cannot be found by whoever published something else since, and nobody else would remove them.
        """
        prefix = keys.unfinished_prefix(self._facts.name)
        releases: dict[str, list[str]] = {}
        for item in self._store.list(prefix):
            release = item.key.removeprefix(prefix).partition("/")[0]
            releases.setdefault(release, []).append(item.key)
        for there in releases.values():
            # Tars are written in their order, so the last record is the newest.
            newest = (list(filter(_is_record, there)) or there)[-1]
            try:
                age = datetime.now(UTC) - self._store.written_at(newest)
            except NotInStore:
                continue  # that release has just ended
            if age > ABANDONED:
                self._delete(there)

    def _delete(self, found: Sequence[str]) -> None:
        # Records first: a tar without one does not count, a record without its tar must be looked into.
        records = [key for key in found if _is_record(key)]
        others = [key for key in found if not _is_record(key)]
        with ThreadPoolExecutor(PARALLEL) as pool:
            for part in (records, others):
                list(pool.map(self._store.delete, part))

    def _record(self, number: int) -> str:
        return self._folder + tar_name(number).replace(".tar", ".json")

    def _tar(self, number: int, sha256: str) -> str:
        return content_key(self._folder, tar_name(number), sha256)


def _is_record(key: str) -> bool:
    return _RECORD.fullmatch(key.rpartition("/")[2]) is not None
