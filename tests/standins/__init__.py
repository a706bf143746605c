"""Servers on loopback that speak the protocols of the Imaging Data Commons and of NBIA, and fail on demand.

collection = StandInCollection(tmp_path / "collection", patients=3)
with idc_stand_in(collection, embedded, faults=Faults({series.uid: [Fault.BUSY]})) as server:
    collection.write_idc_dataset(tmp_path / "datasets", "stand_in", server.url)
with nbia_stand_in(collection) as server:
    collection.write_nbia_dataset(tmp_path / "datasets", "stand_in_nbia", server.url)
# CHESTGAN_DATASETS=<tmp_path>/datasets makes both known; server.log lists the requests.
"""

from tests.standins.collection import StandInCollection, StandInSeries
from tests.standins.faults import Fault, Faults
from tests.standins.idc import idc_stand_in, listing_of, publish
from tests.standins.nbia import nbia_stand_in
from tests.standins.server import StandInServer

__all__ = [
    "Fault",
    "Faults",
    "StandInCollection",
    "StandInSeries",
    "StandInServer",
    "idc_stand_in",
    "listing_of",
    "nbia_stand_in",
    "publish",
]
