"""The report on a study: a table, figures, the best configuration, and one HTML file that opens offline.

In: the table of a study. Out: files by name: trials.parquet, figures/*.png, report.html, and best.yaml where a trial
ran to its end. Every number is put into words, and what makes it coarse is said beside it.
"""

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from chestgan_core.tuning.charts import HISTORY, IMPORTANCE, LEARNING, PARALLEL, draw
from chestgan_core.tuning.space import Choice, Parameter, Value, at
from chestgan_core.tuning.table import ENOUGH, StudyTable, TrialRow
from chestgan_core.tuning.tuned import as_yaml, tuned_experiment, tuned_name

BEST = "best.yaml"
TITLES = {
    HISTORY: ("Trials", "What each scored, in the order in which they began."),
    LEARNING: (
        "Learning",
        "The looks of each trial. A line that ends before the right edge was ended early.",
    ),
    IMPORTANCE: (
        "Importance",
        "PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255) over the trials that ran to their end. Coarse with few.",
    ),
    PARALLEL: (
        "Values",
        "A line for each trial that ran to its end; the most important parameter on the left. A line without a dot on "
        "an axis has a value there that the space does not have.",
    ),
}


def report_files(table: StudyTable) -> dict[str, bytes]:
    """The files of the report by name."""
    figures = draw(table)
    files = {f"figures/{name}": png for name, png in figures.items()}
    files["trials.parquet"] = table.parquet()
    tuned = as_yaml(tuned_experiment(table)) if table.best else ""
    if tuned:
        files[BEST] = tuned.encode()
    files["report.html"] = _page(table, figures, tuned).encode()
    return files


def summary(table: StudyTable) -> list[str]:
    """The outcome in sentences."""
    best, initial, floor, word = table.best, table.initial, table.yardstick.floor, table.plan.data.word
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
        f"{word.capitalize()} slices of other patients score {kid(floor)} x 1000, which no generator that does not "
        "copy can be expected to beat."
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


def as_json(table: StudyTable) -> dict[str, Any]:
    """For a machine."""
    best, initial = table.best, table.initial
    return {
        "study": table.plan.study,
        "experiment": table.plan.experiment.name,
        "trials": len(table.rows),
        "pruned": table.pruned,
        "failed": table.failed,
        "best": None if best is None else asdict(best),
        "initial": None if initial is None else asdict(initial),
        "floor": table.yardstick.floor,
        "extractor": table.yardstick.extractor,
        "importances": table.importances,
    }


def as_text(table: StudyTable) -> str:
    """The trials for a terminal, the best first."""
    lines = [
        f"trial {row.number:4}  KID {kid(row.kid) or '-':>7} x 1000  "
        + "  ".join(f"{short(path)} {plain(value)}" for path, value in row.drawn.items())
        + (f"  ({told})" if (told := notes(row)) else "")
        for row in by_score(table)
    ]
    return "\n".join([*lines, *summary(table)])


def by_score(table: StudyTable) -> list[TrialRow]:
    """The best first; those without a score last."""
    return sorted(table.rows, key=lambda row: (row.kid is None, row.kid or 0.0, row.number))


def _page(table: StudyTable, figures: dict[str, bytes], tuned: str) -> str:
    plan = table.plan
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kid": kid, "plain": plain, "notes": notes, "short": short}
    shown = [(*TITLES[name], _data_uri(figures[name])) for name in TITLES if name in figures]
    return environment.get_template("study.html.j2").render(
        table=table,
        plan=plan,
        words=summary(table),
        cautions=cautions(table),
        changes=_changes(table),
        figures=shown,
        ordered=by_score(table),
        tuned=tuned,
        tuned_name=tuned_name(plan.experiment.name),
        provenance={
            "study": plan.study,
            "trials": table.version,
            "experiment": f"{plan.experiment.name}, {plan.experiment.fingerprint()[:16]}",
            "training set": plan.data.version,
            "slices to train on": f"{plan.data.slices} of {plan.data.patients} patients",
            "held-out slices": f"{plan.data.held_out_slices} of {plan.data.held_out_patients} patients",
            "extractor": table.yardstick.extractor,
            "ends trials early": plan.pruner,
        },
    )


def _changes(table: StudyTable) -> list[tuple[str, str, str, str]]:
    """Path, value of the experiment, value of the best trial, and the span that it was drawn from."""
    if table.best is None or table.best is table.initial:
        return []
    told = table.plan.experiment.model_dump(mode="json")
    named = table.plan.space.drawn(table.plan.experiment)
    return [
        (path, plain(named.get(path, at(told, path))), plain(table.best.drawn.get(path)), _span(parameter))
        for path, parameter in table.plan.space.parameters.items()
    ]


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


def _span(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        return ", ".join(parameter.choices)
    return f"{parameter.low:g} to {parameter.high:g}{', by factors' if parameter.log else ''}"


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
