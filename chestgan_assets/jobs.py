"""The chain as jobs that a person starts with one partition: catalog, then patients, then an experiment."""

import dagster as dg

catalog = dg.define_asset_job(
    "catalog", dg.AssetSelection.assets("series_catalog"), description="1 of 4. List the series of a dataset."
)
patient_slices = dg.define_asset_job(
    "patient_slices",
    dg.AssetSelection.assets("raw_dicom", "slice_tensors"),
    description="2 of 4. Archive and normalize one patient; backfill it over all patients.",
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

jobs = [catalog, patient_slices, split, synthetic_set]
