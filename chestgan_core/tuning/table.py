"""The trials of a study as plain rows, for reports and for Parquet.

In: an open study. Out: one row per complete or pruned trial, in order of their numbers, and the importance of each
parameter. Lost attempts are only counted.
"""

import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

import optuna
import pyarrow as pa
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from chestgan_core.local.parquet import write_parquet
from chestgan_core.store.artefacts import content_version
from chestgan_core.tuning.plan import StudyPlan
from chestgan_core.tuning.space import Choice, Integer, Value
from chestgan_core.tuning.storage import quiet
from chestgan_core.tuning.study import (
    ERROR,
    IMAGES_SEEN,
    INITIAL,
    NOT_NEEDED,
    REASON,
    SECONDS,
    KidFloor,
    OpenStudy,
    explained,
)

Importances: TypeAlias = dict[str, float]

# With fewer complete trials the importance of parameters is not computed.
MIN_TRIALS_FOR_IMPORTANCE = 8
# PED-ANOVA compares this best fraction of the trials with all of them.
BEST_FRACTION = 0.25


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    kid: of the generator that the trial kept; None for a pruned trial. validations: the KID of each validation, in
    order. error: standard error of kid, as if images were independent. None of them is times 1000. steps: when each
    was, in parts of the budget: the plan's number of validations is the whole. drawn: values by path. reason: why it
    was pruned, else "". initial: whether it is the unchanged experiment. attempts: 1, or more where processes died.
    """

    number: int
    kid: float | None
    validations: tuple[float, ...]
    steps: tuple[int, ...]
    drawn: dict[str, Value]
    reason: str
    initial: bool
    attempts: int
    images_seen: int
    seconds: float
    error: float | None = None

    @property
    def lowest_kid(self) -> float | None:
        """The lowest KID of its validations, for pruned trials too."""
        return self.kid if self.kid is not None else min(self.validations, default=None)


@dataclass(frozen=True)
class StudyTable:
    """importances: path -> fraction, largest first; {} where there are too few trials. failed: lost attempts."""

    plan: StudyPlan
    floor: KidFloor
    rows: tuple[TrialRow, ...]
    importances: Importances
    failed: int

    @property
    def best(self) -> TrialRow | None:
        """The complete trial with the lowest KID; of equal ones the first."""
        complete = [row for row in self.rows if row.kid is not None]
        return min(complete, key=lambda row: row.kid or 0.0, default=None)

    @property
    def initial(self) -> TrialRow | None:
        """The trial of the unchanged experiment."""
        return next((row for row in self.rows if row.initial), None)

    @property
    def pruned(self) -> int:
        """Number of pruned trials."""
        return sum(row.kid is None for row in self.rows)

    @property
    def version(self) -> str:
        """16 hex characters of the trials: more trials give another one. Seconds do not count."""
        rows = [
            [row.number, row.kid, row.validations, row.drawn, row.reason, row.images_seen]
            for row in self.rows
        ]
        return content_version(self.plan.study, rows)

    def parquet(self) -> bytes:
        """One row per trial, one column per path."""
        columns: dict[str, Any] = {
            "number": pa.array([row.number for row in self.rows], pa.int64()),
            "state": pa.array(
                ["pruned" if row.kid is None else "complete" for row in self.rows], pa.string()
            ),
            "kid": pa.array([row.kid for row in self.rows], pa.float64()),
            "error": pa.array([row.error for row in self.rows], pa.float64()),
            "validations": pa.array([list(row.validations) for row in self.rows], pa.list_(pa.float64())),
            "steps": pa.array([list(row.steps) for row in self.rows], pa.list_(pa.int64())),
            "reason": pa.array([row.reason for row in self.rows], pa.string()),
            "initial": pa.array([row.initial for row in self.rows], pa.bool_()),
            "attempts": pa.array([row.attempts for row in self.rows], pa.int64()),
            "images_seen": pa.array([row.images_seen for row in self.rows], pa.int64()),
            "seconds": pa.array([row.seconds for row in self.rows], pa.float64()),
        }
        for path, parameter in self.plan.space.parameters.items():
            plain = {Choice: pa.string(), Integer: pa.int64()}.get(type(parameter), pa.float64())
            columns[path] = pa.array([row.drawn.get(path) for row in self.rows], plain)
        return write_parquet(pa.table(columns))


def read_table(study: OpenStudy) -> StudyTable:
    """The trials as they are now. Raises StoreUnreachable."""
    with explained():
        trials = study.optuna.get_trials(deepcopy=False)
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    needed = [trial for trial in trials if not str(trial.user_attrs.get(REASON, "")).startswith(NOT_NEEDED)]
    with quiet():
        rows = tuple(row_of(trial) for trial in ended)
    return StudyTable(
        plan=study.plan,
        floor=study.floor,
        rows=rows,
        importances=_importances(study.optuna, ended),
        failed=sum(trial.state is TrialState.FAIL for trial in needed),
    )


def row_of(trial: FrozenTrial) -> TrialRow:
    """A complete or pruned trial as a row."""
    complete = trial.state is TrialState.COMPLETE
    attrs: dict[str, Any] = trial.user_attrs
    return TrialRow(
        number=trial.number,
        # Optuna gives a pruned trial its last validation as value; without its whole budget that is not a score.
        kid=trial.value if complete else None,
        validations=tuple(value for _, value in sorted(trial.intermediate_values.items())),
        steps=tuple(sorted(trial.intermediate_values)),
        drawn=dict(trial.params),
        reason="" if complete else str(attrs.get(REASON, "")),
        initial=bool(attrs.get(INITIAL)),
        attempts=1 + len(RetryHeartbeatStaleTrialCallback.retry_history(trial)),
        images_seen=int(attrs.get(IMAGES_SEEN, 0)),
        seconds=float(attrs.get(SECONDS, 0.0)),
        error=float(attrs[ERROR]) if complete and ERROR in attrs else None,
    )


def _importances(study: optuna.Study, ended: list[FrozenTrial]) -> Importances:
    complete = [trial for trial in ended if trial.state is TrialState.COMPLETE]
    if len(complete) < MIN_TRIALS_FOR_IMPORTANCE or len({trial.value for trial in complete}) < 2:
        return {}
    with explained(), warnings.catch_warnings():
        # About values that few trials have; the report says that the fractions are coarse.
        warnings.simplefilter("ignore", UserWarning)
        return get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=BEST_FRACTION)
        )
