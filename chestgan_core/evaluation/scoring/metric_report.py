"""A metric report in memory: the payload of report.json, and the images and features behind its figures."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chestgan_core.evaluation.scoring.report_payload import ReportPayload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from chestgan_core.evaluation.scoring.attack_metrics import AttackCurves
    from chestgan_core.evaluation.scoring.closest import Closest
    from chestgan_core.evaluation.scoring.subject_metrics import SubjectPictures
    from chestgan_core.evaluation.scoring.tumours import TumourPictures
    from chestgan_core.metrics.feature_extractors import Extractor


@dataclass(frozen=True)
class Pictures:
    """What the figures show; not part of report.json. Roles are real, synthetic and other (other real patients).

    samples: role -> some images (k, 1, H, W), drawn by the seed. grey: role -> all compared images. features: role ->
    (n, d) of `extractor`, the first available one; {} without one. closest: the synthetic images most similar to a
    training image; None where no training images were given. tumours: of an experiment that places them. subjects:
    of one that is told positions. attacks: ROC curves of membership attacks, where some were run.
    further: synthetic images that were given and not compared.
    """

    samples: dict[str, "Tensor"]
    grey: dict[str, "Tensor"]
    features: "dict[str, NDArray[np.float32]]"
    extractor: "Extractor | None"
    closest: "Closest | None"
    tumours: "TumourPictures | None" = None
    subjects: "SubjectPictures | None" = None
    attacks: "tuple[AttackCurves, ...]" = ()
    further: "Tensor | None" = None


@dataclass(frozen=True, kw_only=True)
class MetricReport(ReportPayload):
    """The result of evaluate()."""

    pictures: Pictures = field(repr=False, compare=False)
