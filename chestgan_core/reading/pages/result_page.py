"""A result as a document: report.html (one file, opens offline) and report.pdf.

In: a StudyResult and its charts. Out: Document. Beside each picture stand its numbers; what was not asked or not
answered has a sentence instead of a number.
"""

from collections.abc import Mapping

from chestgan_core.documents.blocks import (
    Block,
    Bullets,
    Document,
    Notice,
    Paragraph,
    Section,
    Table,
    Tile,
    Tiles,
)
from chestgan_core.reading.analysis.finding import MARGIN
from chestgan_core.reading.analysis.groups import FEWEST
from chestgan_core.reading.analysis.multireader import RESAMPLES
from chestgan_core.reading.analysis.result import StudyResult
from chestgan_core.reading.pages.answer_sections import agreement, drift, ratings, tumours
from chestgan_core.reading.pages.verdict_sections import roc_curves, verdicts
from chestgan_core.reading.pages.wording import counted, interval, number


def result_document(result: StudyResult, charts: Mapping[str, bytes]) -> Document:
    """charts: of draw_charts."""
    design = result.design
    unknown = result.finding.told_apart == "unknown"
    return Document(
        title=f"Reader study: {design.title}",
        lead=(
            f"Synthetic images of the set {design.set_name}, version {design.set_version}, among held-out real ones of"
            f" the same preprocessing: {design.images_per_side} of each side. {counted(result.started, 'reader')},"
            f" {result.finished} of them with all images; {result.answers:,} answers. Study {design.name},"
            f" {result.version}."
        ),
        summary=(
            Notice("care" if unknown else "plain", result.finding.title, result.finding.sentences),
            _tiles(result),
            Notice("care", "Read with care", result.notes),
        ),
        sections=(
            Section("Verdicts", tuple(verdicts(result, charts))),
            Section("ROC curves", tuple(roc_curves(result, charts))),
            Section("Ratings of realism", tuple(ratings(result, charts))),
            Section("Agreement", tuple(agreement(result))),
            Section("Over the sitting", tuple(drift(result, charts))),
            Section("Where is the tumour?", tuple(tumours(result))),
            Section("Readers", tuple(_readers(result))),
            Section("How it was analysed", tuple(_method(result))),
        ),
    )


def _tiles(result: StudyResult) -> Tiles:
    roc, accuracy = result.roc, result.accuracy_over_readers
    tiles = []
    if roc is not None:
        tiles.append(Tile("AUC, 0.5 is chance", f"{roc.area.value:.2f}", interval(roc.area)))
    if accuracy is not None:
        remark = interval(accuracy, percent=True)
        tiles.append(Tile("right verdicts, 50% is chance", f"{accuracy.value:.1%}", remark))
    tiles.append(Tile("readers", str(result.started), f"{result.finished} finished"))
    seconds = "" if result.seconds is None else f"median {result.seconds:.1f} s each"
    tiles.append(Tile("images of each side", str(result.design.images_per_side), seconds))
    return Tiles(tuple(tiles))


def _readers(result: StudyResult) -> list[Block]:
    rows = [
        (
            f"reader {one.reader}",
            one.standing,
            f"{one.answered} of {one.of}",
            number(one.seconds),
            f"{one.minutes:.1f}",
        )
        for one in result.readers
    ]
    blocks: list[Block] = [
        Table(
            ("reader", "standing", "images", "median seconds", "minutes in all"), tuple(rows), (2, 2, 2, 2, 2)
        )
        if rows
        else Paragraph("There is no reader yet.")
    ]
    if result.groups:
        blocks.append(
            Table(
                ("said of themselves", "", "readers"),
                tuple((one.what, one.group, str(one.readers)) for one in result.groups),
                (3, 4, 1.5),
            )
        )
    blocks.append(
        Paragraph(
            f"Groups of fewer than {FEWEST} readers are not shown by themselves, so that nobody can be recognised. What"
            " readers said is not joined to their numbers.",
            small=True,
        )
    )
    return blocks


def _method(result: StudyResult) -> list[Block]:
    return [
        Bullets(
            (
                "Images come in another random order for each reader. Readers were told nothing between images.",
                f"Intervals over readers and images come from {RESAMPLES:,} resamples of readers, patients (with all"
                f" their real images) and synthetic images, seed {result.seed}. Of n, n - 1 are drawn, without which"
                " intervals of few readers are too narrow.",
                "Each reader has the same weight in the mean area, once half of the images of each side were answered.",
                f"That readers cannot tell is said only where the whole interval lies within {MARGIN} of 0.5.",
            )
        ),
        Paragraph(
            "Wilson 1927; Fleiss, Psychological Bulletin 1971; Cohen 1960; Obuchowski and Rockette 1995; Hillis,"
            " Statistics in Medicine 2007; Gallas et al. 2009 on the bootstrap over readers and cases; Rao and Wu"
            " 1988.",
            small=True,
        ),
    ]
