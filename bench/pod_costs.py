"""What a collection costs in pods: `python -m bench.pod_costs [--cpu-hour 0.04] [--put 0.005] ...`.

In: what a patient and a pod took where it was measured (options; the defaults are those of docs/scale.md), and prices.
Out: a table on standard output for 355, 4,000 and 40,000 patients, one run each and in batches: pods started, core
hours, requests to the store, bytes, money. The requests of a patient are counted here, on generated patients and a real
store; parts of large objects are added. Prices are those of a large provider's list in the eastern United States.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from chestgan_core.local.log_lines import configure_logging
from chestgan_core.slices.patient_batch import PatientBatch
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.embedded import EmbeddedStore

COHORTS = (355, 4_000, 40_000)
COUNTED = 4
PART = 8 * 2**20  # bytes of a part of a large upload, boto3's default
WRITES = ("PutObject", "UploadPart", "CreateMultipartUpload", "CompleteMultipartUpload", "ListObjectsV2")


def main() -> int:
    """Count, compute and print."""
    configure_logging()
    parser = argparse.ArgumentParser(prog="python -m bench.pod_costs", description=__doc__)
    parser.add_argument("--batch", type=int, default=50, help="patients per run")
    parser.add_argument(
        "--images", type=float, default=149, help="of a patient: one series of Lung-PET-CT-Dx"
    )
    parser.add_argument("--megabytes", type=float, default=78, help="of a patient's raw files")
    parser.add_argument("--kept-megabytes", type=float, default=0.7, help="of a patient's slices, 64 x 64")
    parser.add_argument("--images-per-core-second", type=float, default=250, help="archived and normalized")
    parser.add_argument("--pod-cpu-seconds", type=float, default=8, help="processor seconds of a pod's start")
    parser.add_argument("--pods-per-run", type=int, default=2, help="that of the run, and that of its step")
    parser.add_argument("--cpu-hour", type=float, default=0.04, help="USD per core hour")
    parser.add_argument("--put", type=float, default=0.005, help="USD per 1,000 writes and lists")
    parser.add_argument("--get", type=float, default=0.0004, help="USD per 1,000 reads")
    parser.add_argument("--month", type=float, default=0.023, help="USD per GB and month")
    args = parser.parse_args()
    requests = _requests()
    parts = int(args.megabytes * 1e6 // PART) + 3
    writes = sum(requests[name] for name in WRITES) / COUNTED + parts
    reads = (sum(requests.values()) - sum(requests[name] for name in WRITES)) / COUNTED
    print(f"A patient: {writes:.0f} writes and lists, {reads:.0f} reads.\n")
    columns = ("patients", "per run", "pods", "core hours: starts", "core hours: work", "requests", "GB")
    money = ("compute USD", "requests USD", "a month of storage USD")
    print(f"| {' | '.join((*columns, *money))} |\n{'|---' * (len(columns) + len(money))}|")
    for patients in COHORTS:
        for batch in (1, args.batch):
            pods = -(-patients // batch) * args.pods_per_run
            starts = pods * args.pod_cpu_seconds / 3600
            work = patients * args.images / args.images_per_core_second / 3600
            size = patients * (args.megabytes + args.kept_megabytes) / 1000
            asked = patients * (writes * args.put + reads * args.get) / 1000
            print(
                f"| {patients:,} | {batch} | {pods:,} | {starts:.1f} | {work:.1f} | {patients * (writes + reads):,.0f}"
                f" | {size:,.0f} | {(starts + work) * args.cpu_hour:.2f} | {asked:.2f} | {size * args.month:.2f} |"
            )
    return 0


def _requests() -> Counter[str]:
    """Operation -> how often it was sent, for COUNTED patients."""
    counted: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch,
        EmbeddedStore(Path(scratch)) as running,
    ):
        store = running.store()
        catalog, _ = catalog_series(store, "phantom", Path(scratch))
        store.client.meta.events.register(
            "before-send.s3.*", lambda event_name, **_: counted.update([event_name.rpartition(".")[2]])
        )
        patients = [f"phantom:{name}" for name in catalog.patients[:COUNTED]]
        with PatientBatch(store, patients, Path(scratch)) as batch:
            for patient in patients:
                batch.archive(patient)
                batch.slices(patient)
                batch.release(patient)
    return counted


if __name__ == "__main__":
    sys.exit(main())
