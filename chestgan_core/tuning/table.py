"""The trials of a study as plain rows: what a report draws and a Parquet file keeps.

In: an open study. Out: one row for each trial that ended, in order of their numbers, and how much each parameter
matters. Trials that were interrupted or not needed are only counted.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from chestgan_core.store.artefacts import content_version
from chestgan_core.tuning.plan import StudyPlan
from chestgan_core.tuning.space import Choice, Integer, Value
from chestgan_core.tuning.storage import quiet
from chestgan_core.tuning.study import IMAGES_SEEN, INITIAL, REASON, SECONDS, OpenStudy, Yardstick, explained

Importances: TypeAlias = dict[str, float]

# With fewer trials that ran to their end nothing can be said of the parameters.
ENOUGH = 8
# PED-ANOVA asks how the best quarter of the trials differs from all of them.
BEST_SHARE = 0.25


@dataclass(frozen=True)
class TrialRow:
    """kid: of the generator that the trial kept, or None for a trial that was ended early; looks: all that it scored,
    in order; neither times 1000. steps: when it was looked at, in parts of the budget as many as the plan has looks.
    drawn: by path. reason: why it was ended early, else "". tries: 1, or more where processes died. initial: the
    experiment as it is.
    """

    number: int
    kid: float | None
    looks: tuple[float, ...]
    steps: tuple[int, ...]
    drawn: dict[str, Value]
    reason: str
    initial: bool
    tries: int
    images_seen: int
    seconds: float

    @property
    def last(self) -> float | None:
        """The lowest KID that was seen of it, whether it ran to its end or not."""
        return self.kid if self.kid is not None else min(self.looks, default=None)


@dataclass(frozen=True)
class StudyTable:
    """importances: share of each path, largest first, {} where there are too few trials. failed: tries that died."""

    plan: StudyPlan
    yardstick: Yardstick
    rows: tuple[TrialRow, ...]
    importances: Importances
    failed: int

    @property
    def best(self) -> TrialRow | None:
        """The trial with the lowest KID; of equal ones the first."""
        complete = [row for row in self.rows if row.kid is not None]
        return min(complete, key=lambda row: row.kid or 0.0, default=None)

    @property
    def initial(self) -> TrialRow | None:
        """The trial of the experiment as it is."""
        return next((row for row in self.rows if row.initial), None)

    @property
    def pruned(self) -> int:
        """Trials that were ended early."""
        return sum(row.kid is None for row in self.rows)

    @property
    def version(self) -> str:
        """16 hex characters of the trials: a study that goes on gets another one. Seconds do not count."""
        told = [[row.number, row.kid, row.looks, row.drawn, row.reason, row.images_seen] for row in self.rows]
        return content_version(self.plan.study, told)

    def parquet(self) -> bytes:
        """One line a trial; a column for each path."""
        columns: dict[str, Any] = {
            "number": pa.array([row.number for row in self.rows], pa.int64()),
            "state": pa.array(
                ["pruned" if row.kid is None else "complete" for row in self.rows], pa.string()
            ),
            "kid": pa.array([row.kid for row in self.rows], pa.float64()),
            "looks": pa.array([list(row.looks) for row in self.rows], pa.list_(pa.float64())),
            "steps": pa.array([list(row.steps) for row in self.rows], pa.list_(pa.int64())),
            "reason": pa.array([row.reason for row in self.rows], pa.string()),
            "initial": pa.array([row.initial for row in self.rows], pa.bool_()),
            "tries": pa.array([row.tries for row in self.rows], pa.int64()),
            "images_seen": pa.array([row.images_seen for row in self.rows], pa.int64()),
            "seconds": pa.array([row.seconds for row in self.rows], pa.float64()),
        }
        for path, parameter in self.plan.space.parameters.items():
            plain = {Choice: pa.string(), Integer: pa.int64()}.get(type(parameter), pa.float64())
            columns[path] = pa.array([row.drawn.get(path) for row in self.rows], plain)
        stream = io.BytesIO()
        pq.write_table(pa.table(columns), stream)
        return stream.getvalue()


def read_table(study: OpenStudy) -> StudyTable:
    """The trials as they are now. Raises StoreUnreachable."""
    with explained():
        trials = study.optuna.get_trials(deepcopy=False)
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    needed = [trial for trial in trials if not trial.user_attrs.get(REASON, "").startswith("not needed")]
    with quiet():
        rows = tuple(row_of(trial) for trial in ended)
    return StudyTable(
        plan=study.plan,
        yardstick=study.yardstick,
        rows=rows,
        importances=_importances(study.optuna, ended),
        failed=sum(trial.state is TrialState.FAIL for trial in needed),
    )


def row_of(trial: FrozenTrial) -> TrialRow:
    """A trial that ended as a row."""
    complete = trial.state is TrialState.COMPLETE
    attrs: dict[str, Any] = trial.user_attrs
    return TrialRow(
        number=trial.number,
        # A pruned trial has its last look for a value; it did not use its budget, so that is not its score.
        kid=trial.value if complete else None,
        looks=tuple(value for _, value in sorted(trial.intermediate_values.items())),
        steps=tuple(sorted(trial.intermediate_values)),
        drawn=dict(trial.params),
        reason="" if complete else str(attrs.get(REASON, "")),
        initial=bool(attrs.get(INITIAL)),
        tries=1 + len(RetryHeartbeatStaleTrialCallback.retry_history(trial)),
        images_seen=int(attrs.get(IMAGES_SEEN, 0)),
        seconds=float(attrs.get(SECONDS, 0.0)),
    )


def _importances(study: optuna.Study, ended: list[FrozenTrial]) -> Importances:
    complete = [trial for trial in ended if trial.state is TrialState.COMPLETE]
    if len(complete) < ENOUGH or len({trial.value for trial in complete}) < 2:
        return {}
    with explained(), warnings.catch_warnings():
        # Of values that few trials have; the report says that the shares are coarse.
        warnings.simplefilter("ignore", UserWarning)
        return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE))
