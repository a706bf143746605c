"""Steps that a signal ended: how their failure says so, and how it is recognized.

A signal is a cancel by a person, the end of the time of a run (`dagster/max_runtime`), or the end of a process.
"""

import dagster as dg

INTERRUPTED = (
    "Canceled, or its process was ended. Launched again, a training resumes from its last checkpoint."
)
INTERRUPTED_LABEL = "interrupted"  # of the metadata of the failure


def was_interrupted(event: dg.DagsterEvent) -> bool:
    """Whether this is the failure of a step that a signal ended (failures.py)."""
    said = event.step_failure_data.user_failure_data if event.is_step_failure else None
    return bool(said and INTERRUPTED_LABEL in said.metadata)
