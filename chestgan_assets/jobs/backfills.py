"""A job that starts a backfill of selected patients: by histology, by range, or those that are missing.

Input: the configuration of the job, from the launchpad. Output: an ordinary Dagster backfill of raw_dicom and
slice_tensors, with tags that say what was selected. The UI's own dialog selects ranges, but knows no histology.
"""

import re
from collections.abc import Mapping

import dagster as dg
from pydantic import Field

from chestgan_assets.assets.patient_results import PATIENT_ASSETS
from chestgan_assets.execution.dagster_internals import submit_backfill
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.partitions import PATIENT_PARTITIONS
from chestgan_assets.resources import StoreResource
from chestgan_assets.tags import DATASET_TAG, HISTOLOGY_TAG, PATIENTS_TAG
from chestgan_core.config.names import patient_partition
from chestgan_core.errors import BadInput, nearest

MAX_TAG = 63  # characters of the value of a tag


class BackfillConfig(dg.Config):
    """Which patients to backfill. An empty field does not restrict the selection."""

    dataset: str = Field(description="A dataset that has a catalog, for example lung_pet_ct_dx.")
    histology: list[str] = Field(
        default=[],
        description="Histology letters: A adenocarcinoma, B small cell, E large cell, G squamous cell carcinoma.",
    )
    first_patient: str = Field(default="", description="The first patient, for example Lung_Dx-A0001.")
    last_patient: str = Field(default="", description="The last patient, inclusive.")
    max_patients: int = Field(default=0, description="The maximum number of patients; 0 for no limit.", ge=0)
    missing_only: bool = Field(
        default=True,
        description="Skip patients whose slices exist, made from the current files with the current recipe.",
    )


def selected_patients(config: BackfillConfig, listed: Mapping[str, str], finished: set[str]) -> list[str]:
    """Sorted patients. listed: patient -> histology; finished: patients whose slices are up to date."""
    selected = [
        patient
        for patient in sorted(listed)
        if (not config.histology or listed[patient] in config.histology)
        and (not config.first_patient or patient >= config.first_patient)
        and (not config.last_patient or patient <= config.last_patient)
        and not (config.missing_only and patient in finished)
    ]
    return selected[: config.max_patients] if config.max_patients else selected


@dg.op
def start_backfill(context: dg.OpExecutionContext, config: BackfillConfig, store: StoreResource) -> None:
    """Select the patients and hand a backfill of them to the daemon."""
    with one_line_failures():
        listed = _listed(context.instance, store, config)
        finished = _finished(store, config.dataset) if config.missing_only else set()
    selected = selected_patients(config, listed, finished)
    if not selected:
        context.log.info(
            f"{config.dataset}: none of its {len(listed)} patients is selected; {len(finished)} are finished"
        )
        return
    backfill = submit_backfill(
        context.instance,
        context.repository_def,
        PATIENT_ASSETS,
        [patient_partition(config.dataset, patient) for patient in selected],
        tags={
            DATASET_TAG: config.dataset,
            HISTOLOGY_TAG: "-".join(_tag(letter) for letter in config.histology) or "all",
            PATIENTS_TAG: _range_of(config),
        },
        title=f"{config.dataset}: {len(selected)} patients",
    )
    context.log.info(f"backfill {backfill}: {len(selected)} patients of {config.dataset}")
    context.add_output_metadata({"backfill": backfill, "patients": len(selected)})


def _listed(instance: dg.DagsterInstance, store: StoreResource, config: BackfillConfig) -> dict[str, str]:
    """Patient -> histology. Raises BadInput: a histology that no patient has, patients that are not registered yet."""
    from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version, read_patients

    opened = store.open()
    rows = read_patients(opened, config.dataset, newest_catalog_version(opened, config.dataset))
    listed = {patient: histology for patient, (_, histology) in rows.items()}
    if unknown := sorted(set(config.histology).difference(listed.values())):
        known = sorted(filter(None, set(listed.values())))
        remedy = nearest(unknown[0], known) if known else "leave histology empty"
        raise BadInput(config.dataset, f"no patient has the histology {unknown[0]}", remedy)
    registered = set(instance.get_dynamic_partitions(PATIENT_PARTITIONS))
    waiting = [patient for patient in listed if patient_partition(config.dataset, patient) not in registered]
    if waiting:
        raise BadInput(
            config.dataset,
            f"{len(waiting)} of {len(listed)} patients are not registered yet",
            "turn on patient_partitions_sensor and wait for it",
        )
    return listed


def _finished(store: StoreResource, dataset: str) -> set[str]:
    """Patients whose slices a training set would take. Dagster's history does not know about recipes and revisions."""
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.slices.newest_slices import newest_slices

    found, _ = newest_slices(store.open(), dataset_named(dataset))
    return set(found)


def _range_of(config: BackfillConfig) -> str:
    """`Lung_Dx-A0001_to_Lung_Dx-A0020_at-most-5`; "all" without a range."""
    parts = []
    if config.first_patient or config.last_patient:
        parts.append(f"{config.first_patient or 'first'}_to_{config.last_patient or 'last'}")
    if config.max_patients:
        parts.append(f"at-most-{config.max_patients}")
    return _tag("_".join(parts) or "all")[:MAX_TAG]


def _tag(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)


@dg.job(
    description="Backfill selected patients of a dataset: by histology, by range, or those that are missing.",
    # What the launchpad opens with.
    config={"ops": {"start_backfill": {"config": {"dataset": "lung_pet_ct_dx"}}}},
)
def backfill_patients_job() -> None:
    """The job of one step."""
    start_backfill()
