"""The steps of the chain that many tests begin with: made once, and copied to the store of each test.

In: a store server and a folder with DICOM. Out: below the prefix of a test, the slices of three patients treated as
people, or also a run of `tiny`, or also its report; keys, contents and pseudonyms are those of the original.
"""

import uuid
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.evaluation.stored_report import StoredReport, report_experiment
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.run import TrainedRun, train_experiment

TRAINING = {"batch_size": 8, "images": 64, "checkpoint_every_images": 32, "sample_every_images": 32}


def tiny(extractor: str = "efficientnet-lite0", **training: object) -> Experiment:
    fields: dict[str, object] = {
        "dataset": "folder",
        "resolution": 32,
        "network": {"generator_width": 4, "discriminator_width": 4, "latent_dim": 8},
        "training": {**TRAINING, **training},
        "evaluation": {"images": 10, "extractor": extractor, "others": []},
        "release": dict.fromkeys(ReleaseRules.model_fields),  # it cannot pass any rule
        "publication": {"images": 6},
    }
    return parse_experiment(fields, "tiny", "test")


def edited(**fields: object) -> Experiment:
    """tiny() after somebody changed its file."""
    return parse_experiment({**tiny().model_dump(), **fields}, "tiny", "test")


class Stages:
    """Each stage lies below a prefix of its own, is made for the first test that needs it, and copied to each test."""

    def __init__(self, embedded: EmbeddedStore, folder: Path) -> None:
        self.embedded, self.folder, self.home = embedded, folder, folder / "home"
        self.kept: dict[str, tuple[Store, Any]] = {}

    def slices(self, store: Store) -> tuple[str, ...]:
        catalog, _ = catalog_series(store, "folder", self.home)
        for patient in catalog.patients:
            archive_patient(store, "folder", patient, self.home)
            normalize_patient(store, "folder", patient, self.home)
        return catalog.patients

    def trained(self, store: Store) -> TrainedRun:
        self.bring("slices", store)
        build_training_set(store, "folder")
        return train_experiment(store, tiny(), "cpu", self.folder / "train")

    def reported(self, store: Store) -> StoredReport:
        self.bring("trained", store)
        return report_experiment(store, tiny(), "cpu", self.folder / "report")

    def bring(self, stage: str, store: Store) -> Any:
        """What the stage left in the store comes to another; returns what it returned."""
        if stage not in self.kept:
            made = Store(s3_client(self.embedded.access), BUCKET, f"stage-{uuid.uuid4().hex[:12]}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CHESTGAN_FOLDER", str(self.folder / "delivery"))
                self.kept[stage] = (made, getattr(self, stage)(made))
        made, result = self.kept[stage]
        for item in made.list():
            source = {"Bucket": made.bucket, "Key": f"{made.prefix}/{item.key}"}
            store.client.copy_object(Bucket=store.bucket, Key=f"{store.prefix}/{item.key}", CopySource=source)
        return deepcopy(result)
