"""Lists and zips of NBIA, served by a stand-in."""

import zipfile
from pathlib import Path

import pytest

from chestgan_core.errors import SourceRefused
from chestgan_core.sources.nbia.client import NbiaClient
from tests.standins import Fault, Faults, StandInCollection, StandInSeries, nbia_stand_in

pytestmark = pytest.mark.usefixtures("datasets")


@pytest.fixture
def series(collection: StandInCollection) -> StandInSeries:
    return collection.chest_series()[0]


def test_the_series_of_a_collection_are_listed_as_the_server_returns_them(
    collection: StandInCollection, series: StandInSeries
) -> None:
    with nbia_stand_in(collection) as server:
        client = NbiaClient(server.url)
        rows = client.series(collection.nbia_name)
        assert client.size(series.uid) == (series.bytes, len(series.files))
        assert client.size("1.2.3") == (0, 0)
        with pytest.raises(SourceRefused, match=r"collection Lung: .*lists no series of it"):
            client.series("Lung")
    assert {row["SeriesInstanceUID"]: row["ImageCount"] for row in rows} == {
        one.uid: len(one.files) for one in collection.series
    }


def test_a_zip_arrives_complete_despite_temporary_failures(
    collection: StandInCollection, series: StandInSeries, tmp_path: Path
) -> None:
    faults = [Fault.BUSY, Fault.RESET, Fault.FAILED, Fault.TRUNCATED, Fault.SLOW]
    with nbia_stand_in(collection, Faults({series.uid: faults})) as server:
        NbiaClient(server.url).fetch(series.uid, tmp_path / "series.zip", len(series.files))
    with zipfile.ZipFile(tmp_path / "series.zip") as archive:
        delivered = [archive.read(name) for name in archive.namelist() if name.endswith(".dcm")]
    assert delivered == [path.read_bytes() for _, path in series.objects()]
    assert not server.header_names & {"authorization", "api_key", "cookie"}


@pytest.mark.parametrize("fault", [Fault.WRONG_MD5, Fault.BROKEN_ARCHIVE, Fault.UNFINISHED])
def test_a_damaged_zip_is_fetched_once_more_and_then_refused(
    collection: StandInCollection, series: StandInSeries, tmp_path: Path, fault: Fault
) -> None:
    path = tmp_path / "series.zip"
    with nbia_stand_in(collection, Faults({series.uid: [fault]})) as server:
        NbiaClient(server.url).fetch(series.uid, path)
        assert server.count(series.uid) == 2
    path.unlink()
    with (
        nbia_stand_in(collection, Faults(always={series.uid: fault})) as server,
        pytest.raises(
            SourceRefused,
            match=f"series {series.uid}: .*zip.*also when fetched again; .*exclude_series",
        ),
    ):
        NbiaClient(server.url).fetch(series.uid, path)
    assert server.count(series.uid) == 2
    assert not list(tmp_path.glob("*.zip"))


def test_a_zip_with_fewer_files_than_the_catalog_lists_is_refused(
    collection: StandInCollection, series: StandInSeries, tmp_path: Path
) -> None:
    with nbia_stand_in(collection) as server, pytest.raises(SourceRefused, match="holds 12 of 13 files"):
        NbiaClient(server.url).fetch(series.uid, tmp_path / "series.zip", images=13)


@pytest.mark.parametrize("fault", [Fault.GONE, None])
def test_a_series_that_the_server_does_not_have_is_named(
    collection: StandInCollection, series: StandInSeries, tmp_path: Path, fault: Fault | None
) -> None:
    uid = series.uid if fault else "1.2.3"
    faults = Faults(always={series.uid: Fault.GONE})
    with nbia_stand_in(collection, faults) as server, pytest.raises(SourceRefused, match=f"series {uid}: "):
        NbiaClient(server.url).fetch(uid, tmp_path / "series.zip")
    assert len(server.log) == 1
