"""What automation decides on: the current run and report of an experiment, and the thresholds.

In: the store, the environment. Out: plain data; only pointers, manifests and report.json are read.
Imports nothing heavy.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chestgan_core.errors import NotInStore
from chestgan_core.local.environment import number_from_environment
from chestgan_core.store import keys
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class Thresholds:
    """When automation acts. retrain_slices: new or revised slices; retrain_fraction: the same as a share of the
    training set (either suffices). drift: Kolmogorov-Smirnov distance, 0 to 1. study_floors: KID above so many times
    its floor asks for a study; None leaves that to the gate.
    """

    retrain_slices: float = 1000
    retrain_fraction: float = 0.1
    drift: float = 0.3
    study_floors: float | None = None


def thresholds() -> Thresholds:
    """$CHESTGAN_RETRAIN_SLICES, _RETRAIN_FRACTION, _DRIFT and _STUDY_FLOORS, or the defaults. Raises BadInput."""
    number, defaults = number_from_environment, Thresholds
    return Thresholds(
        retrain_slices=number("CHESTGAN_RETRAIN_SLICES", 1, math.inf, defaults.retrain_slices),
        retrain_fraction=number("CHESTGAN_RETRAIN_FRACTION", 0.001, math.inf, defaults.retrain_fraction),
        drift=number("CHESTGAN_DRIFT", 0.01, 1.0, defaults.drift),
        study_floors=number("CHESTGAN_STUDY_FLOORS", 1),
    )


def current_training_set(store: Store, experiment: str) -> tuple[str, str] | None:
    """Dataset and version that the current run was trained on; None without a run. Raises DamagedObject."""
    try:
        run = str(store.get_pointer(keys.run_latest(experiment))[0]["run"])
    except NotInStore:
        return None
    told = store.read_manifest(keys.run_manifest(experiment, run)).manifest
    return str(told["dataset"]), str(told["training_set"])


def newest_report(store: Store, experiment: str) -> dict[str, Any] | None:
    """report.json of the newest report; None without one. Raises DamagedObject."""
    try:
        pointer = store.get_pointer(keys.report_latest(experiment))[0]
    except NotInStore:
        return None
    run, version = str(pointer["run"]), str(pointer["version"])
    artefact = store.read_manifest(keys.report_manifest(experiment, run, version))
    told: dict[str, Any] = json.loads(store.read(artefact, "report.json"))
    return told


def shortfall(report: Mapping[str, Any], floors: float | None) -> tuple[bool, str]:
    """Whether a report (report.json) falls short, and why: its release gate, or KID above so many times its floor."""
    row = next((row for row in report["rows"] if row["measure"] == "KID" and row["value"] is not None), None)
    # A floor at or below 0 is within its error of none: no multiple of it means anything.
    if floors is not None and row is not None and (floor := row["floor"] or 0.0) > 0:
        times = row["value"] / floor
        if times > floors:
            return True, f"KID is {times:.1f} times its floor, more than {floors:g}"
    refused = [str(rule["note"]) for rule in report["gate"]["rules"] if not rule["passed"]]
    if refused:
        return True, f"the gate stopped it: {'; '.join(refused)}"
    return False, "the report passed its gate"
