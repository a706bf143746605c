"""Images (PNG, JPEG, ...) in class folders as a source. collection.py collects them as a whole, not by series."""

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator

from chestgan_core.config.annotation_config import checked_pattern
from chestgan_core.config.labels import comparable, normal_form
from chestgan_core.config.source_config import SourceConfig
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import path_from_environment
from chestgan_core.sources.source import SeriesFiles, Source

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.series_rows import Catalog, SeriesRow

Side: TypeAlias = Literal["train", "held-out"]


class ImagesConfig(SourceConfig):
    """Images in class folders (`<split>/<class>/<name>`), from a folder or zip that an environment variable names, or
    from Kaggle where there are credentials.

    class_name: regular expression whose group 1, found in the name of a folder, is the class; empty: the whole name.
    patient_name: regular expression whose first group that matches, in the name of a file, is the patient; empty: each
    image counts as a patient of its own. include_paths: regular expressions, searched in the path of a file below the
    folder or zip with case ignored; a file must match one of them, and others are not opened; empty: all are. splits:
    folder -> train or held-out; empty: split by patient. kaggle: owner/dataset.
    """

    dicom: ClassVar[bool] = False
    kind: Literal["images"]
    path_variable: str
    kaggle: str = ""
    class_name: str = ""
    patient_name: str = ""
    include_paths: tuple[str, ...] = ()
    splits: dict[str, Side] = Field(default_factory=dict)
    kaggle_endpoint: str = "https://www.kaggle.com/api/v1"

    @property
    def access(self) -> str:
        """Kaggle, or nobody but the owner."""
        if self.kaggle:
            return f"Kaggle, {self.kaggle}, with an account"
        return "files of their owner; whoever wants them asks the owner"

    @field_validator("class_name", "patient_name")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return checked_pattern(unicodedata.normalize("NFC", pattern))  # as the names that it is looked for in

    @field_validator("include_paths")
    @classmethod
    def _all_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_pattern(unicodedata.normalize("NFC", pattern)) for pattern in patterns)

    @field_validator("splits")
    @classmethod
    def _names_each_folder_once(cls, splits: dict[str, Side]) -> dict[str, Side]:
        named = {normal_form(folder): side for folder, side in splits.items()}
        if len({comparable(folder) for folder in named}) < len(splits):
            raise ValueError("two folders differ in blanks, accents' encoding, or upper and lower case only")
        return named

    @property
    def variables(self) -> tuple[str, ...]:
        """The one that names the folder or zip."""
        return (self.path_variable,)

    def named_folder(self) -> Path:
        """The folder or zip that the variable names. Raises BadInput."""
        return path_from_environment(self.path_variable, "the folder or zip of the images")


def images_folder(config: ImagesConfig, dataset: "Dataset", home: Path) -> Path:
    """The folder or zip of the images, downloaded from Kaggle where no variable names one.

    Raises BadInput (no folder and no credentials), SourceUnreachable, SourceRefused.
    """
    from chestgan_core.sources.images.kaggle import CREDENTIALS, fetch_kaggle, find_credentials

    if os.environ.get(config.path_variable):
        return config.named_folder()
    if not config.kaggle:
        raise BadInput(config.path_variable, "is not set", f"set it to the folder or zip of {dataset.title}")
    if credentials := find_credentials():
        return fetch_kaggle(config, credentials, home)
    cause = "is not set, and there are no Kaggle credentials"
    remedy = f"set it to the folder or zip of {config.kaggle}, or set {CREDENTIALS} to download it"
    raise BadInput(config.path_variable, cause, remedy)


class ImagesSource(Source):
    """Has no series: both methods raise BadInput."""

    remote = False

    def __init__(self, config: ImagesConfig, dataset: "Dataset", home: Path) -> None:
        self._dataset = dataset

    def list_series(self) -> "Catalog":
        """Raises BadInput."""
        raise no_series(self._dataset.name)

    def series_files(self, row: "SeriesRow", spool: Path, progress: "DownloadProgress") -> SeriesFiles:
        """Raises BadInput."""
        raise no_series(self._dataset.name)


def no_series(dataset_name: str) -> BadInput:
    """The error for a dataset of images where DICOM series are required."""
    return BadInput(dataset_name, "consists of images, not of DICOM series", "materialize raw_images instead")


CONFIG, SOURCE = ImagesConfig, ImagesSource
