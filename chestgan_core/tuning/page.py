"""The report on a study as a document, for a browser and for paper.

In: the table of a study, and its figures by name. Out: a Document: the outcome in words, its limits, what the best
trial changes, the figures, every trial.
"""

from collections.abc import Mapping

from chestgan_core.config.names import tuned_name
from chestgan_core.documents.blocks import (
    Block,
    Bullets,
    Document,
    Facts,
    Figure,
    Notice,
    Paragraph,
    Section,
    Table,
)
from chestgan_core.tuning.charts import HISTORY, IMPORTANCE, LEARNING, PARALLEL
from chestgan_core.tuning.space import Choice, Parameter, value_at
from chestgan_core.tuning.summary import by_score, cautions, kid, notes, plain, short, summary
from chestgan_core.tuning.table import StudyTable

TITLES = {
    HISTORY: ("Trials", "The score of each trial, in the order in which they started."),
    LEARNING: (
        "Learning",
        "The KID of each trial at its validations. A line that ends before the right edge is a pruned trial.",
    ),
    IMPORTANCE: (
        "Importance",
        "PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255) over the completed trials. Coarse where these are few.",
    ),
    PARALLEL: (
        "Values",
        "A line for each completed trial; the most important parameter on the left. A line without a dot on an "
        "axis has a value there that lies outside of the space.",
    ),
}


def study_page(table: StudyTable, figures: Mapping[str, bytes]) -> Document:
    """figures: PNG by the names of charts.py; absent ones are left out."""
    plan = table.plan
    drawn = [Figure(figures[name], *TITLES[name]) for name in TITLES if name in figures]
    tuned = f"{tuned_name(plan.experiment.name)}: the best configuration as an experiment, in best.yaml."
    return Document(
        title=f"Hyperparameter study: {plan.experiment.name}",
        lead=f"{len(table.rows)} trials of {plan.budget} each over the space {plan.space.name}, on {plan.data.title}.",
        summary=(
            Bullets((*summary(table), *([tuned] if table.best else []))),
            Notice("care", "Read with care", tuple(cautions(table))),
            *drawn[:1],
        ),
        sections=(
            Section("What the best trial changes", tuple(_changes(table))),
            Section("Figures", tuple(drawn[1:])),
            Section("Every trial", (_trials(table),)),
            Section("How it was measured", tuple(_method(table))),
        ),
    )


def _changes(table: StudyTable) -> list[Block]:
    """Field, present value, value of the best trial, and what it was drawn from."""
    if table.best is None or table.best is table.initial:
        return []
    fields = table.plan.experiment.model_dump(mode="json")
    present = table.plan.space.drawn(table.plan.experiment)
    lines = tuple(
        (
            path,
            plain(present.get(path, value_at(fields, path))),
            plain(table.best.drawn.get(path)),
            _span(parameter),
        )
        for path, parameter in table.plan.space.parameters.items()
    )
    head = ("field", "unchanged experiment", f"trial {table.best.number}", "drawn from")
    return [Table(head, lines, (3, 2, 2, 3))]


def _trials(table: StudyTable) -> Table:
    """The best first; all values of a trial in one cell, as columns of their own would not fit a page of paper."""
    lines = tuple(
        (
            str(row.number),
            kid(row.kid) or "none",
            f"{row.images_seen:,}",
            f"{row.seconds:.0f}",
            ", ".join(f"{short(path)} {plain(value)}" for path, value in row.drawn.items()),
            notes(row),
        )
        for row in by_score(table)
    )
    head = ("trial", "KID x 1000", "images seen", "seconds", "values", "notes")
    return Table(head, lines, (1, 1.4, 1.6, 1.2, 6, 3))


def _method(table: StudyTable) -> list[Block]:
    plan = table.plan
    return [
        Paragraph(
            f"Each trial is one training of {plan.budget} with the seed {plan.experiment.seed}. It is validated"
            f" {plan.validations} times: the generator with averaged weights (EMA) makes {plan.score_images} images,"
            " whose KID against slices of held-out patients is computed. The score of a trial is its lowest KID,"
            " that of the generator which a training keeps. Values are drawn by tree-structured Parzen estimators,"
            " which learn from earlier trials."
        ),
        Facts(
            (
                ("study", plan.study),
                ("trials", table.version),
                ("experiment", f"{plan.experiment.name}, {plan.experiment.fingerprint()}"),
                ("training set", plan.data.version),
                ("slices to train on", f"{plan.data.slices} of {plan.data.patients} patients"),
                ("held-out slices", f"{plan.data.held_out_slices} of {plan.data.held_out_patients} patients"),
                ("extractor", table.floor.extractor),
                ("pruner", plan.pruner),
            )
        ),
    ]


def _span(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        return ", ".join(parameter.choices)
    return f"{parameter.low:g} to {parameter.high:g}{', on a logarithmic scale' if parameter.log else ''}"
