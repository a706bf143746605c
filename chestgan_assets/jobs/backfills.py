"""A job that starts a backfill of chosen patients: by histology, by range, or those that are missing.

In: the configuration of the job, filled in under "Launchpad". Out: an ordinary Dagster backfill of raw_dicom and
slice_tensors, with tags that say what was chosen. The UI's own dialog chooses ranges, but knows no histology.
"""

import re
import time
from collections.abc import Mapping

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.utils import make_new_backfill_id
from pydantic import Field

from chestgan_assets.automation.patient_partitions import PARTITIONS
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.resources import StoreResource
from chestgan_core.config.dataset import patient_partition
from chestgan_core.errors import BadInput

ASSETS = (dg.AssetKey("raw_dicom"), dg.AssetKey("slice_tensors"))


class Choice(dg.Config):
    """Which patients. What is empty does not restrict."""

    dataset: str = Field(description="A dataset whose catalog has been made, for instance lung_pet_ct_dx.")
    histology: list[str] = Field(
        default=[], description="Letters: A adenocarcinoma, B small cell, E large cell, G squamous cell."
    )
    first: str = Field(default="", description="The first patient, for instance Lung_Dx-A0001.")
    last: str = Field(default="", description="The last patient, included.")
    most: int = Field(default=0, description="At most so many patients; 0: all.", ge=0)
    missing_only: bool = Field(
        default=True,
        description="Leave out patients whose slices are there, of the present files and recipe.",
    )


def chosen_patients(choice: Choice, listed: Mapping[str, str], finished: set[str]) -> list[str]:
    """Sorted patients. listed: patient -> histology; finished: those whose slices are there."""
    chosen = [
        patient
        for patient in sorted(listed)
        if (not choice.histology or listed[patient] in choice.histology)
        and (not choice.first or patient >= choice.first)
        and (not choice.last or patient <= choice.last)
        and not (choice.missing_only and patient in finished)
    ]
    return chosen[: choice.most] if choice.most else chosen


@dg.op
def start_backfill(context: dg.OpExecutionContext, config: Choice, store: StoreResource) -> None:
    """Chooses the patients and hands a backfill of them to the daemon."""
    with one_line_failures():
        listed = _listed(context.instance, store, config)
        finished = _finished(store, config.dataset) if config.missing_only else set()
    chosen = chosen_patients(config, listed, finished)
    if not chosen:
        context.log.info(
            f"{config.dataset}: none of its {len(listed)} patients is chosen, {len(finished)} are finished"
        )
        return
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=context.repository_def.asset_graph,
        partition_names=[patient_partition(config.dataset, patient) for patient in chosen],
        asset_selection=ASSETS,
        backfill_timestamp=time.time(),
        tags={
            "chestgan/dataset": config.dataset,
            "chestgan/histology": "-".join(_tag(letter) for letter in config.histology) or "all",
        },
        dynamic_partitions_store=context.instance,
        all_partitions=False,
        title=f"{config.dataset}: {len(chosen)} patients",
        description=None,
        run_config=None,
    )
    context.instance.add_backfill(backfill)
    context.log.info(f"backfill {backfill.backfill_id}: {len(chosen)} patients of {config.dataset}")
    context.add_output_metadata({"backfill": backfill.backfill_id, "patients": len(chosen)})


def _listed(instance: dg.DagsterInstance, store: StoreResource, choice: Choice) -> dict[str, str]:
    """Patient -> histology. Raises BadInput: a histology that nobody has, patients that are not registered yet."""
    from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version, read_patients

    opened = store.open()
    told = read_patients(opened, choice.dataset, newest_catalog_version(opened, choice.dataset))
    listed = {patient: histology for patient, (_, histology) in told.items()}
    if unknown := sorted(set(choice.histology).difference(listed.values())):
        known = ", ".join(sorted(filter(None, set(listed.values())))) or "no letter: leave it empty"
        raise BadInput(choice.dataset, f"no patient has the histology {unknown[0]}", f"choose of {known}")
    registered = set(instance.get_dynamic_partitions(PARTITIONS))
    waiting = [patient for patient in listed if patient_partition(choice.dataset, patient) not in registered]
    if waiting:
        raise BadInput(
            choice.dataset,
            f"{len(waiting)} of {len(listed)} patients are not registered yet",
            "turn the sensor patient_partitions on and wait for it",
        )
    return listed


def _finished(store: StoreResource, dataset: str) -> set[str]:
    """Those whose slices a training set would take: Dagster's history does not know of another recipe or revision."""
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.slices.newest_slices import newest_slices

    found, _ = newest_slices(store.open(), dataset_named(dataset))
    return set(found)


def _tag(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)


@dg.job(
    description="Backfill patients of a dataset: by histology, by range, or those that are missing.",
    # What the launchpad opens with.
    config={"ops": {"start_backfill": {"config": {"dataset": "lung_pet_ct_dx"}}}},
)
def backfill_patients() -> None:
    """The job of one step."""
    start_backfill()
