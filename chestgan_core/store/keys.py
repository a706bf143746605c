"""Every key of the object store, in one place.

In: names (dataset, patient, experiment, ...). Out: keys relative to the prefix of the store, as strings.

    catalog/<dataset>/<version>.parquet + .json          series rows, and
    catalog/<dataset>/<version>-patients.parquet         what sensors read; latest.json names the current version
    raw/<dataset>/<patient>/series/<series>-<revision>.zip + .json   one object per series, and
    raw/<dataset>/<patient>/<version>.json               which of them the patient has, and latest.json
    annotations/<dataset>/<version>.parquet + .json      tumour boxes and masks, and latest.json
    annotations/<dataset>/reports/<series>-<revision>-<n>.dcm + .json   the structured reports they were read from
    images/<dataset>/<version>/manifest.json             images-*.zip, images.parquet, and images/<dataset>/latest.json
    slices/<dataset>/<patient>/<version>.safetensors     with .parquet (rows) and .json (manifest), and latest.json
    training-sets/<dataset>/<version>/manifest.json      training-sets/<dataset>/latest.json
    experiments/<experiment>/<run>/manifest.json         weights, history, images; checkpoint.pt before it
    experiments/<experiment>/latest.json                 the current run
    features/<dataset>/<training set>/<side>/<version>/manifest.json   features.safetensors of real slices
    reports/<experiment>/<run>/<version>/manifest.json   report.json, .html, .pdf, figures/, and latest.json
    comparisons/<name>/<version>/manifest.json           comparison.json, .html, .pdf, .png, and latest.json
    leaderboards/all/<version>/manifest.json             leaderboard.json, .html, .pdf, .md, table-*.png, latest.json
    reports-monthly/<month>/<version>/manifest.json      month.json, .html, .pdf, and latest.json; month: YYYY-MM
    studies/<experiment>/<study>/<version>/manifest.json trials.parquet, best.yaml, report.html, .pdf, latest.json
    studies/tuned.json                                   the current tuned experiments, name -> YAML
    synthetic/<set>/<version>/manifest.json              images-*.tar, labels.parquet, README.md
    synthetic/<set>/<version>/status.json                published, deprecated or withdrawn, and why
    synthetic/<set>/unfinished/<images>/images-0000.tar  of a release that goes on: tars, images-0000.json (their rows)
    synthetic/<set>/latest.json, synthetic/index.json    the newest version, all sets
    reading/real-images/<set>/<set version>/<version>/manifest.json   held-out real slices, and latest.json
    reading/studies/<study>/<version>/manifest.json      a frozen reader study: pictures.safetensors, key.json
    reading/packs/<study>/<version>/<reader>/manifest.json   the sealed key of an offline file: pack.json
    reading/answers/<set>/<study>/<version>/manifest.json    answers.json, and reading/answers/<set>/latest.json
    reading/results/<set>/<study>/<version>/manifest.json    and reading/results/<set>/latest.json
    forgotten/<dataset>/<patient>.json                   the tombstone of a patient who has withdrawn
    forgotten/<dataset>/<patient>/record-<number>.json   what was deleted then, and what remains
    doctor/<token>                                       written and deleted by a check of the store
    doctor/conditional-writes                            stays: the object that conditional writes are tried out on

Except for sets, whose version is a hash of all their files, the first 16 digits of an object's sha256 stand before its
file name as one more folder: reports/.../<version>/<digits>/report.json.

Manifests and the objects they list never change once written; latest.json, index.json and status.json are changed
by conditional puts; checkpoint.pt is replaced while a training runs. All functions raise BadInput for a name that
cannot be part of a key, or would lead out of its folder.
"""

import re

from chestgan_core.errors import BadInput

# What S3, file systems and URLs all accept without quoting. The first character is neither a dot nor a dash, so that a
# fetched folder has no hidden files, and no names that look like options.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MANIFEST = "manifest.json"
POINTER = "latest.json"
STATUS = "status.json"
CONDITIONAL_WRITES = "doctor/conditional-writes"


def checked_name(name: str) -> str:
    """The name itself, if it can be one part of a key (between two slashes). Raises BadInput."""
    if not _NAME.fullmatch(name) or ".." in name:
        # The name is not repeated: in a private folder it may be a person's name.
        raise BadInput(
            f"name of {len(name)} characters",
            "cannot be part of a key in the store",
            "use at most 128 letters, digits and . _ - without '..', beginning with a letter or digit",
        )
    return name


def _key(kind: str, *names: str, end: str = "") -> str:
    return "/".join([kind, *map(checked_name, names)]) + end


def catalog_manifest(dataset: str, version: str) -> str:
    """Manifest of one version of a dataset's series rows; the rows lie beside it as <version>.parquet."""
    return _key("catalog", dataset, version, end=".json")


def catalog_latest(dataset: str) -> str:
    """Pointer to the newest catalog of a dataset."""
    return _key("catalog", dataset, POINTER)


def raw_series_manifest(dataset: str, patient: str, delivery: str) -> str:
    """Manifest of one delivered series; its zip lies beside it. delivery: `<series>-<revision>`."""
    return _key("raw", dataset, patient, "series", delivery, end=".json")


def raw_manifest(dataset: str, patient: str, version: str) -> str:
    """Manifest of the delivered series that a patient has in one version; their zips lie in `series/` below it."""
    return _key("raw", dataset, patient, version, end=".json")


def raw_latest(dataset: str, patient: str) -> str:
    """Pointer to the current version of a patient's raw files."""
    return _key("raw", dataset, patient, POINTER)


def annotations_manifest(dataset: str, version: str) -> str:
    """Manifest of the tumour boxes of a dataset; the boxes lie beside it as <version>.parquet."""
    return _key("annotations", dataset, version, end=".json")


def annotations_latest(dataset: str) -> str:
    """Pointer to the newest tumour boxes of a dataset."""
    return _key("annotations", dataset, POINTER)


def annotation_report_manifest(dataset: str, delivery: str) -> str:
    """Manifest of one series of structured reports. delivery: `<series>-<revision>`."""
    return _key("annotations", dataset, "reports", delivery, end=".json")


def annotation_reports_prefix(dataset: str) -> str:
    """What the keys of all structured reports of a dataset begin with."""
    return _key("annotations", dataset, "reports") + "/"


def images_manifest(dataset: str, version: str) -> str:
    """Manifest of one version of an image collection: images-*.zip, images.parquet, contact-sheet.png."""
    return _key("images", dataset, version, MANIFEST)


def images_latest(dataset: str) -> str:
    """Pointer to the newest version of an image collection."""
    return _key("images", dataset, POINTER)


def slices_manifest(dataset: str, patient: str, version: str) -> str:
    """Manifest of one patient's shard and rows: <version>.safetensors and <version>.parquet beside it."""
    return _key("slices", dataset, patient, version, end=".json")


def slices_latest(dataset: str, patient: str) -> str:
    """Pointer to the newest shard of a patient."""
    return _key("slices", dataset, patient, POINTER)


def training_set_manifest(dataset: str, version: str) -> str:
    """Manifest of one training set."""
    return _key("training-sets", dataset, version, MANIFEST)


def training_set_latest(dataset: str) -> str:
    """Pointer to the newest training set of a dataset."""
    return _key("training-sets", dataset, POINTER)


def features_manifest(dataset: str, training_set: str, side: str, version: str) -> str:
    """Manifest of the features of slices of one side of a training set."""
    return _key("features", dataset, training_set, side, version, MANIFEST)


def run_manifest(experiment: str, run: str) -> str:
    """Manifest of a finished run."""
    return _key("experiments", experiment, run, MANIFEST)


def run_checkpoint(experiment: str, run: str) -> str:
    """Checkpoint of an unfinished run: one object, replaced by each newer one."""
    return _key("experiments", experiment, run, "checkpoint.pt")


def run_latest(experiment: str) -> str:
    """Pointer to the current run of an experiment."""
    return _key("experiments", experiment, POINTER)


def report_manifest(experiment: str, run: str, version: str) -> str:
    """Manifest of one report on a run: report.json, report.html, report.pdf, figures/."""
    return _key("reports", experiment, run, version, MANIFEST)


def report_latest(experiment: str) -> str:
    """Pointer to the newest report of an experiment."""
    return _key("reports", experiment, POINTER)


def runs_prefix() -> str:
    """What the keys of all runs begin with."""
    return "experiments/"


def reports_prefix() -> str:
    """What the keys of all metric reports begin with."""
    return "reports/"


def comparison_manifest(name: str, version: str) -> str:
    """Manifest of one comparison of experiments. name: what is compared, `architecture` or `tuning`."""
    return _key("comparisons", name, version, MANIFEST)


def comparison_latest(name: str) -> str:
    """Pointer to the newest comparison of a name."""
    return _key("comparisons", name, POINTER)


def leaderboard_manifest(version: str) -> str:
    """Manifest of one leaderboard: the newest reports of all experiments."""
    return _key("leaderboards", "all", version, MANIFEST)


def leaderboard_latest() -> str:
    """Pointer to the newest leaderboard."""
    return _key("leaderboards", "all", POINTER)


def month_manifest(month: str, version: str) -> str:
    """Manifest of one version of a month's report. month: YYYY-MM."""
    return _key("reports-monthly", month, version, MANIFEST)


def month_latest(month: str) -> str:
    """Pointer to the newest version of a month's report."""
    return _key("reports-monthly", month, POINTER)


def study_manifest(experiment: str, study: str, version: str) -> str:
    """Manifest of a hyperparameter study as it was with so many trials."""
    return _key("studies", experiment, study, version, MANIFEST)


def study_latest(experiment: str) -> str:
    """Pointer to the newest study of an experiment."""
    return _key("studies", experiment, POINTER)


def tuned_experiments() -> str:
    """Pointer object that holds every tuned experiment."""
    return _key("studies", "tuned.json")


def set_manifest(name: str, version: str) -> str:
    """Manifest of one version of a synthetic set."""
    return _key("synthetic", name, version, MANIFEST)


def set_status(name: str, version: str) -> str:
    """Says whether a version of a synthetic set is published, deprecated or withdrawn, and why."""
    return _key("synthetic", name, version, STATUS)


def unfinished_prefix(name: str) -> str:
    """What the keys of all unfinished releases of a set begin with. Versions are hex digits, so none has this name."""
    return _key("synthetic", name, "unfinished") + "/"


def unfinished_file(name: str, images: str, file: str) -> str:
    """A file of an unfinished release. images: hex digits of what decides the images."""
    return _key("synthetic", name, "unfinished", images, file)


def set_latest(name: str) -> str:
    """Pointer to the newest version of a synthetic set."""
    return _key("synthetic", name, POINTER)


def sets_prefix() -> str:
    """What the keys of all synthetic sets begin with."""
    return "synthetic/"


def set_index() -> str:
    """Pointer object that lists every synthetic set."""
    return _key("synthetic", "index.json")


def real_images_manifest(set_name: str, set_version: str, version: str) -> str:
    """Manifest of the held-out real slices that a set may be compared with in reader studies."""
    return _key("reading", "real-images", set_name, set_version, version, MANIFEST)


def real_images_latest(set_name: str, set_version: str) -> str:
    """Pointer to the newest real slices for one version of a set."""
    return _key("reading", "real-images", set_name, set_version, POINTER)


def reader_study_manifest(study: str, version: str) -> str:
    """Manifest of a frozen reader study."""
    return _key("reading", "studies", study, version, MANIFEST)


def reader_studies_prefix() -> str:
    """What the keys of all frozen reader studies begin with."""
    return "reading/studies/"


def reader_pack_manifest(study: str, version: str, reader: str) -> str:
    """Manifest of the sealed key of one offline file of a reader study."""
    return _key("reading", "packs", study, version, reader, MANIFEST)


def reader_answers_manifest(set_name: str, study: str, version: str) -> str:
    """Manifest of the answers to a reader study."""
    return _key("reading", "answers", set_name, study, version, MANIFEST)


def reader_answers_latest(set_name: str) -> str:
    """Pointer to the newest answers about a set: study, version."""
    return _key("reading", "answers", set_name, POINTER)


def reader_result_manifest(set_name: str, study: str, version: str) -> str:
    """Manifest of the result of a reader study."""
    return _key("reading", "results", set_name, study, version, MANIFEST)


def reader_result_latest(set_name: str) -> str:
    """Pointer to the newest result about a set: study, version."""
    return _key("reading", "results", set_name, POINTER)


def forgotten_patient(dataset: str, patient: str) -> str:
    """Says that a patient has withdrawn."""
    return _key("forgotten", dataset, patient, end=".json")


def forgotten_prefix(dataset: str) -> str:
    """What the keys of all tombstones of a dataset's patients begin with."""
    return _key("forgotten", dataset) + "/"


def forgetting_record(dataset: str, patient: str, number: int) -> str:
    """What one run of `chestgan forget` deleted of a patient. number: from 1."""
    return _key("forgotten", dataset, patient, f"record-{number:04d}", end=".json")


def forgetting_records_prefix(dataset: str, patient: str) -> str:
    """What the keys of all records of a patient begin with."""
    return _key("forgotten", dataset, patient, "record-")


def raw_prefix(dataset: str, patient: str) -> str:
    """What the keys of all raw files of a patient begin with."""
    return _key("raw", dataset, patient) + "/"


def slices_prefix(dataset: str, patient: str) -> str:
    """What the keys of all slices of a patient begin with."""
    return _key("slices", dataset, patient) + "/"


def catalogs_prefix(dataset: str) -> str:
    """What the keys of all catalogs of a dataset begin with."""
    return _key("catalog", dataset) + "/"


def annotations_prefix(dataset: str) -> str:
    """What the keys of all tumour boxes and structured reports of a dataset begin with."""
    return _key("annotations", dataset) + "/"


def training_sets_prefix(dataset: str) -> str:
    """What the keys of all training sets of a dataset begin with."""
    return _key("training-sets", dataset) + "/"


def features_prefix(dataset: str) -> str:
    """What the keys of all features of a dataset's slices begin with."""
    return _key("features", dataset) + "/"


def comparisons_prefix() -> str:
    """What the keys of all comparisons begin with."""
    return "comparisons/"


def leaderboards_prefix() -> str:
    """What the keys of all leaderboards begin with."""
    return "leaderboards/"


def months_prefix() -> str:
    """What the keys of all monthly reports begin with."""
    return "reports-monthly/"


def studies_prefix() -> str:
    """What the keys of all hyperparameter studies begin with."""
    return "studies/"


def real_images_prefix() -> str:
    """What the keys of all real images for reader studies begin with."""
    return "reading/real-images/"


def reader_packs_prefix() -> str:
    """What the keys of the sealed keys of all offline files begin with."""
    return "reading/packs/"


def probe(token: str) -> str:
    """An object that a check of the store writes and deletes. token: new each time, as checks may run side by side."""
    return _key("doctor", token)
