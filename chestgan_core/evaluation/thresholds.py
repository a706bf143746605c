"""What automation decides on: the current run and report of an experiment, and the thresholds.

In: the store, the environment. Out: data; only pointers, manifests and report.json are read. Imports nothing heavy.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chestgan_core.errors import Forgotten, NotInStore
from chestgan_core.local.environment import number_from_environment
from chestgan_core.store import keys

if TYPE_CHECKING:
    from chestgan_core.evaluation.scoring.report_payload import RunReport
    from chestgan_core.store.store import Store

PASSED = "the report passed the release gate"


@dataclass(frozen=True)
class Thresholds:
    """When automation acts.

    retrain_slices: new or revised slices; retrain_fraction: the same as a fraction of the training set; either
    suffices. drift: Kolmogorov-Smirnov distance, 0 to 1. study_floors: a KID above so many times its floor requests a
    study; None: only the release gate does. study_trials: of such a study.
    """

    retrain_slices: float = 1000
    retrain_fraction: float = 0.1
    drift: float = 0.3
    study_floors: float | None = None
    study_trials: int = 20


def thresholds() -> Thresholds:
    """$CHESTGAN_RETRAIN_SLICES, _RETRAIN_FRACTION, _DRIFT, _STUDY_FLOORS and _STUDY_TRIALS, or the defaults. Raises
    BadInput.
    """
    number, defaults = number_from_environment, Thresholds
    return Thresholds(
        retrain_slices=number("CHESTGAN_RETRAIN_SLICES", 1, math.inf, defaults.retrain_slices),
        retrain_fraction=number("CHESTGAN_RETRAIN_FRACTION", 0.001, math.inf, defaults.retrain_fraction),
        drift=number("CHESTGAN_DRIFT", 0.01, 1.0, defaults.drift),
        study_floors=number("CHESTGAN_STUDY_FLOORS", 1),
        study_trials=int(number("CHESTGAN_STUDY_TRIALS", 2, 10_000, defaults.study_trials)),
    )


def current_training_set(store: "Store", experiment: str) -> tuple[str, str] | None:
    """Dataset and version of the training set of the current run; None without a run. Raises DamagedObject.

    A run that a patient's withdrawal removed still says what it was trained on.
    """
    from chestgan_core.store.forgotten import artefact_tombstone
    from chestgan_core.training.run_manifest import read_run_manifest

    try:
        (run,) = store.read_pointer(keys.run_latest(experiment), "run")
    except NotInStore:
        return None
    key = keys.run_manifest(experiment, run)
    try:
        manifest = read_run_manifest(store, store.read_manifest(key))
    except Forgotten:
        removed = artefact_tombstone(store, key)
        facts = removed.facts if removed else {}
        return (
            (facts["dataset"], facts["training_set"]) if {"dataset", "training_set"} <= facts.keys() else None
        )
    return manifest.dataset, manifest.training_set


def newest_payload(store: "Store", experiment: str) -> "RunReport | None":
    """report.json of the newest report; None without one. Raises DamagedObject."""
    from chestgan_core.evaluation.scoring.read_report import newest_report, read_payload

    newest = newest_report(store, experiment)
    return None if newest is None else read_payload(store, newest.artefact)


def shortfall(report: "RunReport", floors: float | None) -> tuple[bool, str]:
    """Whether a report does not pass, and why: its release gate, or a KID above `floors` times its floor."""
    kid = report.row("KID")
    # A floor at or below 0 is within its error of 0: no multiple of it means anything.
    if floors is not None and kid and kid.value is not None and (floor := kid.floor or 0.0) > 0:
        times = kid.value / floor
        if times > floors:
            return True, f"KID is {times:.1f} times its floor, more than {floors:g}"
    if not report.gate.passed:
        return True, f"refused by the release gate: {report.gate.line()}"
    return False, PASSED
