"""Experiments that a study wrote become partitions: their files are fetched from the store, and the code location is
reloaded when one of them is no partition yet.

Input: the tuned experiments of the store, and the partitions that this code server and the webserver have. Output: no
runs; files in the home, which the next load finds, and a reload that is asked of the webserver.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.automation.tick_lines import grouped
from chestgan_assets.automation.webserver import VARIABLE, Webserver, WebserverFailed
from chestgan_assets.partitions import EXPERIMENT_DATASETS
from chestgan_assets.resources import StoreResource
from chestgan_core.config.names import experiment_files, tuned_folder
from chestgan_core.errors import BadExperiment
from chestgan_core.store.artefacts import content_version

if TYPE_CHECKING:
    from chestgan_core.config.experiment import Experiment
    from chestgan_core.store.store import Store

LOADED = "is loaded"
NOT_LOADED = "is not loaded yet"
NONE = "no study has written an experiment yet"
# For one state of the store: what three loads have left out, a fourth leaves out too.
MAX_RELOADS = 3
LOCATION = "chestgan"  # in workspace.yaml, and in values.yaml of Helm


@dataclass(frozen=True)
class Tuned:
    """A tuned experiment as the store has it; None where it cannot be used. problem: why it is left alone; "" where it
    is a partition.
    """

    experiment: "Experiment | None"
    problem: str = ""

    @property
    def waits(self) -> bool:
        """Whether a reload would help."""
        return self.problem == NOT_LOADED


def tuned_experiments(store: "Store") -> dict[str, Tuned]:
    """The tuned experiments of the store, by name; this home has their files from now on. Sends one request.

    Raises StoreError, DamagedObject, BadInput (the home cannot be written).
    """
    from chestgan_core.tuning.tuned import fetch_tuned

    return {name: _compared(name, text) for name, text in fetch_tuned(store).items()}


def _compared(name: str, text: str) -> Tuned:
    from chestgan_core.tuning.tuned import parse_tuned

    try:
        experiment = parse_tuned(name, text)
    except BadExperiment as error:
        return Tuned(None, f"cannot be used: {error.cause}; {error.remedy}")
    file = experiment_files().get(name)
    if file is not None and file.parent != tuned_folder():
        return Tuned(None, f"is left alone: {file.name} in $CHESTGAN_EXPERIMENTS has its name")
    # Which training set it depends on is said when the code location loads; everything else when a step reads the file.
    is_partition = EXPERIMENT_DATASETS.get(name) == experiment.dataset
    return Tuned(experiment, "" if is_partition else NOT_LOADED)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fetches experiments that studies have written, and reloads the code location when one is no partition "
    "yet. Costs some seconds of the code server then, and interrupts no run. On by default.",
)
def tuned_experiments_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Fetches experiments that studies have written, and reloads the code location when one is no partition yet.

    The cursor holds the state of the store for which a reload was asked, and how often.
    """
    found = tuned_experiments(store.open())
    if not found:
        return dg.SensorResult(skip_reason=NONE)
    webserver = Webserver.from_environment()
    try:
        shown = None if webserver is None else webserver.experiments()
    except WebserverFailed as error:
        return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
    reasons, waiting = {}, {}
    for name, one in found.items():
        # `make dev`: the daemon has a code server of its own, which it replaces each minute; the webserver never does.
        if one.waits or (not one.problem and shown is not None and name not in shown):
            waiting[name] = one.experiment
        reasons[name] = one.problem or LOADED
    said, cursor = _reload(context, webserver, waiting)
    reasons |= dict.fromkeys(waiting, said)
    return dg.SensorResult(skip_reason=grouped(reasons, unremarkable=(LOADED,)), cursor=cursor)


def _reload(
    context: dg.SensorEvaluationContext, webserver: Webserver | None, waiting: "dict[str, Experiment | None]"
) -> tuple[str, str]:
    """Ask for a reload that loads these experiments; returns what happened, and the next cursor."""
    if not waiting:
        return "", ""
    if webserver is None:
        return f"{NOT_LOADED}: reload the code location, or set {VARIABLE}", ""
    state = content_version({name: one and one.model_dump(mode="json") for name, one in waiting.items()})
    asked = json.loads(context.cursor or "{}")
    times = asked.get("times", 0) if asked.get("state") == state else 0
    if times >= MAX_RELOADS:
        return f"is not loaded after {times} reloads; the check configuration_loads says why", str(
            context.cursor
        )
    origin = context.code_location_origin
    try:
        webserver.reload(origin.location_name if origin else LOCATION)
    except WebserverFailed as error:
        said = str(error)
    else:
        said = "was not loaded; the code location has been reloaded"
    context.log.info(said)
    return said, json.dumps({"state": state, "times": times + 1})
