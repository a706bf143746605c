"""The code location `chestgan`, which Dagster loads: explicit lists of all definitions.

A broken file or setting does not end the load: see load_faults.py.
"""

import warnings

import dagster as dg

from chestgan_assets.assets.acquisition import raw_images, series_catalog
from chestgan_assets.assets.annotations import tumour_annotations
from chestgan_assets.assets.evaluation import metric_report
from chestgan_assets.assets.leaderboard import leaderboard
from chestgan_assets.assets.patients import patient_slices
from chestgan_assets.assets.publication import synthetic_image_set, synthetic_set_index
from chestgan_assets.assets.reading import reader_study_images, reader_study_result
from chestgan_assets.assets.reports import architecture_comparison, monthly_report, tuning_comparison
from chestgan_assets.assets.slices import training_set
from chestgan_assets.assets.study import hyperparameter_study
from chestgan_assets.assets.training import generator_checkpoint
from chestgan_assets.automation.health_checks import (
    catalogs_fresh,
    collections,
    configuration_loads,
    daily_health_checks_schedule,
    no_failed_partitions,
    states_as_made,
    weekly_series_catalogs_schedule,
)
from chestgan_assets.automation.monthly_schedules import (
    monthly_reports_schedule,
    monthly_synthetic_sets_schedule,
    monthly_training_sets_schedule,
)
from chestgan_assets.automation.new_series import new_series_sensor
from chestgan_assets.automation.patient_partitions import patient_partitions_sensor
from chestgan_assets.automation.retraining import retraining_sensor
from chestgan_assets.automation.study_requests import hyperparameter_study_sensor
from chestgan_assets.automation.tuned_experiments import tuned_experiments_sensor
from chestgan_assets.automation.tuned_steps import (
    tuned_publication_sensor,
    tuned_report_sensor,
    tuned_training_sensor,
)
from chestgan_assets.automation.webhook_messages import (
    run_failure_webhook_sensor,
    synthetic_set_webhook_sensor,
)
from chestgan_assets.code_links import with_code_links
from chestgan_assets.conditions import publication_automation_sensor
from chestgan_assets.execution.executor import loadable_executor, on_kubernetes, refusing_executor
from chestgan_assets.jobs.asset_jobs import asset_jobs
from chestgan_assets.jobs.backfills import backfill_patients_job
from chestgan_assets.jobs.forgetting import forget_patient_job
from chestgan_assets.load_faults import left_out, note_fault
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import SMALL_WORK
from chestgan_core.errors import BadInput
from chestgan_core.local.log_lines import configure_logging

with left_out("CHESTGAN_LOG", "messages are plain lines"):
    configure_logging()  # what loads this runs steps, or evaluates sensors

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)
    assets = with_code_links(
        [
            series_catalog,
            collections,
            patient_slices,
            raw_images,
            tumour_annotations,
            training_set,
            generator_checkpoint,
            hyperparameter_study,
            metric_report,
            architecture_comparison,
            tuning_comparison,
            leaderboard,
            synthetic_image_set,
            synthetic_set_index,
            reader_study_images,
            reader_study_result,
            monthly_report,
        ]
    )

chosen_executor = loadable_executor()
if on_kubernetes():
    from chestgan_assets.execution.pod_profiles import load_pod_settings, require_known_steps

    try:
        # A typo would move steps to pods of another size.
        steps = [one for one in assets if isinstance(one, dg.AssetsDefinition)]
        require_known_steps(load_pod_settings(), [one.node_def.name for one in steps])
    except BadInput as error:
        note_fault(f"{error} (every run fails until then)")
        chosen_executor = refusing_executor(error)

defs = dg.Definitions(
    assets=assets,
    asset_checks=[no_failed_partitions, states_as_made, catalogs_fresh, configuration_loads],
    jobs=[*asset_jobs, backfill_patients_job, forget_patient_job],
    sensors=[
        patient_partitions_sensor,
        new_series_sensor,
        retraining_sensor,
        hyperparameter_study_sensor,
        tuned_experiments_sensor,
        tuned_training_sensor,
        tuned_report_sensor,
        tuned_publication_sensor,
        run_failure_webhook_sensor,
        synthetic_set_webhook_sensor,
        publication_automation_sensor,
        dg.AutomationConditionSensorDefinition(
            "slice_tensors_automation_sensor",
            target=dg.AssetSelection.assets("slice_tensors"),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Normalizes patients whose raw archive is new. On by default.",
        ),
        dg.AutomationConditionSensorDefinition(
            "leaderboard_automation_sensor",
            target=dg.AssetSelection.assets("leaderboard"),
            default_status=dg.DefaultSensorStatus.RUNNING,
            run_tags=SMALL_WORK,
            description="Makes the page of all experiments anew after a report. On by default.",
        ),
    ],
    schedules=[
        daily_health_checks_schedule,
        weekly_series_catalogs_schedule,
        monthly_training_sets_schedule,
        monthly_synthetic_sets_schedule,
        monthly_reports_schedule,
    ],
    resources={"store": StoreResource(), "machine": MachineResource()},
    executor=chosen_executor,
)
