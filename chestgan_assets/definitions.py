"""The code location `chestgan`: what Dagster loads, as plain explicit lists."""

import dagster as dg

from chestgan_assets.assets.acquisition import raw_dicom, raw_images, series_catalog
from chestgan_assets.assets.annotations import tumour_annotations
from chestgan_assets.assets.evaluation import metric_report
from chestgan_assets.assets.publication import synthetic_image_set, synthetic_set_index
from chestgan_assets.assets.reports import architecture_comparison, monthly_report, tuning_comparison
from chestgan_assets.assets.slices import slice_tensors, training_set
from chestgan_assets.assets.study import hyperparameter_study
from chestgan_assets.assets.training import generator_checkpoint
from chestgan_assets.automation.health_checks import (
    catalogs_current,
    catalogs_weekly,
    collections,
    failed_partitions_daily,
    no_failed_partitions,
)
from chestgan_assets.automation.monthly import experiments_monthly, reports_monthly, training_sets_monthly
from chestgan_assets.automation.new_series import new_series
from chestgan_assets.automation.patient_partitions import patient_partitions
from chestgan_assets.automation.retraining import retraining
from chestgan_assets.automation.study_when_short import study_when_short
from chestgan_assets.automation.webhook_messages import failure_messages, release_messages
from chestgan_assets.conditions import publication_follows_training
from chestgan_assets.execution.executor import executor
from chestgan_assets.jobs.backfills import backfill_patients
from chestgan_assets.jobs.jobs import jobs
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.local.log_lines import configure_logging

configure_logging()  # what loads this runs steps, or evaluates sensors

defs = dg.Definitions(
    assets=[
        series_catalog,
        collections,
        raw_dicom,
        raw_images,
        tumour_annotations,
        slice_tensors,
        training_set,
        generator_checkpoint,
        hyperparameter_study,
        metric_report,
        architecture_comparison,
        tuning_comparison,
        synthetic_image_set,
        synthetic_set_index,
        monthly_report,
    ],
    asset_checks=[no_failed_partitions, catalogs_current],
    jobs=[*jobs, backfill_patients],
    sensors=[
        patient_partitions,
        new_series,
        retraining,
        study_when_short,
        failure_messages,
        release_messages,
        publication_follows_training,
        dg.AutomationConditionSensorDefinition(
            "slices_follow_raw",
            target=dg.AssetSelection.assets("slice_tensors"),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Normalizes the patients whose raw archive is new.",
        ),
    ],
    schedules=[
        failed_partitions_daily,
        catalogs_weekly,
        training_sets_monthly,
        experiments_monthly,
        reports_monthly,
    ],
    resources={"store": StoreResource(), "workplace": Workplace()},
    executor=executor(),
)
