"""The result of a closed study, from the store.

In: a study whose analysis is done. Out: its artefact. Both administrators and, where it was released, readers see parts
of it; while a study is open there is none.
"""

from chestgan_core.errors import NotInStore
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Study


def result_artefact(store: Store, study: Study) -> Artefact:
    """Raises NotInStore: the study is not closed, or not analysed yet; other StoreErrors."""
    if study.state != "closed" or not study.result_version:
        raise NotInStore(f"study {study.name}", "has no result yet", "close it, and wait for its result")
    set_name = str(study.design["set_name"])
    return store.read_manifest(keys.reader_result_manifest(set_name, study.name, study.result_version))
