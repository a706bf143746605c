"""A study in words: its outcome, its limits, and how values are shown.

In: the table of a study. Out: sentences and short texts, for pages and terminals.
"""

from optuna.trial import TrialState

from chestgan_core.config.names import tuned_name
from chestgan_core.tuning.gain import error_of_difference, needed_gain
from chestgan_core.tuning.space import Value
from chestgan_core.tuning.study import OpenStudy, counts, explained
from chestgan_core.tuning.table import MIN_TRIALS_FOR_IMPORTANCE, StudyTable, TrialRow


def summary(table: StudyTable) -> list[str]:
    """The outcome in sentences."""
    best, initial, floor, image_kind = (
        table.best,
        table.initial,
        table.floor.kid,
        table.plan.data.image_kind,
    )
    if best is None:
        return [f"None of {len(table.rows)} trials was completed; the reasons are in the table of trials."]
    lines = [
        f"Trial {best.number} is the best of {len(table.rows)}: KID {kid(best.kid)} x 1000 on held-out patients."
    ]
    if initial is None:
        lines.append("The unchanged experiment was not scored.")
    elif initial.kid is None:
        lines.append(f"The trial of the unchanged experiment was not completed: {initial.reason}.")
    elif initial is best:
        lines.append("It is the unchanged experiment: no other configuration was better with this budget.")
    else:
        lower = 1 - (best.kid or 0.0) / initial.kid if initial.kid > 0 else 0.0
        lines.append(
            f"The unchanged experiment scored {kid(initial.kid)} x 1000: the best trial is {lower:.0%} lower."
        )
        error = error_of_difference(best.error, initial.error)
        if error is not None and initial.kid - (best.kid or 0.0) <= (
            chance := needed_gain(error, len(table.rows))
        ):
            lines.append(
                f"That may be chance: the best of {len(table.rows)} equally good trials may score up to "
                f"{1000 * chance:.1f} x 1000 lower, as so few images are scored."
            )
    lines.append(
        f"{image_kind.capitalize()} slices of other patients score {kid(floor)} x 1000, which no generator can be "
        "expected to beat without copying."
    )
    if table.importances:
        path, fraction = next(iter(table.importances.items()))
        lines.append(f"{path} is the most important parameter ({fraction:.0%}).")
    else:
        lines.append(
            f"Fewer than {MIN_TRIALS_FOR_IMPORTANCE} trials were completed: too few to rank the parameters."
        )
    if table.pruned:
        lines.append(f"{table.pruned} trial(s) were pruned.")
    if table.failed:
        lines.append(f"{table.failed} attempt(s) were lost with their process or interrupted.")
    return lines


def standing(study: OpenStudy, trials: int) -> str:
    """How far a study has come: `16 of 20 trials, best so far KID x 1000 212.4 (trial 7), floor 30.1`."""
    with explained():
        complete = study.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    ended = counts(study.optuna).ended
    best = min(complete, key=lambda trial: trial.value or 0.0, default=None)
    said = "none completed yet" if best is None else f"KID x 1000 {kid(best.value)} (trial {best.number})"
    return f"{ended} of {max(trials, ended)} trials, best so far {said}, floor {kid(study.floor.kid)}"


def cautions(table: StudyTable) -> list[str]:
    """The limits of the numbers."""
    data = table.plan.data
    return [
        "Each configuration was trained once: train the best and the unchanged experiment with several seeds before "
        "you believe a small difference.",
        f"A budget of {table.plan.budget} favours fast learners. Longer trainings may rank the trials differently.",
        f"The {data.held_out_patients} held-out patients that chose the configuration also score the reports of "
        f"{tuned_name(table.plan.experiment.name)}, which flatters it.",
        f"KID of {table.floor.images} held-out slices against {table.plan.score_images} generated ones, with "
        f"{table.floor.extractor}.",
    ]


def by_score(table: StudyTable) -> list[TrialRow]:
    """The best first; trials without a score last."""
    return sorted(table.rows, key=lambda row: (row.kid is None, row.kid or 0.0, row.number))


def kid(value: float | None) -> str:
    """KID x 1000 with one decimal; "" for none."""
    return "" if value is None else f"{1000 * value:.1f}"


def plain(value: Value | object) -> str:
    """A value as people read it; `not set` for none."""
    return "not set" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def short(path: str) -> str:
    """The last step of a path, in words."""
    return path.rpartition(".")[2].replace("_", " ")


def notes(row: TrialRow) -> str:
    """Remarks on a trial: whether it is the unchanged experiment, why it was pruned, how many attempts."""
    remarks = ["the unchanged experiment"] if row.initial else []
    remarks += [row.reason] if row.reason else []
    remarks += [f"{row.attempts} attempts"] if row.attempts > 1 else []
    return "; ".join(remarks)
