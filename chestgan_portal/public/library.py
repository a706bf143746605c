"""What the public pages read from the store, kept so that a page is not dozens of requests.

In: the store. Out: published sets with what belongs to them: facts, status, card, the run that made them, its film
and report. Pointers are read again every few seconds, artefacts once: they never change.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.scoring.read_report import ReadReport, read_report
from chestgan_core.imaging.pictures import thumbnail
from chestgan_core.publishing.reader.manifest import SetFile
from chestgan_core.publishing.reader.set_folder import CARD, SAMPLES, SetFolder, parse_set
from chestgan_core.publishing.versions.index import SetEntry, entry_of, read_index
from chestgan_core.publishing.versions.status import SetStatus, status_of
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.store import Store
from chestgan_core.training.run_manifest import generator_sha256, runs_of
from chestgan_portal.public.film import FILM, MAX_BYTES, frames_of
from chestgan_portal.public.kept import Kept
from chestgan_portal.public.set_images import SetImages

FRESH = 3.0  # seconds until a pointer is read again
_SLOW = 60.0  # seconds until listings of a whole kind of artefacts are read again
_MAX_CARD, _MAX_SAMPLES = 2**20, 64 * 2**20  # bytes
COVER_BYTES, COVER_WIDTH = 100_000, 560  # of a picture in a list of sets; pixels
_AT_ONCE = 8  # requests


@dataclass(frozen=True)
class ShownSet:
    """One published version. published_at: UTC. latest: it is what `sets fetch NAME` means."""

    entry: SetEntry
    folder: SetFolder
    published_at: datetime
    latest: bool

    @property
    def path(self) -> str:
        """Of its page."""
        return f"/sets/{self.entry.name}/{self.entry.version}"


class Library:
    """One per application. open_store: called at each read, and cheap after the first time. All raises StoreError."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open = open_store
        self.images = SetImages()
        self._index: Kept[list[SetEntry]] = Kept(1, FRESH)
        self._latest: Kept[str] = Kept(1_000, FRESH)
        self._statuses: Kept[SetStatus | None] = Kept(1_000, FRESH)
        self._folders: Kept[SetFolder] = Kept(500)
        self._times: Kept[datetime] = Kept(2_000)
        self._cards: Kept[str] = Kept(100)
        self._covers: Kept[tuple[bytes, str]] = Kept(300)
        self._runs: Kept[Artefact | None] = Kept(200, _SLOW)
        self._reports: Kept[ReadReport | None] = Kept(200, _SLOW)
        self._films: Kept[tuple[bytes, ...]] = Kept(4)

    @property
    def store(self) -> Store:
        """The store. Raises ChestganError: it cannot be opened."""
        return self._open()

    def entries(self) -> list[SetEntry]:
        """All published versions, also withdrawn ones."""
        return self._index.get("", lambda: read_index(self.store))

    def sets(self, entries: Iterable[SetEntry]) -> list[ShownSet]:
        """With their manifests, the newest first. A set whose manifest cannot be read is left out."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [one for one in pool.map(self._shown, entries) if one is not None]
        return sorted(found, key=lambda one: (one.published_at, one.entry.name), reverse=True)

    def set(self, name: str, version: str) -> ShownSet:
        """Raises NotInStore, also for names that cannot be one."""
        try:
            keys.set_manifest(name, version)
        except BadInput as error:
            raise NotInStore("the set", "has no such name", "follow the links of the page") from error
        folder = self._folder(name, version)
        listed = next((one for one in self.entries() if (one.name, one.version) == (name, version)), None)
        if listed is None:  # the index is for lists alone; what exists is decided by manifests
            listed = entry_of(folder)
        return ShownSet(listed, folder, self._time(folder.manifest_key), self.latest(name) == version)

    def latest(self, name: str) -> str:
        """The version that was published last; "" where there is none."""
        try:
            return self._latest.get(
                name, lambda: self.store.read_pointer(keys.set_latest(name), "version")[0]
            )
        except NotInStore:
            return ""

    def status(self, name: str, version: str) -> SetStatus | None:
        """What is said of a version, for instance that it is deprecated; at most some seconds old."""
        return self._statuses.get((name, version), lambda: status_of(self.store, name, version))

    def withdrawal(self, name: str, version: str) -> SetStatus | None:
        """Why a version was withdrawn, at most some seconds old."""
        found = self.status(name, version)
        return found if found and found.state == "withdrawn" else None

    def card(self, folder: SetFolder) -> str:
        """The card, Markdown. Raises DamagedObject: it is far too long for one."""
        return self._cards.get(
            folder.manifest_key, lambda: self._file(folder, CARD, _MAX_CARD).decode(errors="replace")
        )

    def samples(self, folder: SetFolder) -> bytes:
        """The picture of the first images as published, PNG."""
        return self._file(folder, SAMPLES, _MAX_SAMPLES)

    def cover(self, folder: SetFolder) -> tuple[bytes, str]:
        """The same, small enough for a list of sets; and its MIME type. Raises DamagedObject: not a picture."""
        return self._covers.get(folder.manifest_key, lambda: self._shrunk(folder))

    def run(self, folder: SetFolder) -> Artefact | None:
        """The run whose generator made a set: the one that holds weights of that sha256. None: it is not here."""
        return self._runs.get(folder.manifest_key, lambda: self._find_run(folder))

    def film(self, run: Artefact) -> tuple[bytes, ...]:
        """The frames of its film, PNG; empty where it has none."""
        item = next((one for one in run.objects if run.name(one) == FILM), None)
        if item is None:
            return ()
        if item.bytes > MAX_BYTES:
            raise DamagedObject(
                self.store.uri(item.key), "is too large for a film of a training", "do not use it"
            )
        where = self.store.uri(item.key)
        return self._films.get(
            item.key, lambda: frames_of(self.store.get_bytes(item.key, item.sha256), where)
        )

    def report(self, folder: SetFolder) -> ReadReport | None:
        """The report on the run that made a set; None: it is not here, or cannot be read."""
        run = self.run(folder)
        return None if run is None else self._reports.get(run.manifest_key, lambda: self._find_report(run))

    def _shown(self, entry: SetEntry) -> ShownSet | None:
        try:
            folder = self._folder(entry.name, entry.version)
            latest = self.latest(entry.name) == entry.version
            return ShownSet(entry, folder, self._time(folder.manifest_key), latest)
        except (DamagedObject, NotInStore):
            return None

    def _folder(self, name: str, version: str) -> SetFolder:
        key = keys.set_manifest(name, version)

        def read() -> SetFolder:
            where = self.store.uri(key)
            found = parse_set(self.store.get_bytes(key), Path(), where)
            if found.manifest_key != key:
                raise DamagedObject(where, "is the manifest of another set or version", "delete it")
            return found

        return self._folders.get(key, read)

    def _time(self, manifest_key: str) -> datetime:
        return self._times.get(manifest_key, lambda: self.store.written_at(manifest_key))

    def _file(self, folder: SetFolder, name: str, most: int) -> bytes:
        item = next(one for one in folder.objects if folder.name(one) == name)
        if item.bytes > most:
            raise DamagedObject(
                self.store.uri(item.key), f"has {item.bytes:,} bytes", "ask whoever published it"
            )
        return self.store.get_bytes(item.key, item.sha256)

    def _shrunk(self, folder: SetFolder) -> tuple[bytes, str]:
        try:
            return thumbnail(self.samples(folder), COVER_BYTES, COVER_WIDTH)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DamagedObject(
                f"set {folder.facts.name}", "its samples are not a picture", "ask whoever published it"
            ) from error

    def _find_run(self, folder: SetFolder) -> Artefact | None:
        for key in runs_of(self.store, folder.facts.experiment):
            try:
                run = self.store.read_manifest(key)
            except (NotInStore, DamagedObject):
                continue
            if generator_sha256(run) == folder.facts.model_sha256:
                return run
        return None

    def _find_report(self, run: Artefact) -> ReadReport | None:
        _, experiment, name, _ = run.manifest_key.split("/")
        listed = self._manifests(f"{keys.reports_prefix()}{experiment}/{name}/")
        try:
            newest_run, version = self.store.read_pointer(keys.report_latest(experiment), "run", "version")
            newest = keys.report_manifest(experiment, newest_run, version)
            listed.sort(key=lambda key: key != newest)
        except (NotInStore, DamagedObject):
            pass
        for key in listed:
            try:
                return read_report(self.store, experiment, key.split("/")[3], self.store.read_manifest(key))
            except (NotInStore, DamagedObject, BadInput):
                continue
        return None

    def _manifests(self, prefix: str) -> list[str]:
        return [item.key for item in self.store.list(prefix) if item.key.endswith(f"/{keys.MANIFEST}")]


def find_object(folder: SetFolder, name: str) -> SetFile | None:
    """The object of a set with this file name."""
    return next((item for item in folder.objects if folder.name(item) == name), None)
