"""The chain as jobs that a person starts with one partition: catalog, then patients, then an experiment."""

import dagster as dg

from chestgan_assets.execution.executor import study_executor

catalog = dg.define_asset_job(
    "catalog",
    dg.AssetSelection.assets("series_catalog"),
    description="1 of 4. List the series of a DICOM dataset, with the status of each.",
)
patient_slices = dg.define_asset_job(
    "patient_slices",
    dg.AssetSelection.assets("raw_dicom", "slice_tensors"),
    description="2 of 4. Archive and normalize one patient; backfill it over all patients.",
)
image_collection = dg.define_asset_job(
    "image_collection",
    dg.AssetSelection.assets("raw_images"),
    description="1 and 2 of 4, for a collection of pictures. Collect them, and find what is there twice.",
)
annotations = dg.define_asset_job(
    "annotations",
    dg.AssetSelection.assets("tumour_annotations"),
    description="Before 3 of 4, where there are some. Gather the tumour boxes of a dataset.",
)
split = dg.define_asset_job(
    "split", dg.AssetSelection.assets("training_set"), description="3 of 4. Split a dataset by patient."
)
synthetic_set = dg.define_asset_job(
    "synthetic_set",
    dg.AssetSelection.assets(
        "generator_checkpoint", "metric_report", "synthetic_image_set", "synthetic_set_index"
    ),
    description="4 of 4. Train, evaluate and publish one experiment.",
)
compare_architectures = dg.define_asset_job(
    "compare_architectures",
    dg.AssetSelection.assets("architecture_comparison"),
    description="After 4 of 4, of several experiments. Compare them; the launchpad takes their names.",
)
compare_tuning = dg.define_asset_job(
    "compare_tuning",
    dg.AssetSelection.assets("tuning_comparison"),
    description="After 4 of 4, of two experiments. Compare one before and after tuning.",
)
study = dg.define_asset_job(
    "study",
    dg.AssetSelection.assets("hyperparameter_study"),
    description="Beside 4 of 4. Try configurations of one experiment; the best becomes an experiment of its own.",
    executor_def=study_executor(),
)
report_month = dg.define_asset_job(
    "report_month",
    dg.AssetSelection.assets("monthly_report"),
    description="Tell what came into the store in a month.",
)
failed_partitions = dg.define_asset_job(
    "failed_partitions",
    dg.AssetSelection.checks_for_assets(dg.AssetKey("collections")),
    description="Tell which patients failed and which catalogs are old.",
)

jobs = [
    catalog, patient_slices, image_collection, annotations, split, synthetic_set, compare_architectures,
    compare_tuning, study, report_month, failed_partitions,
]  # fmt: skip
