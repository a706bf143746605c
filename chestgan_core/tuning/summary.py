"""A study in words: its outcome, what makes the numbers coarse, and how values are shown.

In: the table of a study. Out: sentences and short texts, for pages and terminals.
"""

from chestgan_core.tuning.space import Value
from chestgan_core.tuning.table import ENOUGH, StudyTable, TrialRow
from chestgan_core.tuning.tuned import tuned_name


def summary(table: StudyTable) -> list[str]:
    """The outcome in sentences."""
    best, initial, floor, image_kind = (
        table.best,
        table.initial,
        table.yardstick.floor,
        table.plan.data.image_kind,
    )
    if best is None:
        return [f"None of {len(table.rows)} trials ran to its end; the reasons are in the table of trials."]
    lines = [
        f"Trial {best.number} is the best of {len(table.rows)}: KID {kid(best.kid)} x 1000 on held-out patients."
    ]
    if initial is None:
        lines.append("The experiment as it is was not scored.")
    elif initial.kid is None:
        lines.append(f"The experiment as it is did not run to its end: {initial.reason}.")
    elif initial is best:
        lines.append("That is the experiment as it is: no other configuration was better with this budget.")
    else:
        share = 1 - (best.kid or 0.0) / initial.kid if initial.kid > 0 else 0.0
        lines.append(
            f"The experiment as it is scored {kid(initial.kid)} x 1000, so that is {share:.0%} less."
        )
    lines.append(
        f"{image_kind.capitalize()} slices of other patients score {kid(floor)} x 1000, which no generator can be "
        "expected to beat without copying."
    )
    if table.importances:
        path, share = next(iter(table.importances.items()))
        lines.append(f"{path} matters most ({share:.0%}).")
    else:
        lines.append(f"Fewer than {ENOUGH} trials ran to their end: too few to say which parameters matter.")
    if table.pruned:
        lines.append(f"{table.pruned} trials were ended early.")
    if table.failed:
        lines.append(f"{table.failed} tries were lost with their process, or interrupted.")
    return lines


def cautions(table: StudyTable) -> list[str]:
    """What makes the numbers coarse."""
    data = table.plan.data
    return [
        "One training a configuration: train the best and the experiment as it is with several seeds before you "
        "believe a small difference.",
        f"A budget of {table.plan.budget} favours what learns fast. A longer training may order them otherwise.",
        f"The {data.held_out_patients} held-out patients that chose the configuration also score the reports of "
        f"{tuned_name(table.plan.experiment.name)}, which flatters it.",
        f"KID of {table.yardstick.images} held-out slices against {table.plan.score_images} generated ones, with "
        f"{table.yardstick.extractor}.",
    ]


def by_score(table: StudyTable) -> list[TrialRow]:
    """The best first; those without a score last."""
    return sorted(table.rows, key=lambda row: (row.kid is None, row.kid or 0.0, row.number))


def kid(value: float | None) -> str:
    """Times 1000."""
    return "" if value is None else f"{1000 * value:.1f}"


def plain(value: Value | object) -> str:
    """A value for people; one that is absent is not set."""
    return "not set" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def short(path: str) -> str:
    """The last step of a path, in words."""
    return path.rpartition(".")[2].replace("_", " ")


def notes(row: TrialRow) -> str:
    """What else is to be said of a trial."""
    told = ["the experiment as it is"] if row.initial else []
    told += [row.reason] if row.reason else []
    told += [f"tried {row.tries} times"] if row.tries > 1 else []
    return "; ".join(told)
