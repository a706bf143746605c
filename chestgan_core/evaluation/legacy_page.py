"""The thesis' scores as blocks of a page."""

from collections.abc import Mapping
from typing import Any

from chestgan_core.documents.blocks import Block, Facts


def legacy_blocks(legacy: Mapping[str, Any]) -> list[Block]:
    """legacy: the report's `legacy`."""
    return [Facts(tuple((name, str(value)) for name, value in legacy.items()))]
