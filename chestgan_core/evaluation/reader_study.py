"""What readers found, beside the numbers of a metric report: the block that a report has once its model was read.

In: the newest result of a reader study about a set (chestgan_core/reading writes it, which knows this module and not
the other way round). Out: ReaderStudyBlock for report.json, page and card. Imports nothing heavy.
"""

import logging
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.store import keys
from chestgan_core.store.artefacts import parse_typed
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)

REMEDY = "materialize reader_study_result again"
REALISM = "Realism is not diversity: read it beside coverage."
Unit: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=2**53)]
Text: TypeAlias = Annotated[str, Field(max_length=400)]
ToldApart: TypeAlias = Literal["yes", "not shown", "no, within the margin", "unknown"]


@dataclass(frozen=True)
class ReaderStudyBlock:
    """version: of the result. model_sha256: hex, of the generator whose images were read. readers: who count in the
    area. real_images, synthetic_images: which they judged. area: under the mean ROC curve, 0.5 is chance; area_ends,
    accuracy_ends: 95 % over readers and images. finding: one sentence.
    """

    study: Text
    title: Text
    version: Text
    set_name: Text
    set_version: Text
    model_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    readers: Count
    real_images: Count
    synthetic_images: Count
    area: Unit | None
    area_ends: tuple[Unit, Unit] | None
    accuracy: Unit | None
    accuracy_ends: tuple[Unit, Unit] | None
    told_apart: ToldApart
    finding: Text

    @property
    def area_in_words(self) -> str:
        """`0.65 (95% interval 0.51 to 0.78)`."""
        return _in_words(self.area, self.area_ends, "{:.2f}")

    @property
    def accuracy_in_words(self) -> str:
        """`62.9% (95% interval 51.5% to 73.3%)`."""
        return _in_words(self.accuracy, self.accuracy_ends, "{:.1%}")

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Names and values for a page."""
        return (
            ("finding", f"{self.finding}."),
            ("area under the ROC curve, 0.5 is chance", self.area_in_words),
            ("share of right verdicts, 50% is chance", self.accuracy_in_words),
            ("readers", str(self.readers)),
            ("images", f"{self.real_images} real, {self.synthetic_images} synthetic"),
            ("study", f"{self.title} ({self.study}, result {self.version})"),
            ("set", f"{self.set_name} {self.set_version}"),
        )

    def as_text(self) -> str:
        """One line for a terminal."""
        return f"reader study: AUC {self.area_in_words}, {self.readers} readers. {REALISM}"


@dataclass(frozen=True)
class _Manifest:
    summary: ReaderStudyBlock


def newest_reader_study(store: Store, set_name: str, model_sha256: str) -> ReaderStudyBlock | None:
    """The newest result about a set, if the images that were read come from this generator; None where there is none.

    A result that cannot be read is left out with a warning: it is no reason to have no report. Raises StoreError.
    """
    try:
        study, version = store.read_pointer(keys.reader_result_latest(set_name), "study", "version")
        block = read_summary(store, set_name, study, version)
    except NotInStore:
        return None
    except DamagedObject as error:
        log.warning("the reader study about %s is left out: %s", set_name, error)
        return None
    return block if block.model_sha256 == model_sha256 else None


def read_summary(store: Store, set_name: str, study: str, version: str) -> ReaderStudyBlock:
    """The block of one result. Raises NotInStore, DamagedObject, StoreError."""
    artefact = store.read_manifest(keys.reader_result_manifest(set_name, study, version))
    where = store.uri(artefact.manifest_key)
    return parse_typed(_Manifest, artefact.manifest, where, REMEDY, "the result of a reader study").summary


def _in_words(value: float | None, ends: tuple[float, float] | None, form: str) -> str:
    if value is None:
        return "none"
    interval = "" if ends is None else f" (95% interval {form.format(ends[0])} to {form.format(ends[1])})"
    return form.format(value) + interval
