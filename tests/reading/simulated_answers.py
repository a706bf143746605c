"""Answers to a frozen study, by readers who are right at a known rate, in the orders that they would be shown."""

from datetime import UTC, datetime, timedelta

import numpy as np

from chestgan_core.reading.answers import Answer, Reader, StudyAnswers
from chestgan_core.reading.images.frozen_study import FrozenStudy
from chestgan_core.reading.images.order import reading_order
from chestgan_core.reading.study_key import StudyKey

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def simulated_answers(
    study: FrozenStudy,
    key: StudyKey,
    readers: int = 4,
    right: float = 0.75,
    seed: int = 0,
    until: int | None = None,
) -> StudyAnswers:
    """right: share of right verdicts. until: where the last reader stopped."""
    random = np.random.default_rng(seed)
    truth = {row.item: row.truth for row in key.rows}
    people, answers = [], []
    for number in range(readers):
        order = reading_order(study, number)
        shown = order[:until] if number == readers - 1 else order
        people.append(
            Reader(
                reader=f"r{number}", profession=f"Head of Nowhere Clinic {number}", specialty="thorax", years=number,
                presentations=len(order), finished=len(shown) == len(order),
            )
        )  # fmt: skip
        for position, one in enumerate(shown):
            real = (truth[one.item] == "real") == (random.random() < right)
            confidence = int(random.integers(1, 6))
            seen = bool(study.design.ask_tumour and real)
            answers.append(
                Answer(
                    reader=f"r{number}", item=one.item, part=one.part, position=position,
                    rating=5 + confidence if real else 6 - confidence,
                    verdict=("real" if real else "synthetic") if study.design.ask_verdict else None,
                    confidence=confidence if study.design.ask_verdict else None,
                    tumour_seen=seen if study.design.ask_tumour else None,
                    tumour_x=0.4 if seen else None, tumour_y=0.6 if seen else None, conspicuity=3 if seen else None,
                    seconds=float(random.uniform(4, 9)), answered_at=START + timedelta(seconds=8 * position),
                )
            )  # fmt: skip
    return StudyAnswers(
        study=study.design.name, version=study.version, readers=tuple(people), answers=tuple(answers)
    )
