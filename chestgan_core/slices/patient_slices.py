"""Slices of one patient, from the raw archive in the store to a shard in the store.

In: dataset and patient. Out: `slices/<dataset>/<patient>/<version>.safetensors`, rows and manifest, and the pointer.
"""

import builtins
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.dicom.left_out import below
from chestgan_core.dicom.pseudonyms import pseudonyms_of
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.local.scratch import scratch_folder
from chestgan_core.local.workers import Workers
from chestgan_core.slices.newest_slices import recipe_of
from chestgan_core.slices.normalization import NormalizationReport, normalize
from chestgan_core.slices.normalizing_workers import normalizing_workers
from chestgan_core.slices.preview import preview_png
from chestgan_core.slices.shards import write_shard
from chestgan_core.slices.slices_manifest import SlicesManifest
from chestgan_core.sources.archive.raw_archive import FetchedArchive, fetch_archive
from chestgan_core.sources.catalog.series_selection import stack_problem
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version, sha256_of
from chestgan_core.store.forgotten import storing_of
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class PatientSlices:
    """What was stored. sha256: of the tensor file. HU and lung fraction (0 to 1) are the extremes over all slices.
    doubtful_png: slices near the ends of the lungs, used and left out; None where there are none.
    """

    uri: str
    sha256: str
    bytes: int
    report: NormalizationReport
    lowest_hu: int
    highest_hu: int
    lowest_lung_fraction: float
    highest_lung_fraction: float
    configured_lung_fraction: float
    preview_png: builtins.bytes
    doubtful_png: builtins.bytes | None


def normalize_patient(
    store: Store,
    dataset_name: str,
    patient: str,
    home: Path,
    workers: Workers | None = None,
    raw: FetchedArchive | None = None,
) -> PatientSlices:
    """Normalize the newest raw archive of a patient. The same archive and recipe give the same version.

    workers: processes that help, made once for many patients (`normalizing_workers`); None: own ones, for this patient.
    raw: the archive, where the caller has fetched it. Raises BadInput when no lung region was found, with the reasons;
    PatientForgotten (the patient has withdrawn; nothing is kept), StoreError.
    """
    dataset = dataset_named(dataset_name)
    with storing_of(store, dataset.name, patient, keys.slices_prefix(dataset.name, patient)):
        if workers is not None:
            return _normalize(store, dataset, patient, home, workers, raw)
        with normalizing_workers() as own:
            return _normalize(store, dataset, patient, home, own, raw)


def _normalize(
    store: Store, dataset: Dataset, patient: str, home: Path, workers: Workers, raw: FetchedArchive | None
) -> PatientSlices:
    recipe = recipe_of(dataset)
    with scratch_folder(home) as scratch:
        archive = raw or fetch_archive(store, dataset.name, patient, scratch / "raw")
        with Progress(f"slice_tensors {patient}", None, "slices") as progress:
            done = normalize(
                archive.zips,
                recipe,
                pseudonyms_of(dataset, home),
                progress,
                lambda series: stack_problem(series, dataset.selection),
                workers,
            )
        report = replace(
            done.report,
            # The names of an archive are numbers below keys of series; the folder around them is this machine's.
            causes=below(done.report.causes, archive.folder),
            doubts=below(done.report.doubts, archive.folder),
        )
        shard = done.shard
        if {row.patient for row in shard.rows} != {patient}:
            raise BadInput(
                f"raw archive of {patient}", "holds slices of another patient", "materialize raw_dicom again"
            )
        tensors = scratch / "shard.safetensors"
        write_shard(shard, tensors)
        sha256 = sha256_of(tensors)
        fields = asdict(
            SlicesManifest(
                dataset=dataset.name,
                patient=patient,
                histology=shard.rows[0].histology,
                recipe=recipe.version,
                raw=archive.version,
                slices=len(shard.rows),
                left_out={str(reason): count for reason, count in done.report.left_out.items()},
                selection=archive.selection,
            )
        )
        # What was left out belongs to a version as well: a delivery may lose a file that showed no lung.
        version = content_version(sha256, fields)
        manifest_key = keys.slices_manifest(dataset.name, patient, version)
        artefact = store.commit(
            manifest_key,
            {f"{version}.safetensors": tensors, f"{version}.parquet": tensors.with_suffix(".parquet")},
            fields,
        )
    store.update_pointer(keys.slices_latest(dataset.name, patient), {"version": version})
    return PatientSlices(
        uri=store.uri(manifest_key),
        sha256=sha256,
        bytes=artefact.bytes,
        report=report,
        lowest_hu=int(shard.slices.min()),
        highest_hu=int(shard.slices.max()),
        lowest_lung_fraction=min(row.lung_fraction for row in shard.rows),
        highest_lung_fraction=max(row.lung_fraction for row in shard.rows),
        configured_lung_fraction=recipe.min_lung_fraction,
        preview_png=preview_png(shard),
        doubtful_png=done.doubtful.png(),
    )
