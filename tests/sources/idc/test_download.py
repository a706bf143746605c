"""Series from the bucket of the Imaging Data Commons, served by a stand-in."""

from pathlib import Path

import pytest

from chestgan_core.errors import SourceRefused, SourceUnreachable
from chestgan_core.sources.idc.download import fetch_series
from chestgan_core.sources.series_rows import SELECTED, SeriesRow
from chestgan_core.store.embedded import EmbeddedStore
from tests.standins import Fault, Faults, StandInCollection, StandInSeries, idc_stand_in, listing_of

pytestmark = pytest.mark.usefixtures("datasets")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def series(collection: StandInCollection) -> StandInSeries:
    return collection.chest_series()[0]


def row_of(series: StandInSeries, collection: StandInCollection, images: int = 0) -> SeriesRow:
    return SeriesRow(
        patient=series.patient,
        key=series.uid,
        images=images or len(series.files),
        bytes=series.bytes,
        revision=series.folder,
        location=f"s3://{collection.bucket}/{series.folder}/",
        status=SELECTED,
    )


def contents(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def of(series: StandInSeries) -> list[bytes]:
    return [path.read_bytes() for _, path in series.objects()]


def test_a_series_arrives_complete_despite_temporary_failures(
    collection: StandInCollection,
    series: StandInSeries,
    embedded: EmbeddedStore,
    files: Path,
) -> None:
    faults = Faults(
        {
            series.uid: [Fault.BUSY, Fault.RESET, Fault.TRUNCATED, Fault.FAILED, Fault.WRONG_MD5, Fault.SLOW],
            listing_of(series.uid): [Fault.BUSY, Fault.RESET, Fault.TRUNCATED],
        }
    )
    with idc_stand_in(collection, embedded, faults) as server:
        paths = fetch_series(row_of(series, collection), files, server.url)
    assert contents(paths) == of(series)
    assert faults.seen.total() == 9
    assert sorted(files.iterdir()) == paths


def test_the_keys_of_the_user_are_never_sent(
    collection: StandInCollection,
    series: StandInSeries,
    embedded: EmbeddedStore,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with idc_stand_in(collection, embedded) as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUSER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        monkeypatch.setenv("AWS_PROFILE", "of-another-machine")
        fetch_series(row_of(series, collection), files, server.url)
    assert not server.header_names & {"authorization", "x-amz-security-token", "cookie"}
    assert not [
        path for path in (request.path for request in server.log) if "AKIA" in path or "Signature" in path
    ]


def test_complete_files_are_kept_unless_they_are_damaged(
    collection: StandInCollection,
    series: StandInSeries,
    embedded: EmbeddedStore,
    files: Path,
) -> None:
    row = row_of(series, collection)
    with idc_stand_in(collection, embedded) as server:
        paths = fetch_series(row, files, server.url)
        paths[0].unlink()
        paths[1].write_bytes(paths[1].read_bytes()[::-1])
        (files / f".{paths[2].name}.0123.part").write_bytes(b"half of it")
        server.log.clear()
        assert contents(fetch_series(row, files, server.url)) == of(series)
        assert server.count(".dcm") == 2
    assert sorted(files.iterdir()) == paths


@pytest.mark.parametrize(("fault", "requests"), [(Fault.GONE, 1), (Fault.FORBIDDEN, 1), (Fault.WRONG_MD5, 2)])
def test_a_permanent_failure_names_the_series_and_is_not_retried(
    collection: StandInCollection,
    series: StandInSeries,
    embedded: EmbeddedStore,
    files: Path,
    fault: Fault,
    requests: int,
) -> None:
    with (
        idc_stand_in(collection, embedded, Faults(always={series.uid: fault})) as server,
        pytest.raises(SourceRefused, match=f"series {series.uid}: "),
    ):
        fetch_series(row_of(series, collection), files, server.url)
    first = series.objects()[0][0]
    assert server.count(first) == requests


def test_a_bucket_without_all_files_of_the_series_is_refused(
    collection: StandInCollection,
    series: StandInSeries,
    embedded: EmbeddedStore,
    files: Path,
) -> None:
    with idc_stand_in(collection, embedded) as server:
        with pytest.raises(
            SourceRefused, match=f"{series.uid}: the bucket holds 12 files, the index lists 13"
        ):
            fetch_series(row_of(series, collection, images=13), files, server.url)
        never = StandInSeries(series.uid, series.patient, series.files, series.header, revision=9)
        with pytest.raises(SourceRefused, match="holds 0 files"):
            fetch_series(row_of(never, collection), files, server.url)


def test_a_bucket_that_keeps_failing_is_given_up(
    collection: StandInCollection,
    series: StandInSeries,
    embedded: EmbeddedStore,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "0.6")
    faults = Faults(always={listing_of(series.uid): Fault.FAILED})
    with (
        idc_stand_in(collection, embedded, faults) as server,
        pytest.raises(SourceUnreachable, match=rf"series {series.uid}: the server failed \(503\)"),
    ):
        fetch_series(row_of(series, collection), files, server.url)
