"""Addresses of pages of the Dagster UI, where the settings say where it is.

In: the address of the UI, and names of assets, partitions and runs. Out: text -> address; empty without an address.
"""

from urllib.parse import quote

from chestgan_portal.pages.languages import _


def run_page(pipeline: str, run: str) -> dict[str, str]:
    """The page of a run."""
    return {_("Run in Dagster"): f"{pipeline}/runs/{quote(run, safe='')}"} if pipeline and run else {}


def asset_page(pipeline: str, asset: str, partition: str = "") -> dict[str, str]:
    """What was reported about an asset, or one partition of it."""
    if not pipeline:
        return {}
    address = f"{pipeline}/assets/{quote(asset, safe='')}?view=events"
    return {_("Asset in Dagster"): address + (f"&partition={quote(partition, safe='')}" if partition else "")}
