"""A study in its storage: opened with a plan, found again by name, counted.

In: a plan and the KID floor of its data. Out: an Optuna study that carries both, so that a worker in another process,
or a report weeks later, needs nothing else.
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
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import DBAPIError

from chestgan_core.config.yaml_models import Fields, validated
from chestgan_core.errors import BadInput, NotInStore, StoreUnreachable
from chestgan_core.tuning.plan import StudyPlan
from chestgan_core.tuning.sampler import NumberedSampler, pruner_of
from chestgan_core.tuning.storage import VARIABLE, quiet, unreachable

# User attributes of a study. opened: seconds since 1970, last time; callers: the names under which it was last opened.
PLAN, FLOOR, CALLERS, OPENED = "plan", "floor", "callers", "opened"
# User attributes of a trial: whether it is the unchanged experiment; why it ended before its budget; images; seconds;
# the standard error of its KID.
INITIAL, REASON, IMAGES_SEEN, SECONDS, ERROR = "initial", "reason", "images_seen", "seconds", "error"
NOT_NEEDED = "not needed"  # a reason: another worker took the last place
# Prefix of a step's name in the attributes of a study: what the step used.
USAGE = "usage of "


@dataclass(frozen=True)
class KidFloor:
    """The KID between real slices of different patients, which gives the KID of a trial its scale.

    extractor: its id. images: held-out slices, n. kid: of n training slices against them, not times 1000.
    """

    extractor: str
    images: int
    kid: float


@dataclass(frozen=True)
class OpenStudy:
    """A plan, its KID floor, and the Optuna study with sampler and pruner."""

    plan: StudyPlan
    floor: KidFloor
    optuna: optuna.Study


@dataclass(frozen=True)
class Counts:
    """Trials by state. Failed ones are not counted."""

    complete: int
    pruned: int
    running: int

    @property
    def ended(self) -> int:
        """Trials that are complete or were pruned."""
        return self.complete + self.pruned


def open_study(storage: RDBStorage, plan: StudyPlan, floor: KidFloor, caller: str = "") -> OpenStudy:
    """Open the study of a plan; create it where there is none, with the unchanged experiment as its first trial.

    Args:
        storage: that of `chestgan_core.tuning.storage.study_storage`.
        plan: decides the study's name, so that an equal plan resumes the same study.
        floor: the KID between real slices; kept only when the study is created.
        caller: a name under which `find_study` finds the study again.

    Returns:
        The study with its plan, floor, sampler and pruner.

    Raises:
        StoreUnreachable: the database does not answer.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from chestgan_core.config.experiment import load_experiment
        >>> from chestgan_core.tuning.plan import StudyData, StudyPlan, StudySettings
        >>> from chestgan_core.tuning.space import load_space
        >>> from chestgan_core.tuning.storage import study_storage
        >>> data = StudyData(
        ...     version="v1", title="phantoms", image_kind="phantom", patients=3, slices=30,
        ...     held_out_patients=2, held_out_slices=20,
        ... )
        >>> plan = StudyPlan.of(load_experiment("demo"), load_space("modern"), data, StudySettings(images=2000))
        >>> study = open_study(study_storage(Path(mkdtemp())), plan, KidFloor("efficientnet-lite0", 20, kid=0.03))
        >>> counts(study.optuna)
        Counts(complete=0, pruned=0, running=0)
    """
    with explained(), quiet():
        study = optuna.create_study(
            study_name=plan.name, storage=storage, load_if_exists=True, direction="minimize"
        )
        if PLAN not in study.user_attrs:
            study.set_user_attr(FLOOR, asdict(floor))
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
            floor = _floor(attrs[FLOOR], name)
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
    return OpenStudy(plan, floor, study)


def find_study(storage: RDBStorage, experiment: str, caller: str = "") -> OpenStudy:
    """The study of an experiment that was opened last.

    Args:
        storage: that of `chestgan_core.tuning.storage.study_storage`.
        experiment: the name of the experiment that is tuned.
        caller: only studies that were opened under this name; "" for all.

    Returns:
        The study with its plan, floor, sampler and pruner.

    Raises:
        NotInStore: the storage has no such study.
        BadInput: the study is of another version.
        StoreUnreachable: the database does not answer.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from chestgan_core.tuning.storage import study_storage
        >>> find_study(study_storage(Path(mkdtemp())), "demo")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        chestgan_core.errors.NotInStore: experiment demo: has no study in the storage of studies; ...
    """
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
    """Trials of a study by state. Raises StoreUnreachable."""
    with explained():
        by_state = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    return Counts(by_state[TrialState.COMPLETE], by_state[TrialState.PRUNED], by_state[TrialState.RUNNING])


def record_usage(study: OpenStudy, step: str, usage: Mapping[str, float | str]) -> None:
    """Record what a step has used so far, replacing its earlier record. step: unique. Raises StoreUnreachable."""
    with explained():
        study.optuna.set_user_attr(f"{USAGE}{step}", dict(usage))


def recorded_usage(study: OpenStudy, steps: str) -> list[dict[str, Any]]:
    """The records of the steps whose names begin with `steps`. Raises StoreUnreachable."""
    with explained():
        attrs = study.optuna.user_attrs
    return [dict(usage) for name, usage in attrs.items() if name.startswith(f"{USAGE}{steps}")]


@contextmanager
def explained() -> Iterator[None]:
    """Raise failures of the database as StoreUnreachable, without statements and addresses."""
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


def _plan(text: Any, name: str) -> StudyPlan:
    return validated(StudyPlan, Fields(json.loads(text), f"study {name}"), "plan", BadInput)


def _floor(fields: Mapping[str, Any], name: str) -> KidFloor:
    try:
        return TypeAdapter(KidFloor).validate_python(fields)
    except ValidationError as error:
        raise BadInput(
            f"study {name}", "its KID floor is not as expected", "run it again with another name or budget"
        ) from error
