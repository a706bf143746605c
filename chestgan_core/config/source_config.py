"""The section `source` of a dataset: where its images come from. Each provider describes its own.

In: the name of a provider (`kind: idc`). Out: the model of its section. A provider is a folder of chestgan_core/sources
with a module `source.py`, found by its name, so that a new one needs no line here (docs/extend.md).
"""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from chestgan_core.config.yaml_models import Section

PROVIDERS = Path(__file__).parent.parent / "sources"


class SourceConfig(Section):
    """What every provider's section has. kind: a Literal, the name of the provider's folder.

    pictures: the source has pictures (PNG, JPEG) with grey levels, not DICOM series in Hounsfield units.
    generated: the files are made on this machine and can be made again; nothing of them is real.
    """

    pictures: ClassVar[bool] = False
    generated: ClassVar[bool] = False
    kind: str

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that name where files lie; none need be set."""
        return ()


@cache
def provider(kind: str) -> Any:
    """The module of a provider: `CONFIG`, the class of its section, and `SOURCE`, its Source (sources/source.py)."""
    return importlib.import_module(f"chestgan_core.sources.{kind}.source")


def source_configs() -> tuple[type[SourceConfig], ...]:
    """The section of every provider, sorted by name."""
    kinds = sorted(module.name for module in pkgutil.iter_modules([str(PROVIDERS)]) if module.ispkg)
    return tuple(provider(kind).CONFIG for kind in kinds if (PROVIDERS / kind / "source.py").is_file())
