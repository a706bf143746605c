"""Structured reports of the Imaging Data Commons, each fetched once and kept in the store.

In: the series of reports in a catalog. Out: their boxes. Series that the source refuses are counted
(`report-refused`), and so are those of a source that did not answer (`report-unreachable`).
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chestgan_core.config.dataset import Dataset
from chestgan_core.errors import BadInput, SourceRefused, SourceUnreachable
from chestgan_core.local.progress import Progress
from chestgan_core.sources.annotations.boxes import Defect, Found
from chestgan_core.sources.annotations.structured_reports import read_report
from chestgan_core.sources.idc.source import IdcConfig
from chestgan_core.sources.series_rows import SeriesRow, delivery_name
from chestgan_core.store import keys
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)

PARALLEL = 16  # a report has some 20 KB, so most of the time of a request is waiting


def report_boxes(store: Store, dataset: Dataset, rows: Sequence[SeriesRow], alone: bool) -> Found:
    """The boxes of these series of reports, fetched where the store does not have them yet.

    alone: there are no other boxes, so a source that does not answer is an error, not a defect. Raises BadInput (the
    source is another), SourceUnreachable, StoreError.
    """
    if not isinstance(dataset.source, IdcConfig):
        raise BadInput(
            dataset.name,
            "has structured reports, but its source is not of kind idc",
            "name PASCAL VOC files instead",
        )
    endpoint = dataset.source.endpoint
    found = Found()
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-") as scratch,
        Progress(f"tumour_annotations {dataset.name}", len(rows), "reports") as progress,
        ThreadPoolExecutor(PARALLEL) as pool,
    ):
        kept = {item.key for item in store.list(keys.annotation_reports_prefix(dataset.name))}
        running = [
            pool.submit(_read_series, store, dataset, row, endpoint, kept, Path(scratch) / str(number))
            for number, row in enumerate(rows)
        ]
        try:
            for number, job in enumerate(running):
                try:
                    of_series = job.result()
                except SourceUnreachable as error:
                    if alone:
                        raise
                    log.warning(f"{error}; continuing without {len(rows) - number} reports")
                    found.defects[Defect.REPORT_UNREACHABLE] += len(rows) - number
                    break
                found.add(of_series)
                progress.step()
        finally:
            # Fetched reports are in the store already; the others are not waited for.
            pool.shutdown(wait=False, cancel_futures=True)
    return found


def _read_series(
    store: Store, dataset: Dataset, row: SeriesRow, endpoint: str, kept: set[str], folder: Path
) -> Found:
    from chestgan_core.sources.idc.download import fetch_series

    delivery = delivery_name(row)
    manifest_key = keys.annotation_report_manifest(dataset.name, delivery)
    if manifest_key in kept:
        paths = list(store.fetch(manifest_key, folder).values())
    else:
        try:
            paths = fetch_series(row, folder, endpoint)
        except SourceRefused:
            return Found(defects=Counter({Defect.REPORT_REFUSED: 1}))
        store.commit(
            manifest_key,
            {f"{delivery}-{number}.dcm": path for number, path in enumerate(paths)},
            {
                "kind": "structured-reports",
                "dataset": dataset.name,
                "series": row.key,
                "patient": row.patient,
                "revision": row.revision,
                "analysis": row.analysis,
                "licence": row.licence,
                "doi": row.doi,
            },
        )
    found = Found()
    for path in paths:
        found.add(read_report(path, row.patient, dataset.synthetic))
        path.unlink()
    return found
