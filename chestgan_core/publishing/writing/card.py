"""The card of a synthetic set: README.md for people, the same facts in the manifest for programs.

In: facts as data. Out: Markdown. The card says what the images are and are not; it never claims that no
information about training patients can be recovered.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.documents.markdown import render_markdown
from chestgan_core.evaluation.pages.sentences import cautions
from chestgan_core.evaluation.reader_study import REALISM, ReaderStudyBlock
from chestgan_core.evaluation.scoring.gate import GateResult, RuleResult
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.report_payload import BETTER
from chestgan_core.publishing.reader.manifest import SetFacts


def write_card(facts: SetFacts, network: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """The card as Markdown. network: the network section of the experiment, printed as it is.

    provenance: of `metrics`, the metric report as plain data, the card prints rows, cautions, the reader study and the
    word for the training data; `source` and `source_licence` are in the facts already; all else is printed as it is.
    """
    low, high = facts.window.ends
    metrics = provenance.get("metrics", {})
    rows = [MetricRow(**row) for row in metrics.get("rows", ())]
    gate, study = metrics.get("gate"), metrics.get("reader_study")
    known = ("metrics", "source", "source_licence")
    return render_markdown(
        Path(__file__).parent / "card.md.j2",
        facts=facts,
        histologies=HISTOLOGIES if facts.window_unit == "HU" else {},
        network=network,
        provenance={name: value for name, value in provenance.items() if name not in known},
        rows=rows,
        better=BETTER,
        gate=_gate(gate) if gate else None,
        reader_study=ReaderStudyBlock(**study) if study else None,
        realism=REALISM,
        tested_for_copies=any(row.measure == "memorized fraction" and row.value is not None for row in rows),
        image_kind=metrics.get("image_kind"),
        cautions=cautions(rows, metrics["patients_real"], metrics["image_kind"]) if rows else (),
        low=f"{low:g}",
        high=f"{high:g}",
    )


def _gate(gate: Mapping[str, Any]) -> GateResult:
    return GateResult(gate["passed"], tuple(RuleResult(**rule) for rule in gate["rules"]))
