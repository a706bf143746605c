"""The retention rule: which versions of a set stay, and which images are deleted.

In: a store, and how many versions of each set to keep. Out: what the rule would do, or what it did.

The newest versions of each set stay, and besides them every version that something else relies on: `latest` points to
it, a status names it as the replacement of another, a reader study shows it, or somebody said why it is to be kept
(`sets keep`: a paper cites it). Of all others, and of withdrawn ones that no study shows, the images are deleted, and
the weights. The tombstone comes first: the status says withdrawn, with the rule as the reason, and lists the files
that are gone, so no reader meets a manifest that lists what is not there without being told. Manifest, labels, card
and split stay: they are small, a number in a paper can still be traced to them, and an image that somebody has can
still be named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from chestgan_core.errors import DamagedObject, Forgotten, NotInStore, nearest
from chestgan_core.publishing.reader.set_folder import GENERATOR
from chestgan_core.publishing.versions.index import SetEntry, read_index
from chestgan_core.publishing.versions.status import SetStatus, change_status, status_of
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, folder_of
from chestgan_core.store.store import Store

KEEP = 5
REASON = "removed by the retention rule"


@dataclass(frozen=True)
class Kept:
    """Why the rule leaves a version alone."""

    name: str
    version: str
    because: str


@dataclass(frozen=True)
class Removal:
    """files: of the manifest, whose objects are deleted. bytes: of all of them."""

    name: str
    version: str
    files: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class Retention:
    """What the rule does to the versions of a store."""

    keep: int
    kept: tuple[Kept, ...]
    removed: tuple[Removal, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def plan_retention(store: Store, keep: int = KEEP, name: str | None = None) -> Retention:
    """What the rule would do. Nothing is changed.

    keep: versions of each set that are not withdrawn. name: of the only set to look at. Raises NotInStore (no such
    set), DamagedObject (a manifest or a status cannot be read: then nothing is decided), StoreError.
    """
    everything = read_index(store)
    entries = [entry for entry in everything if name in (None, entry.name)]
    if name is not None and not entries:
        known = {entry.name for entry in everything}
        raise NotInStore(f"set {name}", "has not been published", nearest(name, known))
    statuses = {(one.name, one.version): status_of(store, one.name, one.version) for one in everything}
    shown = _shown_by_studies(store)
    replacing = {one.replacement for one in statuses.values() if one and one.replacement}
    kept: list[Kept] = []
    removed: list[Removal] = []
    for set_name in dict.fromkeys(entry.name for entry in entries):
        versions = [entry for entry in entries if entry.name == set_name]
        newest = [entry.version for entry in versions if not entry.withdrawn][-keep:]
        latest = _latest(store, set_name)
        for entry in versions:
            status = statuses[entry.name, entry.version]
            because = _because(entry, status, newest, latest, replacing, shown)
            if because:
                kept.append(Kept(entry.name, entry.version, because))
                continue
            removal = _removal(store, entry)
            if removal.files:
                removed.append(removal)
    return Retention(keep, tuple(kept), tuple(removed))


def apply_retention(store: Store, plan: Retention) -> Retention:
    """Do what a plan says, as far as it still holds; returns what was done. The same call completes what was begun.

    The rule is applied anew first: a version that somebody has come to rely on since is left alone. Raises as
    plan_retention does.
    """
    wanted = {(one.name, one.version) for one in plan.removed}
    now = plan_retention(store, plan.keep)
    done = [one for one in now.removed if (one.name, one.version) in wanted]
    for one in done:
        change_status(store, one.name, one.version, partial(_tombstone, gone=one))
        place = folder_of(keys.set_manifest(one.name, one.version))
        for file in one.files:
            store.delete(place + file)
    sets = {one.name for one in plan.kept} | {one.name for one in plan.removed}
    return Retention(plan.keep, tuple(one for one in now.kept if one.name in sets), tuple(done))


def _tombstone(before: SetStatus, gone: Removal) -> SetStatus:
    removed = tuple(sorted({*before.removed, *gone.files}))
    if before.state == "withdrawn":
        return replace(before, removed=removed)  # why it was withdrawn says more
    return replace(before, state="withdrawn", reason=REASON, removed=removed)


def _because(
    entry: SetEntry,
    status: SetStatus | None,
    newest: Sequence[str],
    latest: str,
    replacing: Iterable[str],
    shown: set[tuple[str, str]],
) -> str:
    """Why a version stays; "" where the rule removes it."""
    if (entry.name, entry.version) in shown:
        return "a reader study shows it"
    if status and status.state == "withdrawn":
        return ""  # what was said of it when it could still be used does not matter any more
    if status and status.kept:
        return status.kept
    if entry.version in newest:
        return f"one of the {len(newest)} newest" if len(newest) > 1 else "the newest"
    if entry.version == latest:
        return "a fetch without a version takes it"
    if f"{entry.name}/{entry.version}" in replacing:
        return "it replaces another version"
    return ""


def _removal(store: Store, entry: SetEntry) -> Removal:
    manifest = store.read_manifest(entry.manifest)
    sizes = {manifest.name(item): item.bytes for item in manifest.objects}
    heavy = [file for file in sizes if file.endswith(".tar") or file == GENERATOR]
    # Only what is there: a killed run left some of it, and a patient who withdrew took all of it along.
    left = [file for file in heavy if _is_there(store, manifest, file)]
    return Removal(entry.name, entry.version, tuple(sorted(left)), sum(sizes[file] for file in left))


def _is_there(store: Store, manifest: Artefact, file: str) -> bool:
    return store.head(manifest.find(file).key) is not None


def _latest(store: Store, name: str) -> str:
    try:
        return store.read_pointer(keys.set_latest(name), "version")[0]
    except NotInStore:
        return ""


def _shown_by_studies(store: Store) -> set[tuple[str, str]]:
    """Sets and versions of frozen reader studies, and those with held-out slices beside them for one."""
    found = set()
    for item in store.list(keys.reader_studies_prefix()):
        if item.key.endswith(f"/{keys.MANIFEST}"):
            try:
                design = store.read_manifest(item.key).manifest.get("design")
            except Forgotten:
                continue  # its pictures are deleted: it shows nothing any more
            try:
                found.add((str(design["set_name"]), str(design["set_version"])))  # type: ignore[index]
            except (TypeError, KeyError) as error:
                remedy = "no version is removed while it is not known what this study shows"
                raise DamagedObject(store.uri(item.key), "does not say which set it shows", remedy) from error
    return found
