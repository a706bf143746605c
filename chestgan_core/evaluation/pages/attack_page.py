"""The section of a report about membership attacks: what they found, every attack beside its control, the curves.

In: the payload of a report and its figures. Out: blocks of a document; none where no attack was asked for.
"""

from collections.abc import Mapping

from chestgan_core.documents.blocks import Block, Facts, Figure, Notice, Paragraph
from chestgan_core.evaluation.pages.attack_tables import attack_facts, attack_notes, attack_table
from chestgan_core.evaluation.pages.figures import ATTACKS, MAX_WIDTH
from chestgan_core.evaluation.scoring.report_payload import ReportPayload
from chestgan_core.imaging.pictures import shrink_to_width


def attack_blocks(report: ReportPayload, figures: Mapping[str, bytes]) -> list[Block]:
    """What was found, the table, the curves, and who was attacked."""
    rows = [row for row in report.rows if row.group == "attack"]
    if not rows:
        return []
    block = report.attacks
    if block is None:
        note = rows[0].note
        return [Paragraph(f"{note[:1].upper()}{note[1:]}.")]
    doubt = block.doubt(block.best)
    first: Block = (
        Notice("care", "Not to be trusted", (block.verdict,)) if doubt else Paragraph(block.verdict)
    )
    blocks = [first, attack_table(block), Paragraph(block.caution)]
    if ATTACKS in figures:
        caption = (
            "The left end of the axis is 1 % false positives; its scale is logarithmic, because what counts is how many"
            " are recognized by an attacker who is hardly ever wrong. Thick: the best by patient."
        )
        blocks.append(Figure(shrink_to_width(figures[ATTACKS], MAX_WIDTH), "Attacks", caption))
    blocks += attack_notes(block)
    seconds = f"{rows[0].seconds:.1f} s without features of images"
    return [*blocks, Facts((*attack_facts(block), ("time", seconds)))]
