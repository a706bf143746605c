"""The section `source` of a dataset: where its images come from. Each provider defines its own fields.

In: the name of a provider (`kind: idc`). Out: the model of its section. A provider is a folder of chestgan_core/sources
with a module `source.py`. It is found by the name of the folder, so a new one needs no line here (docs/extend.md).
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from chestgan_core.config.yaml_models import Section


class SourceConfig(Section):
    """What the sections of all providers have in common. kind: a Literal, the name of the provider's folder.

    dicom: the source has DICOM series in Hounsfield units; otherwise images (PNG, JPEG) with grey levels from 0 to 255.
    generated: the files are made on this machine, show nobody, and can be made again with the same content.
    """

    dicom: ClassVar[bool] = True
    generated: ClassVar[bool] = False
    kind: str

    @property
    def access(self) -> str:
        """How others get the same images, for cards. Names no path and no machine."""
        return f"source of kind {self.kind}"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that name where files lie; none need be set."""
        return ()


def provider(kind: str) -> ModuleType:
    """The module of a provider.

    It has `CONFIG`, the class of its section, and `SOURCE`, which makes a Source (sources/source.py) of
    (section, dataset, local folder).
    """
    return importlib.import_module(f"chestgan_core.sources.{kind}.source")


def source_kinds() -> tuple[str, ...]:
    """The names of all providers, sorted."""
    folders = importlib.import_module("chestgan_core.sources").__path__
    return tuple(sorted(file.parent.name for folder in folders for file in Path(folder).glob("*/source.py")))


def source_configs() -> tuple[type[SourceConfig], ...]:
    """The sections of all providers, sorted by name."""
    return tuple(provider(kind).CONFIG for kind in source_kinds())
