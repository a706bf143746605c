"""A study in its storage: opened with a plan, found again by name, counted.

In: a plan and what its scores are compared with. Out: an Optuna study that carries both, so that whoever opens it (a
worker in another process, a report weeks later) needs nothing else.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import DBAPIError

from chestgan_core.config.yaml_models import Fields, validated
from chestgan_core.errors import BadInput, NotInStore, StoreUnreachable
from chestgan_core.tuning.plan import StudyPlan
from chestgan_core.tuning.sampler import NumberedSampler, pruner_of
from chestgan_core.tuning.storage import VARIABLE, quiet, unreachable

# opened: seconds since 1970 of the last time; callers: names of those who opened it, the last ones.
PLAN, YARDSTICK, CALLERS, OPENED = "plan", "yardstick", "callers", "opened"
# User attributes of a trial: the experiment as it is; why a trial ended before its budget; images seen and seconds.
INITIAL, REASON, IMAGES_SEEN, SECONDS = "initial", "reason", "images_seen", "seconds"


# Before the name of a step, in the attributes of a study: what the step used.
USED = "used by "


@dataclass(frozen=True)
class Yardstick:
    """What a KID of the study is compared with. extractor: its id. images: of the real side. floor: KID of as many
    training slices against the same held-out ones, real against real.
    """

    extractor: str
    images: int
    floor: float


@dataclass(frozen=True)
class OpenStudy:
    """optuna: the study itself, with sampler and pruner."""

    plan: StudyPlan
    yardstick: Yardstick
    optuna: optuna.Study


@dataclass(frozen=True)
class Counts:
    """Trials by what became of them. ended: scored or ended early; the rest counts for nothing."""

    complete: int
    pruned: int
    running: int

    @property
    def ended(self) -> int:
        """Trials that count."""
        return self.complete + self.pruned


def open_study(storage: RDBStorage, plan: StudyPlan, yardstick: Yardstick, caller: str = "") -> OpenStudy:
    """The study of a plan, made where there is none, with the experiment as it is for its first trial.

    caller: a name under which find_study finds it. Raises StoreUnreachable.
    """
    with explained(), quiet():
        study = optuna.create_study(
            study_name=plan.name, storage=storage, load_if_exists=True, direction="minimize"
        )
        if PLAN not in study.user_attrs:
            study.set_user_attr(YARDSTICK, asdict(yardstick))
            study.enqueue_trial(dict(plan.space.drawn(plan.experiment)), user_attrs={INITIAL: True})
            study.set_user_attr(PLAN, plan.model_dump_json())
        study.set_user_attr(OPENED, time.time())
        if caller:
            study.set_user_attr(CALLERS, [*study.user_attrs.get(CALLERS, []), caller][-20:])
    return load_study(storage, plan.name)


def load_study(storage: RDBStorage, name: str) -> OpenStudy:
    """A study by its name in the storage. Raises NotInStore, BadInput (of another version), StoreUnreachable."""
    with explained():
        try:
            attrs = optuna.load_study(study_name=name, storage=storage).user_attrs
            plan = _plan(attrs[PLAN], name)
            yardstick = Yardstick(**attrs[YARDSTICK])
        except KeyError as error:
            raise NotInStore(
                f"study {name}", "is not in the storage of studies", f"check {VARIABLE}"
            ) from error
        study = optuna.load_study(
            study_name=name,
            storage=storage,
            sampler=NumberedSampler(plan.experiment.seed),
            pruner=pruner_of(plan),
        )
    return OpenStudy(plan, yardstick, study)


def find_study(storage: RDBStorage, experiment: str, caller: str = "") -> OpenStudy:
    """The study of an experiment that was opened last, by this caller where one is named. Raises NotInStore."""
    with explained():
        summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    found = [
        summary
        for summary in summaries
        if PLAN in summary.user_attrs
        and json.loads(summary.user_attrs[PLAN])["experiment"]["name"] == experiment
        and (not caller or caller in summary.user_attrs.get(CALLERS, []))
    ]
    if not found:
        raise NotInStore(
            f"experiment {experiment}",
            "has no study in the storage of studies",
            f"run one, or check {VARIABLE}",
        )
    newest = max(found, key=lambda summary: float(summary.user_attrs.get(OPENED, 0.0)))
    return load_study(storage, newest.study_name)


def counts(study: optuna.Study) -> Counts:
    """How far a study is. Raises StoreUnreachable."""
    with explained():
        by_state = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    return Counts(by_state[TrialState.COMPLETE], by_state[TrialState.PRUNED], by_state[TrialState.RUNNING])


def note_use(study: OpenStudy, step: str, told: Mapping[str, float | str]) -> None:
    """What a step used until now, in place of what it told before. step: unlike that of any other. Raises
    StoreUnreachable.
    """
    with explained():
        study.optuna.set_user_attr(f"{USED}{step}", dict(told))


def uses(study: OpenStudy, steps: str) -> list[dict[str, Any]]:
    """What the steps used whose names begin so. Raises StoreUnreachable."""
    with explained():
        attrs = study.optuna.user_attrs
    return [dict(told) for name, told in attrs.items() if name.startswith(f"{USED}{steps}")]


@contextmanager
def explained() -> Iterator[None]:
    """Failures of the database as StoreUnreachable, without statements and addresses."""
    try:
        yield
    except DBAPIError as error:
        raise unreachable(error) from None
    except StorageInternalError as error:
        cause = error.__cause__
        if isinstance(cause, DBAPIError):
            raise unreachable(cause) from None
        raise StoreUnreachable(
            "the storage of studies", "failed", f"check that it runs, and {VARIABLE}"
        ) from None


def _plan(told: Any, name: str) -> StudyPlan:
    return validated(StudyPlan, Fields(json.loads(told), f"study {name}"), "plan", BadInput)
