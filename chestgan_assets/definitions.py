"""The code location `chestgan`: assets, jobs, resources and the executor, as plain explicit lists."""

import dagster as dg

from chestgan_assets.assets.acquisition import raw_dicom, series_catalog
from chestgan_assets.assets.evaluation import metric_report
from chestgan_assets.assets.publication import synthetic_image_set, synthetic_set_index
from chestgan_assets.assets.slices import slice_tensors, training_set
from chestgan_assets.assets.training import generator_checkpoint
from chestgan_assets.jobs import jobs
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_assets.running import executor

defs = dg.Definitions(
    assets=[
        series_catalog,
        raw_dicom,
        slice_tensors,
        training_set,
        generator_checkpoint,
        metric_report,
        synthetic_image_set,
        synthetic_set_index,
    ],
    jobs=jobs,
    resources={"store": StoreResource(), "workplace": Workplace()},
    executor=executor(),
)
