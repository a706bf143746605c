"""Membership attacks as tables and sentences, for the page of a report and the card of a set.

In: the block of a report. Out: blocks of a document. Imports nothing heavy.
"""

from chestgan_core.documents.blocks import Block, Bullets, Paragraph, Table
from chestgan_core.evaluation.scoring.attack_block import ABOUT, AttackBlock, AttackCounts, AttackResult


def attack_table(block: AttackBlock) -> Table:
    """Every attack, then the one that knows nothing of the generator."""
    head = (
        "attack",
        "AUC by patient",
        "control by patient",
        "patients found at 1% false",
        "AUC by slice",
        "control by slice",
        "slices found at 1% false",
    )
    ordered = sorted(block.results, key=lambda one: -one.by_patient.auc.value)
    lines = (*(_line(one, one.title) for one in ordered), _line(block.blind, block.blind.title))
    return Table(head, lines, (3.4, 2.3, 2.3, 2.2, 2.3, 2.3, 2.2))


def attack_notes(block: AttackBlock) -> list[Block]:
    """What each attack is, how numbers are to be read, and which attacks are missing."""
    run = {one.attack for one in (*block.results, block.blind)}
    kind = block.image_kind
    level = f"for all {len(block.results)} attacks at once (Bonferroni)"
    blocks: list[Block] = [
        Paragraph(
            "AUC: how often a patient (slice) that was trained on scores above one that was not; 0.5 is chance. The"
            " score of a patient is the mean of its slices, and all patients count the same. In brackets: 95 %"
            f" intervals over the patients of both sides, {level}, because the best is picked. Found, by patient:"
            f" {block.true_positives_said}. The control is the same attack with {kind} patients who were not trained on"
            " in place of those who were: it must be at chance. So must the last line, an attack that knows nothing of"
            " the generator: where it is not, the patients trained on differ from the others for other reasons.",
            small=True,
        ),
        Bullets(tuple(f"{attack}: {about}" for attack, about in ABOUT.items() if attack in run)),
    ]
    if block.left_out:
        missing = tuple(f"{name} was left out: {reason}" for name, reason in block.left_out)
        blocks.append(Bullets(missing))
    return blocks


def attack_facts(block: AttackBlock) -> tuple[tuple[str, str], ...]:
    """Who was attacked with what."""
    sides = {
        "trained on": block.members,
        "others, not trained on": block.others,
        "reference, which the attacker has": block.reference,
        "control": block.control,
    }
    return (
        *((name, _counted(side)) for name, side in sides.items()),
        ("slices of a patient", f"at most {block.slices}, drawn by the seed; of the reference all"),
        ("synthetic images", f"{block.synthetic:,}, as published"),
        ("instruments", ", ".join(block.instruments) or "pixels alone"),
    )


def _line(one: AttackResult, title: str) -> tuple[str, ...]:
    return (
        title,
        one.by_patient.auc.shown(),
        one.control_by_patient.auc.shown(),
        f"{one.by_patient.true_positives.value:.0%}",
        one.by_slice.auc.shown(),
        one.control_by_slice.auc.shown(),
        f"{one.by_slice.true_positives.value:.0%}",
    )


def _counted(side: AttackCounts) -> str:
    return f"{side.patients:,} patient(s), {side.slices:,} slices"
