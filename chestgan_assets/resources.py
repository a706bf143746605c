"""The resources of assets: the object store, and the machine that a step runs on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_core.local.home import home
from chestgan_core.local.scratch import scratch_folder

if TYPE_CHECKING:
    from chestgan_core.store.store import Store


class StoreResource(dg.ConfigurableResource["Store"]):
    """The object store. uri: s3://bucket/prefix; empty: $CHESTGAN_STORE.

    Endpoint and credentials come from the standard AWS chain and are never part of the configuration, which Dagster
    stores and shows.
    """

    uri: str = ""

    def open(self) -> "Store":
        """A store for the process that runs the step."""
        from chestgan_core.store.store import Store

        return Store.open(self.uri or None)


class MachineResource(dg.ConfigurableResource[None]):
    """The machine that a step runs on. device: auto, cpu, cuda, mps or xpu."""

    device: str = "auto"

    @property
    def home(self) -> Path:
        """The folder for what is not in the store: generated phantoms, the key of patient pseudonyms."""
        return home()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder that is deleted when the step ends."""
        with scratch_folder(self.home) as folder:
            yield folder
