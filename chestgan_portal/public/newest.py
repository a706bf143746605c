"""The newest of each kind of result, by the pointers of the store.

What cannot be read is left out and logged: one damaged report does not take the page away.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.store import keys
from chestgan_core.store.store import Store

Found = TypeVar("Found")

log = logging.getLogger(__name__)


def names_below(store: Store, prefix: str) -> list[str]:
    """The names that have a pointer below a prefix: `architecture` of comparisons/architecture/latest.json."""
    found = [item.key.removeprefix(prefix).split("/") for item in store.list(prefix)]
    return [parts[0] for parts in found if len(parts) == 2 and parts[1] == keys.POINTER]


def readable(names: list[str], read: Callable[[str], Found]) -> list[Found]:
    """What can be read of each name; what is damaged is logged and left out."""
    found = []
    for name in names:
        try:
            found.append(read(name))
        except (DamagedObject, NotInStore, BadInput) as error:
            log.warning("not shown among the results: %s", error)
    return found
