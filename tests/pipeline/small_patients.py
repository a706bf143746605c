"""Small generated patients as a folder of DICOM with a dataset `small`, and the environment of a fresh installation."""

import os
from pathlib import Path

from chestgan_core.sources.phantom.patients import write_phantoms

DATASET = """
title: small generated patients
image_kind: phantom
licence: none
private: false
slice_size: 64
source: {kind: folder, path_variable: CHESTGAN_FOLDER}
"""


def fresh_environment() -> dict[str, str]:
    """That of this process, without what it says of a store, a home and datasets."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHESTGAN_", "DAGSTER_", "AWS_"))
    }
    return {**kept, "DAGSTER_DISABLE_TELEMETRY": "yes"}


def write_small_patients(folder: Path, patients: int, size: int, slices: int) -> dict[str, str]:
    """datasets/small.yaml and dicom/ in a folder; returns the variables that name them. size: pixels per side."""
    (folder / "datasets").mkdir(exist_ok=True)
    (folder / "datasets" / "small.yaml").write_text(DATASET)
    write_phantoms(folder / "dicom", patients=patients, size=size, slices=slices)
    return {"CHESTGAN_DATASETS": str(folder / "datasets"), "CHESTGAN_FOLDER": str(folder / "dicom")}
