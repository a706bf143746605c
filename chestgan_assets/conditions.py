"""Automation conditions downstream of training: report, set and index follow while their sensor is on.

One request follows one update of an upstream asset, even if the run fails: `since_last_handled` forgets the update once
it is requested. An update by a run that materializes the asset too, as in synthetic_set_job, counts as handled.
"""

import dagster as dg

# A new training set does not improve an existing generator: nothing waits for it or follows it.
_OTHERS = dg.AssetSelection.assets("training_set")
_UPDATED = dg.AutomationCondition.any_deps_updated().ignore(_OTHERS).since_last_handled()
_BUSY = dg.AutomationCondition.any_deps_in_progress().ignore(_OTHERS) | dg.AutomationCondition.in_progress()

# The index lists the sets that exist: it must not wait for those that have never been made.
FOLLOWS_ANY = _UPDATED & ~_BUSY
FOLLOWS = FOLLOWS_ANY & ~dg.AutomationCondition.any_deps_missing().ignore(_OTHERS)

publication_automation_sensor = dg.AutomationConditionSensorDefinition(
    "publication_automation_sensor",
    target=dg.AssetSelection.assets(
        "metric_report", "synthetic_image_set", "synthetic_set_index", "reader_study_images"
    ),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Evaluates and publishes generators after their training. Off by default.",
)
