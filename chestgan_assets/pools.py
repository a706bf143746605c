"""Limits of pools that differ from the one number which dagster.yaml gives all of them.

In: the instance. Out: a limit in its storage, which people change under Deployment > Concurrency or by
`dagster instance concurrency set`.
"""

import dagster as dg

from chestgan_assets.running import DOWNLOAD_POOL

DOWNLOADS = 2  # patients at once: one on the line while the other is checked and stored


def widen_download_pool(instance: dg.DagsterInstance) -> None:
    """Two patients at once, where nobody has set a limit."""
    storage = instance.event_log_storage
    if all(pool.name != DOWNLOAD_POOL or pool.from_default for pool in storage.get_pool_limits()):
        storage.set_concurrency_slots(DOWNLOAD_POOL, DOWNLOADS)
