"""Forget a patient: nothing of the patient comes back, everything that came of the patient goes, a record stays.

In: the store, a dataset, a patient. Out: Forgetting. The tombstone is written before anything is deleted; what is made
of something is deleted before it, and catalogs, by which all is found, last. So a killed deletion is completed by the
same call, and at no moment something half-deleted can be read: a manifest is replaced by a tombstone, or a set
withdrawn, before the first of its objects goes.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chestgan_core.config.dataset import Dataset
from chestgan_core.errors import NotInStore, StoreError
from chestgan_core.forgetting.outside import requested, unreachable
from chestgan_core.forgetting.own_things import redact_catalog, slice_names
from chestgan_core.forgetting.record import Occasion, Record, State, write_record
from chestgan_core.forgetting.traces import Kind, Trace, Traces
from chestgan_core.forgetting.walk import find_traces
from chestgan_core.local.progress import Progress
from chestgan_core.local.used_files import MAPPED_SLICES, remove_unused
from chestgan_core.publishing.versions.status import change_status, withdrawal_of
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.sources.annotations.redaction import redact_boxes
from chestgan_core.store import keys
from chestgan_core.store.erasing import (
    Versioning,
    erase,
    erase_below,
    erase_older,
    require_erasable,
    versioning_of,
)
from chestgan_core.store.forgotten import (
    forgotten_patients,
    put_artefact_tombstone,
    write_tombstone,
)
from chestgan_core.store.kept_manifests import drop_kept
from chestgan_core.store.store import Store

_WALKS = 3  # a running step may commit something between a walk and its deletion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forgetting:
    """What was done. found: what the first walk found. left: what a walk at the end still finds. records: of this call.

    complete: nothing is left.
    """

    dataset: str
    patient: str
    at: str
    found: Traces
    left: Traces
    records: tuple[Record, ...]

    @property
    def complete(self) -> bool:
        """Whether a walk afterwards found nothing."""
        return not self.left.traces

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "dataset": self.dataset,
            "patient": self.patient,
            "forgotten_at": self.at,
            "complete": self.complete,
            "deleted_keys": self.found.keys,
            "records": [record.as_json() for record in self.records],
        }


def forget_patient(
    store: Store, dataset: Dataset, patient: str, home: Path, command: str, by: str = ""
) -> Forgetting:
    """Delete everything that came of a patient, and write the tombstone that keeps the patient out.

    Args:
        store: Its keys need the right to list, read, write and delete everything, and the versions of objects where the
            bucket keeps them.
        dataset: A dataset of DICOM.
        patient: As in keys.
        home: The local folder.
        command: What the record names as the command.
        by: What the record names as the operator.

    Returns:
        What was found and done, with the records that were written. Again for a patient who is forgotten: what was left
        or added since.

    Raises:
        StoreError: The store refused or did not answer, or keeps versions that may not be deleted. The same call goes
            on.
        DamagedObject: A manifest cannot be read.
    """
    name = dataset.name
    versioning = versioning_of(store)
    require_erasable(store, versioning, keys.raw_prefix(name, patient))
    tombstone = write_tombstone(store, name, patient)
    found = left = find_traces(store, name, patient, home, versioning)
    occasion = Occasion(command, by, unreachable(dataset, found, versioning), requested(name, found))
    records = [write_record(store, name, patient, "begun", found, occasion)]
    for _ in range(_WALKS):
        _delete(store, name, patient, left, versioning)
        left = find_traces(store, name, patient, home, versioning)
        if not left.traces:
            break
    drop_kept(home, store, name)
    remove_unused(home / MAPPED_SLICES)
    state: State = "incomplete" if left.traces else "complete"
    records.append(write_record(store, name, patient, state, left if left.traces else found, occasion))
    return Forgetting(name, patient, tombstone.at, found, left, tuple(records))


def _delete(store: Store, dataset: str, patient: str, found: Traces, versioning: Versioning) -> None:
    with Progress(f"forget {dataset}", len(found.traces), "things") as progress:
        for trace in found.traces:
            log.debug("forget %s: %s %s", dataset, trace.kind, trace.name)
            _delete_one(store, dataset, patient, trace, versioning)
            progress.step()


def _delete_one(store: Store, dataset: str, patient: str, trace: Trace, versioning: Versioning) -> None:
    facts = dict(trace.facts)
    match trace.kind:
        case Kind.SET:
            name, version = trace.name.split("/")
            if withdrawal_of(store, name, version) is None:
                withdraw_set(store, name, version, facts["reason"])
            else:
                change_status(store, name, version, lambda said: said)  # the index may not say it yet
        case Kind.CATALOG if trace.manifest:
            facts["replaced_by"] = redact_catalog(store, dataset, trace.name)
        case Kind.BOXES if trace.manifest:
            facts["replaced_by"] = _redact_boxes(store, dataset, patient, trace.name)
        case Kind.LOCAL:
            for path in trace.paths:
                shutil.rmtree(path, ignore_errors=True)
        case Kind.RAW | Kind.SLICES:
            _erase_manifests_first(store, [item.key for item in trace.objects], versioning)
            prefix = keys.raw_prefix if trace.kind is Kind.RAW else keys.slices_prefix
            erase_below(store, prefix(dataset, patient), versioning)
            return
        case _:
            pass
    if trace.manifest:
        put_artefact_tombstone(store, trace.manifest, trace.was, facts)
        erase_older(store, [trace.manifest], versioning)
    others = [item.key for item in trace.objects if item.key != trace.manifest]
    _erase_manifests_first(store, others, versioning)


def _erase_manifests_first(store: Store, found: Sequence[str], versioning: Versioning) -> None:
    """Nobody is led to objects that are being deleted: pointers go first, then manifests."""

    def place_of(key: str) -> int:
        name = key.rpartition("/")[2]
        # An object of a folder with a manifest.json may be JSON too; without one, JSON is a manifest.
        names = (name == keys.POINTER, name == keys.MANIFEST, name.endswith(".json"), True)
        return names.index(True)

    for place in range(4):
        erase(store, [key for key in found if place_of(key) == place], versioning)


def _redact_boxes(store: Store, dataset: str, patient: str, version: str) -> str:
    sop = slice_names(store, dataset, patient)
    try:
        return redact_boxes(store, dataset, version, forgotten_patients(store, dataset), sop)
    except (NotInStore, StoreError, TypeError, KeyError):
        return ""  # it cannot be read, so nothing can be kept of it
