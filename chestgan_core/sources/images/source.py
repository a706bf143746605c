"""Pictures in class folders as a source. They are collected whole (collection.py), not series by series."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from chestgan_core.config.source_config import SourceConfig
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import path_from_environment

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.series_rows import Catalog, SeriesRow


class ImagesConfig(SourceConfig):
    """Pictures in class folders (`<split>/<class>/<name>`), from a folder or zip that an environment variable names,
    or from Kaggle where there are credentials.

    class_name: regular expression whose group 1 of a folder's name is the class; the whole name where there is none.
    patient_name: regular expression whose first group that matched of a file's name is the patient; without one each
    picture stands for a patient of its own. splits: folder -> train or held-out; empty: split by patient.
    """

    pictures: ClassVar[bool] = True
    kind: Literal["images"]
    path_variable: str
    kaggle: str = ""
    class_name: str = ""
    patient_name: str = ""
    splits: dict[str, Literal["train", "held-out"]] = Field(default_factory=dict)
    kaggle_endpoint: str = "https://www.kaggle.com/api/v1"

    @field_validator("class_name", "patient_name")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a valid regular expression ({error})") from error
        return pattern

    @property
    def variables(self) -> tuple[str, ...]:
        """The one that names the folder or zip."""
        return (self.path_variable,)

    def named_folder(self) -> Path:
        """The folder or zip that the variable names. Raises BadInput."""
        return path_from_environment(self.path_variable, "the folder or zip of the pictures")


class ImagesSource:
    """Implements Source: it has no series, and says so. `folder` is what collection.py reads."""

    remote = False

    def __init__(self, dataset: "Dataset", home: Path) -> None:
        assert isinstance(dataset.source, ImagesConfig)  # noqa: S101 (for the type checker: its own kind)
        self._dataset, self._config, self._home = dataset, dataset.source, home

    def list_series(self) -> "Catalog":
        """Raises BadInput."""
        raise no_series(self._dataset.name)

    def series_files(
        self, row: "SeriesRow", spool: Path, progress: "DownloadProgress"
    ) -> Iterator[tuple[str, IO[bytes]]]:
        """Raises BadInput."""
        raise no_series(self._dataset.name)

    def folder(self) -> Path:
        """The folder or zip of the pictures, downloaded from Kaggle where no variable names one.

        Raises BadInput (no folder and no credentials), SourceUnreachable, SourceRefused.
        """
        from chestgan_core.sources.images.kaggle import CREDENTIALS, fetch_kaggle, find_credentials

        config = self._config
        if os.environ.get(config.path_variable):
            return config.named_folder()
        if not config.kaggle:
            remedy = f"set it to the folder or zip of {self._dataset.title}"
            raise BadInput(config.path_variable, "is not set", remedy)
        if credentials := find_credentials():
            return fetch_kaggle(config, credentials, self._home)
        cause = "is not set, and there are no Kaggle credentials"
        remedy = f"set it to the folder or zip of {config.kaggle}, or set {CREDENTIALS} to download it"
        raise BadInput(config.path_variable, cause, remedy)


def no_series(dataset_name: str) -> BadInput:
    """What to say of a dataset that has pictures where series are wanted."""
    return BadInput(
        dataset_name, "consists of pictures, not of DICOM series", "materialize raw_images instead"
    )


CONFIG, SOURCE = ImagesConfig, ImagesSource
