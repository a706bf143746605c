"""The section `annotations` of a dataset: where its tumours are drawn, by kind of file.

In: fields of YAML. Out: one frozen model per kind.
"""

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from chestgan_core.config.yaml_models import Section

TUMOUR_NAMES = (
    r"gtv",
    r"tumou?r",
    r"neoplasm",
    r"carcinoma",
    r"cancer",
    r"nodule",
    r"lesion",
    r"\bmass(es)?\b",
)
"""Regions that are tumours, by what people call them."""

OTHER_NAMES = (
    r"gtv[ _.-]*n(\b|[ _.-]|\d|od(e|al))",  # GTVn, GTV-N1, GTV node; not GTV nodule
    r"\bnod(e|es|al)\b|lymph|\bln\b|_ln\b|\bln_",
    r"itv|igtv|ctv|ptv|\bring\b|\bexp",  # where it moves, or may grow; not where it is on a slice
    r"lungs?\W*_?(minus|less|excl\w*|sub|no|without)?\W*_?i?gtv",  # the lungs without the tumour
    r"mediastin|brain|liver|hepat|adrenal|bone|spine|vertebra|kidney|renal|pancrea|oesophag|esophag|pleura|pericard",
    r"necros|oedema|edema|atelectas",
)
"""Regions that are no tumour in a lung, whatever else their name says."""


def checked_pattern(pattern: str) -> str:
    """A regular expression. Raises ValueError: it is none."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a valid regular expression ({error})") from error
    return pattern


class FoundFiles(Section):
    """Files that lie in the folder or zip that an environment variable names. Where it is not set or not given, they
    lie among the files of the source, if that is of kind folder.
    """

    path_variable: str = ""


class StructuredReports(FoundFiles):
    """Tumour boxes from DICOM structured reports: those of an analysis result of the Imaging Data Commons; without
    `analysis`, those that lie among the files of the source.
    """

    kind: Literal["sr"]
    analysis: str = ""


class VocFiles(FoundFiles):
    """Tumour boxes from PASCAL VOC files, each named after its slice."""

    kind: Literal["voc"]


class NamedRegions(FoundFiles):
    """Regions by their names: regular expressions, searched with case ignored. A tumour matches one of `include` and
    none of `exclude`.
    """

    include: tuple[str, ...] = TUMOUR_NAMES
    exclude: tuple[str, ...] = OTHER_NAMES

    @field_validator("include", "exclude")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(checked_pattern, patterns))

    def named(self, *names: str) -> bool:
        """Whether one of the names is that of a tumour, and none that of something else."""
        return any(self._found(self.include, name) for name in names) and not self.named_otherwise(*names)

    def named_otherwise(self, *names: str) -> bool:
        """Whether a name is that of something else."""
        return any(self._found(self.exclude, name) for name in names)

    def _found(self, patterns: tuple[str, ...], name: str) -> bool:
        return any(re.search(pattern, name, re.IGNORECASE) for pattern in patterns)


class RtStructures(NamedRegions):
    """Contours of DICOM RTSTRUCT objects. types: the RTROIInterpretedType that a tumour may have. GTV alone does not
    do: some planning systems write ORGAN for everything, or nothing. A region of type GTV needs no name.
    """

    kind: Literal["rtstruct"]
    types: tuple[str, ...] = ("GTV", "ORGAN", "")


class Segmentations(NamedRegions):
    """Masks of DICOM segmentations: the names are label and type of a segment, and no anatomical structure is a tumour.
    automatic: what is done with segments that a program made alone (SegmentAlgorithmType AUTOMATIC).
    """

    kind: Literal["seg"]
    automatic: Literal["refuse", "accept"] = "refuse"


class LidcReadings(FoundFiles):
    """Outlines of several readers in the XML of LIDC-IDRI. readers: what is a tumour where they differ. union: what any
    of them drew; majority: what more than half of them drew; each: the outline of each reader, for itself.
    """

    kind: Literal["lidc"]
    readers: Literal["union", "majority", "each"] = "majority"


class PhantomTumours(Section):
    """Where the tumours of generated patients were painted; for a source of kind phantom."""

    kind: Literal["phantom"]


AnyAnnotations: TypeAlias = Annotated[
    StructuredReports | VocFiles | RtStructures | Segmentations | LidcReadings | PhantomTumours,
    Field(discriminator="kind"),
]
