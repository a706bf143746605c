"""What was shown of such models: published sets, and the reader studies about them.

In: the runs that came of a patient, by the sha256 of their weights. Out: traces. A set is withdrawn, and what is left
of it says why; its images stay only where their model has never seen the patient.
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.forgetting.models import Models, objects_of
from chestgan_core.forgetting.traces import (
    HELD_OUT,
    TRAIN,
    Folder,
    Kind,
    Remaining,
    Trace,
    artefacts,
    fields_of,
    folders,
    read_json,
)
from chestgan_core.publishing.split.table import SPLIT
from chestgan_core.publishing.versions.status import withdrawal_of
from chestgan_core.publishing.writing.provenance import FILE as PROVENANCE
from chestgan_core.store import keys
from chestgan_core.store.artefacts import StoredObject
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.forgotten import artefact_tombstone
from chestgan_core.store.store import Store

# What stays of a set whose model was trained on the patient: what it was, and the sha256 of each image, so that a copy
# that turns up somewhere can be recognized.
_KEPT = (keys.MANIFEST, keys.STATUS, "README.md", "card.html", "labels.parquet")
# Text files of a set, which may name series of the source.
_TEXT = (".csv", ".json", ".md", ".html")
_MAX_TEXT = 64 * 2**20
REASONS = {
    TRAIN: "a patient whose images trained the model has withdrawn",
    HELD_OUT: "a patient whose images the model was judged by has withdrawn",
}
_WHAT_STAYS = {
    TRAIN: "withdrawn; manifest, labels and card stay, so that a copy is recognized by the sha256 of its images",
    HELD_OUT: "withdrawn; its images stay: their model has not seen the patient",
}


def is_gone(store: Store, manifest_key: str) -> bool:
    """Whether a withdrawal of a patient removed the artefact of a manifest, or withdrew it. Raises StoreError."""
    try:
        if artefact_tombstone(store, manifest_key) is not None:
            return True
        kind, *names = manifest_key.split("/")
        if f"{kind}/" == keys.sets_prefix() and len(names) == len(("set", "version", "manifest.json")):
            found = withdrawal_of(store, names[0], names[1])
            return found is not None and found.reason in REASONS.values()
    except DamagedObject:
        return False  # such as the manifest of a catalog of an earlier version
    return False


def find_publications(store: Store, models: Models, dataset: str, names: Collection[str]) -> None:
    """Adds the traces to those of the models. names: what names the patient, in the text files of sets.

    Raises DamagedObject, StoreError.
    """
    sets = _sets(store, models, dataset, names)
    studies = _reader_studies(store, models, sets)
    _packs(store, models, studies)


def _sets(store: Store, models: Models, dataset: str, names: Collection[str]) -> set[str]:
    """`<set>/<version>` of all sets that came of such a model, withdrawn ones too."""
    prefix = keys.sets_prefix()
    trained = {name.partition("/")[0] for name, side in models.runs.items() if side == TRAIN}
    found: set[str] = set()
    complete: list[Folder] = []
    for one in artefacts(store, prefix, 2):
        if one.name.endswith("/unfinished"):
            continue
        if not one.orphaned:
            complete.append(one)
        elif one.name.partition("/")[0] in trained:
            # A release that was killed before its manifest, of nobody knows which run.
            models.add(Trace(Kind.UNFINISHED_SET, one.name, one.objects))
    with ThreadPoolExecutor(PARALLEL) as pool:
        sides = list(pool.map(lambda one: _side_of(store, one, models, dataset), complete))
    for one, side in zip(complete, sides, strict=True):
        if not side:
            continue
        name, version = one.name.split("/")
        found.add(one.name)
        objects = _to_delete(store, one, side, names)
        if objects or withdrawal_of(store, name, version) is None:
            facts = {"reason": REASONS[side]}
            models.add(Trace(Kind.SET, one.name, objects, facts=facts, note=REASONS[side]))
        models.remaining.append(Remaining(f"set {one.name}", _WHAT_STAYS[side]))
    for name in sorted(trained):
        unfinished = tuple(store.list(keys.unfinished_prefix(name)))
        if unfinished:
            models.add(Trace(Kind.UNFINISHED_SET, name, unfinished))
    return found


def _side_of(store: Store, one: Folder, models: Models, dataset: str) -> str:
    """By the weights; where these are of no run in the store, by the training set that the set says it came of."""
    with fields_of(store, one.key):
        model = str(one.manifest.get("set", {}).get("model_sha256", ""))
    if model in models.generators or model in models.others:
        return models.generators.get(model, "")
    key = one.key.removesuffix(keys.MANIFEST) + PROVENANCE
    value = read_json(store, key)
    with fields_of(store, key):
        said = (value or {}).get("provenance", {})
        of_dataset = (said.get("source_facts") or {}).get("dataset") == dataset
        return models.training_sets.get(str(said.get("training_set")), "") if of_dataset else ""


def _to_delete(store: Store, one: Folder, side: str, names: Collection[str]) -> tuple[StoredObject, ...]:
    files = [item for item in one.objects if item.key != one.key]
    kept = objects_of(files, _KEPT) if side == TRAIN else tuple(files)
    clean = {item.key for item in kept if not _names_patient(store, item, names)}
    # It lists the patient in any case: a private dataset under a name that only this set has.
    clean -= {item.key for item in objects_of(files, [SPLIT])}
    return tuple(item for item in files if item.key not in clean)


def _names_patient(store: Store, item: StoredObject, names: Collection[str]) -> bool:
    if not item.key.endswith(_TEXT) or item.key.endswith(f"/{keys.STATUS}"):
        return False
    if item.bytes > _MAX_TEXT:
        return True
    try:
        text = store.get_bytes(item.key)
    except NotInStore:
        return False
    return any(name.encode() in text for name in names)


def _reader_studies(store: Store, models: Models, sets: set[str]) -> set[str]:
    """Real images and frozen studies of these sets; returns `<study>/<version>`, deleted ones too."""
    for one in artefacts(store, keys.real_images_prefix(), 3):
        of_set = one.name.rpartition("/")[0]
        if of_set in sets or one.manifest.get("training_set") in models.training_sets:
            models.add(one.trace(Kind.REAL_IMAGES))
    studies: set[str] = set()
    for one in artefacts(store, keys.reader_studies_prefix(), 2):
        with fields_of(store, one.key):
            design = one.manifest.get("design", {})
            of_set = f"{design.get('set_name')}/{design.get('set_version')}"
        if one.orphaned or one.tombstone or of_set in sets:
            studies.add(one.name)
            models.add(one.trace(Kind.STUDY))
    if studies:
        why = "what readers said and what follows; neither pictures nor names of patients are in them"
        models.remaining.append(Remaining("answers and results of the reader studies", why))
    return studies


def _packs(store: Store, models: Models, studies: set[str]) -> None:
    prefix = keys.reader_packs_prefix()
    for name, objects in sorted(folders(store.list(prefix), prefix, 3).items()):
        if name.rpartition("/")[0] in studies:
            models.add(Trace(Kind.PACK, name, tuple(objects)))
