"""Fixtures of the stand-in servers, for the tests of the sources."""

from tests.standins.fixtures import collection, datasets, home, idc, nbia, one_patient, route

__all__ = ["collection", "datasets", "home", "idc", "nbia", "one_patient", "route"]
