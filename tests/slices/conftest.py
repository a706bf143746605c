"""Fixtures of the stand-in servers, for the tests of many patients that are downloaded."""

from tests.standins.fixtures import datasets, home, idc, one_patient

__all__ = ["datasets", "home", "idc", "one_patient"]
