"""The files of a report on a study: a table, figures, the best configuration, and its pages.

In: the table of a study. Out: files by name: trials.parquet, figures/*.png, report.html (one file, opens offline),
report.pdf, report.md, and best.yaml where a trial was completed; plain data; a text for a terminal.
"""

from dataclasses import asdict
from typing import Any

from chestgan_core.documents.files import document_files
from chestgan_core.tuning.charts import draw
from chestgan_core.tuning.page import study_page
from chestgan_core.tuning.summary import by_score, kid, notes, plain, short, summary
from chestgan_core.tuning.table import StudyTable
from chestgan_core.tuning.tuned import as_yaml, tuned_experiment

BEST = "best.yaml"


def report_files(table: StudyTable) -> dict[str, bytes]:
    """The files of the report by name."""
    figures = draw(table)
    pictures = {f"figures/{name}": png for name, png in figures.items()}
    files = dict(pictures)
    files["trials.parquet"] = table.parquet()
    if table.best:
        files[BEST] = as_yaml(tuned_experiment(table)).encode()
    return files | document_files(study_page(table, figures), "report", pictures)


def as_json(table: StudyTable) -> dict[str, Any]:
    """Plain data, for `--json`."""
    best, initial = table.best, table.initial
    return {
        "study": table.plan.study,
        "experiment": table.plan.experiment.name,
        "trials": len(table.rows),
        "pruned": table.pruned,
        "failed": table.failed,
        "best": None if best is None else asdict(best),
        "initial": None if initial is None else asdict(initial),
        "floor": table.floor.kid,
        "extractor": table.floor.extractor,
        "importances": table.importances,
    }


def as_text(table: StudyTable) -> str:
    """The trials for a terminal, the best first."""
    lines = [
        f"trial {row.number:4}  KID {kid(row.kid) or '-':>7} x 1000  "
        + "  ".join(f"{short(path)} {plain(value)}" for path, value in row.drawn.items())
        + (f"  ({remarks})" if (remarks := notes(row)) else "")
        for row in by_score(table)
    ]
    return "\n".join([*lines, *summary(table)])
