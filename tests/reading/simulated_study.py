"""Studies with readers of known skill: design, key and answers, as a portal would leave them.

Scores are binormal with equal variances: each image looks more or less synthetic to everybody, images of one patient
alike, each reader has a skill of their own. A score is cut into ten steps, which give verdict and confidence.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from chestgan_core.reading.analysis.multireader import Scores, areas
from chestgan_core.reading.answers import Answer, Reader, StudyAnswers
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.study_key import Box, KeyRow, StudyKey

CUTS = np.linspace(-1.5, 2.5, 9)
WARM_UP = 6


@dataclass(frozen=True)
class Skill:
    """separation: of the mean scores, in standard deviations. spread: of it between readers. shared: part of the
    variance of a score that all readers share.
    """

    separation: float
    spread: float = 0.3
    shared: float = 0.4

    @property
    def area(self) -> float:
        """The expected area of the scores in ten steps, over all readers and images there could be."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        real = _steps(0.0)
        found = [areas(_steps(self.separation + self.spread * node), real) for node in nodes]
        return float(np.average(found, weights=weights))


def _steps(mean: float) -> NDArray[np.float64]:
    """How often each of the ten steps is given."""
    below = [0.5 * (1 + math.erf((cut - mean) / math.sqrt(2))) for cut in CUTS]
    return np.diff([0.0, *below, 1.0])


def simulated_scores(
    seed: int, skill: Skill, readers: int = 6, patients: int = 20, per_patient: int = 3, synthetic: int = 60
) -> Scores:
    """Steps from 0 to 9 of every reader for every image."""
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), per_patient)
    half = math.sqrt(skill.shared / 2)
    real = half * random.standard_normal(patients)[patient] + half * random.standard_normal(len(patient))
    shared = np.concatenate([real, math.sqrt(skill.shared) * random.standard_normal(synthetic)])
    side = np.arange(len(shared)) >= len(patient)
    own = math.sqrt(1 - skill.shared) * random.standard_normal((readers, len(shared)))
    separation = skill.separation + skill.spread * random.standard_normal(readers)
    values = np.digitize(shared + own + separation[:, None] * side, CUTS)
    return Scores(values, side, np.concatenate([patient, patients + np.arange(synthetic)]), 10)


def simulated_study(
    seed: int = 0,
    skill: Skill = Skill(0.5),
    readers: int = 6,
    patients: int = 10,
    per_patient: int = 4,
    repeats: int = 8,
    tumours: bool = False,
) -> tuple[StudyDesign, StudyKey, StudyAnswers]:
    """As many synthetic images as real ones; classes A and G; levels from base to apex; every reader finished.

    Readers become faster: from 12 to 6 seconds. With tumours, the first image of each patient has a box, and readers
    click into its centre.
    """
    images = patients * per_patient
    scores = simulated_scores(seed, skill, readers, patients, per_patient, images)
    random = np.random.default_rng(seed + 1)
    design = StudyDesign(
        name="simulated", title="A simulated study", set_name="demo", set_version="0123456789abcdef",
        images_per_side=images, repeats=repeats / (2 * images), warm_up=WARM_UP, ask_tumour=tumours,
    )  # fmt: skip
    # Images come in no order that would tell.
    number = random.permutation(2 * images) + WARM_UP
    box = Box(left=0.4, top=0.2, right=0.6, bottom=0.4)
    rows = [
        KeyRow(item=item, truth="real" if item % 2 else "synthetic", warm_up=True) for item in range(WARM_UP)
    ]
    for at, item in enumerate(number.tolist()):
        real = not scores.synthetic[at]
        rows.append(
            KeyRow(
                item=item,
                truth="real" if real else "synthetic",
                image_class="A" if at % 2 else "G",
                patient=int(scores.units[at]) + 1 if real else None,
                level=(at % per_patient) / max(per_patient - 1, 1) if real else None,
                boxes=(box,) if tumours and real and at % per_patient == 0 else (),
            )
        )
    key = StudyKey(
        study=design.name, version="fedcba9876543210", rows=tuple(sorted(rows, key=lambda row: row.item))
    )
    boxed = {row.item for row in rows if row.boxes}
    start = datetime(2026, 1, 1, 9, tzinfo=UTC)
    people, answers = [], []
    showings = WARM_UP + 2 * images + repeats
    for reader in range(readers):
        name = f"r{reader:03d}"
        people.append(
            Reader(
                reader=name,
                profession="radiologist" if reader % 2 else "student",
                specialty="",
                years=reader,
                presentations=showings,
                finished=True,
            )
        )
        order = random.permutation(2 * images).tolist()
        shown = [(item, "warm-up", 5) for item in range(WARM_UP)]
        shown += [(int(number[at]), "main", int(scores.values[reader, at])) for at in order]
        shown += [(int(number[at]), "repeat", int(scores.values[reader, at])) for at in order[:repeats]]
        for position, (item, part, step) in enumerate(shown):
            seen = tumours and item in boxed
            answers.append(
                Answer(
                    reader=name,
                    item=item,
                    part=part,
                    position=position,
                    rating=10 - step,
                    verdict="synthetic" if step >= 5 else "real",
                    confidence=step - 4 if step >= 5 else 5 - step,
                    tumour_seen=seen if tumours else None,
                    tumour_x=0.5 if seen else None,
                    tumour_y=0.3 if seen else None,
                    conspicuity=4 if seen else None,
                    seconds=round(12 - 6 * position / showings, 2),
                    answered_at=start + timedelta(minutes=position),
                )
            )
    return (
        design,
        key,
        StudyAnswers(study=design.name, version=key.version, readers=tuple(people), answers=tuple(answers)),
    )
