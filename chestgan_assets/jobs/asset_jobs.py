"""The steps of the chain as jobs, each launched for one partition: catalog, patients, training set, experiment."""

import dagster as dg

from chestgan_assets.execution.executor import study_executor
from chestgan_assets.tags import PATIENT_WORK, SMALL_WORK, STUDY_WORK

series_catalog_job = dg.define_asset_job(
    "series_catalog_job",
    dg.AssetSelection.assets("series_catalog"),
    description="Step 1 of 4: list the series of a DICOM dataset, with the status of each.",
    tags=SMALL_WORK,
)
patient_slices_job = dg.define_asset_job(
    "patient_slices_job",
    dg.AssetSelection.assets("raw_dicom", "slice_tensors"),
    description="Step 2 of 4: raw_dicom and slice_tensors of one patient. Backfill it over all patients.",
    tags=PATIENT_WORK,
)
raw_images_job = dg.define_asset_job(
    "raw_images_job",
    dg.AssetSelection.assets("raw_images"),
    description="Steps 1 and 2 of 4 for a collection of PNG or JPEG images: collect them and find duplicates.",
)
tumour_annotations_job = dg.define_asset_job(
    "tumour_annotations_job",
    dg.AssetSelection.assets("tumour_annotations"),
    description="Optional, before step 3: gather the tumour boxes of a dataset.",
)
training_set_job = dg.define_asset_job(
    "training_set_job",
    dg.AssetSelection.assets("training_set"),
    description="Step 3 of 4: split the slices of a dataset by patient.",
    tags=SMALL_WORK,
)
synthetic_set_job = dg.define_asset_job(
    "synthetic_set_job",
    dg.AssetSelection.assets(
        "generator_checkpoint",
        "metric_report",
        "synthetic_image_set",
        "synthetic_set_index",
        "reader_study_images",
    ),
    description="Step 4 of 4: train, evaluate and publish one experiment.",
)
architecture_comparison_job = dg.define_asset_job(
    "architecture_comparison_job",
    dg.AssetSelection.assets("architecture_comparison"),
    description="After step 4: compare several experiments, which the launchpad names.",
    tags=SMALL_WORK,
)
tuning_comparison_job = dg.define_asset_job(
    "tuning_comparison_job",
    dg.AssetSelection.assets("tuning_comparison"),
    description="After step 4: compare an experiment before and after tuning.",
    tags=SMALL_WORK,
)
leaderboard_job = dg.define_asset_job(
    "leaderboard_job",
    dg.AssetSelection.assets("leaderboard"),
    description="After step 4: the newest report of every experiment on one page.",
    tags=SMALL_WORK,
)
reader_study_job = dg.define_asset_job(
    "reader_study_job",
    dg.AssetSelection.assets("reader_study_result"),
    description="After a reader study was closed: analyse it. Then materialize metric_report, which shows it.",
    tags=SMALL_WORK,
)
hyperparameter_study_job = dg.define_asset_job(
    "hyperparameter_study_job",
    dg.AssetSelection.assets("hyperparameter_study"),
    description="After step 3: search hyperparameters of one experiment; the best become an experiment of their own.",
    executor_def=study_executor(),
    tags=STUDY_WORK,
)
monthly_report_job = dg.define_asset_job(
    "monthly_report_job",
    dg.AssetSelection.assets("monthly_report"),
    description="Report on everything that was committed to the store in a month.",
    tags=SMALL_WORK,
)
health_checks_job = dg.define_asset_job(
    "health_checks_job",
    dg.AssetSelection.checks_for_assets(dg.AssetKey("collections")),
    description="Check for failed patients and outdated catalogs.",
    tags=SMALL_WORK,
)

asset_jobs = [
    series_catalog_job,
    patient_slices_job,
    raw_images_job,
    tumour_annotations_job,
    training_set_job,
    synthetic_set_job,
    architecture_comparison_job,
    tuning_comparison_job,
    leaderboard_job,
    reader_study_job,
    hyperparameter_study_job,
    monthly_report_job,
    health_checks_job,
]
