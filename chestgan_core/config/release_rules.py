"""The release gate of an experiment: what a report must show before a set is published.

In: the section `release` of its YAML file. Out: frozen, validated rules, and what each of them says. Imports nothing
heavy.
"""

from typing import Annotated

from pydantic import Field

from chestgan_core.config.training_plan import Fraction
from chestgan_core.config.yaml_models import Section

MIN_MEMORIZATION_PATIENTS = 5  # held out; of fewer, how near they are to those trained on is chance
MIN_ATTACK_PATIENTS = 5  # on each side


class ReleaseRules(Section):
    """The release gate: what a report must show before a set is published (evaluation/scoring/gate.py). null turns a
    rule off.

    max_kid_above_floor: maximum of KID x 1000 minus that between real patients (the floor). min_coverage_of_floor:
    minimum of the coverage, as a fraction of that between real patients. min_diversity_of_real: minimum of two
    ratios to real images: of the mean distance between two images, and of the median distance to the nearest other one.
    max_memorized_above_floor: maximum of the fraction of images that are nearer to a training image than to a held-out
    one, minus that of real images of other patients, on a scale on which the latter is one half; copies are a half
    above it; asked for from MIN_MEMORIZATION_PATIENTS held-out patients on.
    max_attack_auc: maximum AUC by patient of the best membership attack, at the lower end of its interval; 0.5 is
    chance; asked for from MIN_ATTACK_PATIENTS patients on each side on. grey_levels: maximum Kolmogorov-Smirnov
    distance between the values of synthetic and real images. Of experiments that place tumours:
    min_placement_of_ceiling: minimum of the fraction of asked tumours that a detector finds, divided by that of real
    tumours. min_detection_utility_of_ceiling: minimum of the average precision of a detector that was trained on
    synthetic images, divided by that of one trained on as many real images.
    """

    max_kid_above_floor: Annotated[float, Field(ge=0)] | None = 300.0
    min_coverage_of_floor: Annotated[float, Field(ge=0)] | None = 0.1
    min_diversity_of_real: Annotated[float, Field(ge=0)] | None = 0.7
    max_memorized_above_floor: Fraction | None = 0.3
    max_attack_auc: Annotated[float, Field(ge=0.5, le=1)] | None = 0.6
    grey_levels: Fraction | None = 0.3
    min_placement_of_ceiling: Annotated[float, Field(ge=0)] | None = 0.5
    min_detection_utility_of_ceiling: Annotated[float, Field(ge=0)] | None = 0.5
