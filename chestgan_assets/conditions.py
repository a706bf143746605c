"""Automation conditions downstream of training: report, set and index follow when somebody turns their sensor on.

A request follows one update of what an asset is made of, and no failure: `since_last_handled` forgets the update as
soon as it is asked for. An update by a run that makes the asset too, as the job synthetic_set does, counts as handled.
"""

import dagster as dg

# A new training set makes no old generator better: nothing waits for it or follows it.
_OTHERS = dg.AssetSelection.assets("training_set")
_UPDATED = dg.AutomationCondition.any_deps_updated().ignore(_OTHERS).since_last_handled()
_BUSY = dg.AutomationCondition.any_deps_in_progress().ignore(_OTHERS) | dg.AutomationCondition.in_progress()

# The index is made of whatever sets there are: it must not wait for those that nobody has made.
FOLLOWS_ANY = _UPDATED & ~_BUSY
FOLLOWS = FOLLOWS_ANY & ~dg.AutomationCondition.any_deps_missing().ignore(_OTHERS)

publication_follows_training = dg.AutomationConditionSensorDefinition(
    "publication_follows_training",
    target=dg.AssetSelection.assets("metric_report", "synthetic_image_set", "synthetic_set_index"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Scores and publishes what was trained. Off until somebody turns it on.",
)
