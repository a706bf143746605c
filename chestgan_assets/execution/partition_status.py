"""The state of partitions that the UI shows, against their events.

In: an instance, assets. Out: partitions whose state was wrong; it is computed anew when it is next asked for.

Dagster keeps the state of all partitions of an asset, with the highest number of an event that it has seen, and adds
what has a higher one. On PostgreSQL an event has its number before others can see it: of two runs that write at once,
one may show its event when a later number was already seen. That event is never looked at again, and its partition
stays missing, or failed, in the UI, though it was made. Whatever asks the events or the store is right all the time.
"""

from collections.abc import Sequence

import dagster as dg

from chestgan_assets.execution.partition_runs import left_unmade


def mend_status(
    instance: dg.DagsterInstance, partitions_def: str, assets: Sequence[dg.AssetKey]
) -> dict[str, dg.AssetKey]:
    """Lets Dagster find out the state of an asset anew where it shows a partition that was made as missing or failed.

    partitions_def: name of the dynamic partitions. All keys are in memory at once. Returns partition key -> the first
    of the assets that was shown wrongly.
    """
    wrong: dict[str, dg.AssetKey] = {}
    partitions = dg.DynamicPartitionsDefinition(name=partitions_def)
    keys = instance.get_dynamic_partitions(partitions_def)
    for asset in assets:
        made = instance.get_materialized_partitions(asset).intersection(keys)
        # Asked for later than what was made: it knows at least as much, unless it is wrong.
        shown = instance.get_status_by_partition(asset, sorted(made), partitions) or {}
        states = {key: state.value if state else "" for key, state in shown.items()}
        of_asset = [key for key, state in states.items() if not state]
        failed = [key for key, state in states.items() if state == "FAILED"]
        of_asset += sorted(set(failed).difference(left_unmade(instance, asset, failed)))
        if of_asset:
            instance.wipe_asset_cached_status([asset])
            wrong = dict.fromkeys(of_asset, asset) | wrong
    return wrong
