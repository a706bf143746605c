"""The manifest of a committed study: what the store holds of it as plain data.

In: the table of a study. Out: a StudyManifest, which stored_study.py writes and reads.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from chestgan_core.tuning.space import Value
from chestgan_core.tuning.summary import summary

if TYPE_CHECKING:
    from chestgan_core.tuning.table import StudyTable, TrialRow


@dataclass(frozen=True)
class TrialManifest:
    """One trial. kid: None for a pruned trial. error: its standard error. Neither is times 1000. drawn: its values by
    path.
    """

    trial: int
    kid: float | None
    drawn: dict[str, Value]
    error: float | None = None

    @classmethod
    def of(cls, row: "TrialRow | None") -> Self | None:
        """The manifest of a row, if there is one."""
        return None if row is None else cls(row.number, row.kid, row.drawn, row.error)


@dataclass(frozen=True)
class StudyManifest:
    """A committed study. floor: KID between real slices. trials, pruned, failed: their numbers.

    best: the complete trial with the lowest KID. initial: that of the unchanged experiment. importances: path ->
    fraction. summary: the outcome in sentences.
    """

    plan: dict[str, Any]
    study: str
    training_set: str
    extractor: str
    held_out_images: int
    floor: float
    trials: int
    pruned: int
    failed: int
    best: TrialManifest | None
    initial: TrialManifest | None
    importances: dict[str, float]
    summary: list[str]
    kind: Literal["hyperparameter-study"] = "hyperparameter-study"

    @classmethod
    def of(cls, table: "StudyTable") -> Self:
        """The manifest of the present trials."""
        return cls(
            plan=table.plan.model_dump(mode="json"),
            study=table.plan.study,
            training_set=table.plan.data.version,
            extractor=table.floor.extractor,
            held_out_images=table.floor.images,
            floor=table.floor.kid,
            trials=len(table.rows),
            pruned=table.pruned,
            failed=table.failed,
            best=TrialManifest.of(table.best),
            initial=TrialManifest.of(table.initial),
            importances=table.importances,
            summary=summary(table),
        )
