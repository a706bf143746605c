"""A dataset: one YAML file with the source of its images, the rules that select series and slices, and its licence.

In: a name (a file `<name>.yaml` shipped in chestgan_core/config/datasets or put into $CHESTGAN_DATASETS). Out: a
frozen, validated Dataset. The name is a partition key and a part of store keys.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias, Union

from pydantic import Field, field_validator, model_validator

from chestgan_core.config.annotation_config import AnyAnnotations, checked_pattern
from chestgan_core.config.names import dataset_files
from chestgan_core.config.source_config import SourceConfig, source_configs
from chestgan_core.config.yaml_models import Section, read_fields, validated
from chestgan_core.errors import BadInput, UnknownName, nearest
from chestgan_core.reasons import Synthetic
from chestgan_core.store.keys import checked_name

if TYPE_CHECKING:
    AnySource: TypeAlias = SourceConfig
else:
    # The section of any provider there is; its field `kind` decides which.
    AnySource = Annotated[Union[source_configs()], Field(discriminator="kind")]  # noqa: UP007

ImageKind: TypeAlias = Literal["real", "phantom"]


class SeriesRules(Section):
    """Which series are selected. Empty lists allow everything; a rule about a field that a source does not have
    excludes nothing.

    include_description, exclude_description: regular expressions, searched in the descriptions of the series and of its
    study, with white space reduced to single spaces and case ignored (`(?-i:Chest)` respects it); a series must match
    one of the first and none of the second. kernel: family of the reconstruction kernel (kernels.py); an unknown family
    is allowed. series_per_patient: all that are left, or per patient the smallest, with the fewest images.
    exclude_patients, exclude_series: names of the catalog, which are pseudonyms where the dataset is private.
    """

    modality: tuple[str, ...] = ("CT",)
    sop_class: tuple[str, ...] = ()
    photometric: tuple[str, ...] = ()
    min_images: Annotated[int, Field(ge=1)] = 1
    max_images: Annotated[int, Field(ge=1)] | None = None
    include_description: tuple[str, ...] = ()
    exclude_description: tuple[str, ...] = ()
    kernel: Literal["any", "soft", "lung"] = "any"
    series_per_patient: Literal["all", "smallest"] = "all"
    exclude_patients: tuple[str, ...] = ()
    exclude_series: tuple[str, ...] = ()

    @field_validator("include_description", "exclude_description")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(checked_pattern, patterns))


class ReferenceRules(Section):
    """Selection by reference slices (slices/reference_selection.py; docs/selection.md has measured numbers).

    path_variable: the environment variable that names the folder with `keep/` and `discard/`: images or DICOM slices. A
    slice is selected if it is nearer to one in keep/ than to all in discard/. max_distance: to the nearest in keep/;
    required without a discard/. network: measures the distance; a threshold holds for one network only. min_psnr,
    discard_psnr (dB): minimum of the best PSNR to keep/, and the value that the best PSNR to discard/ must be below.
    """

    path_variable: str
    network: Literal["efficientnet-lite0", "lpips-alex"] = "efficientnet-lite0"
    max_distance: Annotated[float, Field(gt=0)] | None = None
    min_psnr: float | None = None
    discard_psnr: float | None = None


class TrainingSetRules(Section):
    """Which slices of a dataset are in its training set.

    slices: lung: those that show lung; tumour: those with a tumour box; all. selector: anatomical decides by the area
    of lung; reference by the similarity to reference slices (as the thesis system did), see `reference`.
    max_slices_per_patient: evenly spaced over the patient's slices. balance: with `classes`, no class has more training
    slices than the smallest one. held_out_fraction: fraction of the patients.
    missing_patient_ids: of DICOM files without a PatientID each study counts as one patient; by_study says that no
    person has two studies, otherwise no training set is made of them.
    """

    slices: Literal["lung", "tumour", "all"] = "lung"
    selector: Literal["anatomical", "reference"] = "anatomical"
    reference: ReferenceRules | None = None
    max_slices_per_patient: Annotated[int, Field(ge=1)] | None = None
    balance: Literal["none", "classes"] = "none"
    held_out_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    missing_patient_ids: Literal["refuse", "by_study"] = "refuse"

    @model_validator(mode="after")
    def _has_references(self) -> Self:
        if self.selector == "reference" and self.reference is None:
            raise ValueError("the reference selector needs the section `reference`")
        if self.selector == "reference" and self.slices != "lung":
            raise ValueError(
                f"the reference selector decides which slices show lung, and slices is {self.slices}"
            )
        return self


class Dataset(Section):
    """One dataset. title: its name in reports. slice_size: pixels per side of the normalized slices.

    image_kind: the word for its images and patients in reports; a phantom is neither real nor CT. private: patient and
    series identifiers are replaced by keyed hashes before they become keys or rows, and files that still name a person
    are refused. accepted_findings: findings of the de-identification audit that the owner has checked and accepts.
    limits: what is known to be wrong with the collection, or missing from it: sentences, which every card repeats.
    synthetic: what is done with objects that are flagged synthetic, and with images of a synthetic set. By default no
    generator is trained on what a generator made.
    """

    name: str
    title: str
    image_kind: ImageKind
    licence: str
    citation: str = ""
    doi: str = ""
    source: AnySource
    private: bool
    slice_size: Annotated[int, Field(ge=8, le=1024)]
    selection: SeriesRules = SeriesRules()
    annotations: tuple[AnyAnnotations, ...] = ()
    training_set: TrainingSetRules = TrainingSetRules()
    accepted_findings: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    synthetic: Synthetic = "refuse"

    @field_validator("name")
    @classmethod
    def _is_a_key(cls, name: str) -> str:
        try:
            return checked_name(name)
        except BadInput as error:
            raise ValueError(str(error)) from error

    @property
    def has_hounsfield(self) -> bool:
        """Whether its slices are DICOM in Hounsfield units; otherwise they are images, grey 0 to 255."""
        return self.source.dicom


def dataset_named(name: str) -> Dataset:
    """Load a dataset by its name.

    Args:
        name: Of a file in chestgan_core/config/datasets or in $CHESTGAN_DATASETS, without `.yaml`.

    Returns:
        The dataset, frozen and validated.

    Raises:
        UnknownName: There is no such dataset; names the nearest ones.
        BadInput: The file is not YAML (line), or a field is wrong (line, field, cause).

    Examples:
        >>> from chestgan_core.config.dataset import dataset_named
        >>> phantom = dataset_named("phantom")
        >>> phantom.slice_size, phantom.has_hounsfield  # pixels per side; slices in HU
        (64, True)
    """
    files = dataset_files()
    if name not in files:
        raise UnknownName(name, "is not a known dataset", nearest(name, files))
    return load_dataset(files[name])


def load_dataset(path: Path) -> Dataset:
    """The dataset in a YAML file; its name is that of the file. Raises BadInput."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise BadInput(
            path, f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error
    return _load(path, changed)


@cache
def _load(path: Path, changed: int) -> Dataset:
    return validated(Dataset, read_fields(path, "datasets", BadInput), "dataset", BadInput, name=path.stem)
