"""Withdrawals at bad moments: what is published, scored or kept while a patient withdraws must not outlive it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.model import OperationModel

from chestgan_core.config.dataset import dataset_named
from chestgan_core.errors import Forgotten
from chestgan_core.evaluation import stored_report
from chestgan_core.evaluation.monthly.page import report_month
from chestgan_core.forgetting.forget import forget_patient
from chestgan_core.forgetting.walk import find_traces
from chestgan_core.publishing import release
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.split.private import published_name
from chestgan_core.publishing.versions import status
from chestgan_core.publishing.versions.index import read_index
from chestgan_core.publishing.versions.status import SetWithdrawn, withdrawal_of
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import freeze_study
from chestgan_core.reading.images.real_images import collect_real_images
from chestgan_core.slices.splits import HELD_OUT, TRAIN
from chestgan_core.slices.training_set import open_training_set
from chestgan_core.store import keys
from chestgan_core.store.forgotten import now
from chestgan_core.store.store import Store
from tests.forgetting.chain import Chain, found_in
from tests.forgetting.conftest import chain, delivery, home, made, people  # noqa: F401 (fixtures)
from tests.forgetting.test_forgetting import require_whole
from tests.pipeline.stages import Stages, tiny


@pytest.fixture(scope="session")
def stages(people: Stages) -> Stages:  # noqa: F811
    return people


def forget(store: Store, patient: str, home: Path) -> None:  # noqa: F811
    assert forget_patient(store, dataset_named("folder"), patient, home, "a test").complete


def require_gone(store: Store, patient: str, home: Path) -> None:  # noqa: F811
    assert not find_traces(store, "folder", patient, home).traces


@pytest.mark.parametrize("side", [TRAIN, HELD_OUT])
def test_a_set_that_is_generated_while_a_patient_withdraws_is_not_published(
    side: str,
    stages: Stages,
    store: Store,
    home: Path,  # noqa: F811
    delivery: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages.bring("reported", store)
    patient = open_training_set(store, "folder").side(side)[0].name
    plan_set = release.plan_set

    def meanwhile(*arguments: object, **options: object) -> object:
        forget(store, patient, home)
        return plan_set(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(release, "plan_set", meanwhile)
    with pytest.raises(Forgotten, match="a patient of it has withdrawn"):
        release_experiment(store, tiny(), "cpu", tmp_path)
    assert not [entry for entry in read_index(store) if not entry.withdrawn]
    require_gone(store, patient, home)
    assert not [item.key for item in store.list("synthetic/") if item.key.endswith((".tar", ".csv"))]


def test_a_report_that_is_made_while_a_patient_withdraws_is_not_kept(
    stages: Stages,
    store: Store,
    home: Path,  # noqa: F811
    delivery: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages.bring("trained", store)
    patient = open_training_set(store, "folder").side(HELD_OUT)[0].name
    write_report = stored_report.write_report

    def meanwhile(*arguments: object, **options: object) -> object:
        written = write_report(*arguments, **options)  # type: ignore[arg-type]
        forget(store, patient, home)
        return written

    monkeypatch.setattr(stored_report, "write_report", meanwhile)
    with pytest.raises(Forgotten, match="a patient of it has withdrawn"):
        stored_report.report_experiment(store, tiny(), "cpu", tmp_path)
    require_gone(store, patient, home)
    assert not list(store.list("reports/"))


@pytest.mark.parametrize("side", [TRAIN, HELD_OUT])
def test_the_names_that_a_private_split_gives_a_patient_go_too(
    side: str,
    stages: Stages,
    store: Store,
    home: Path,  # noqa: F811
    delivery: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    stages.bring("reported", store)
    training_set = open_training_set(store, "folder")
    patient = training_set.side(side)[0].name
    published = release_experiment(store, tiny(), "cpu", tmp_path)
    name = published_name("patient", patient, training_set.version)
    assert found_in(store, {name}) == {f"synthetic/tiny/{published.version}/split.csv"}
    forget(store, patient, home)
    assert not found_in(store, {name})


def test_a_set_is_found_by_its_own_words_where_its_run_is_gone(
    stages: Stages,
    store: Store,
    home: Path,  # noqa: F811
    delivery: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """An operator has deleted the runs; the card's data still says which training set it all came of."""
    stages.bring("reported", store)
    patient = open_training_set(store, "folder").side(TRAIN)[0].name
    published = release_experiment(store, tiny(), "cpu", tmp_path)
    for item in list(store.list("experiments/")):
        store.delete(item.key)
    forget(store, patient, home)
    assert withdrawal_of(store, "tiny", published.version)
    assert not [item.key for item in store.list("synthetic/") if item.key.endswith(".tar")]


def test_what_a_release_that_was_killed_before_its_manifest_had_copied_goes_too(
    store: Store,
    home: Path,  # noqa: F811
    chain: Chain,  # noqa: F811
) -> None:
    store.put_bytes(b"images", keys.set_manifest("tiny", "0" * 16).replace(keys.MANIFEST, "images-0000.tar"))
    forget(store, chain.trained, home)
    assert not [item.key for item in store.list("synthetic/") if item.key.endswith(".tar")]


def _real_images(store: Store, version: str, folder: Path) -> None:
    collect_real_images(store, "tiny", version, folder)


def _study(store: Store, version: str, folder: Path) -> None:
    fields = {
        "name": "s",
        "title": "Real?",
        "set_name": "tiny",
        "set_version": version,
        "max_per_patient": 100,
    }
    freeze_study(store, StudyDesign.model_validate({**fields, "images_per_side": 4, "warm_up": 0}))


def _month(store: Store, version: str, folder: Path) -> None:
    report_month(store, now()[:7], folder)


@pytest.mark.parametrize(
    ("make", "prefix"),
    [(_real_images, "reading/real-images/"), (_study, "reading/studies/"), (_month, "reports-monthly/")],
)
def test_what_is_committed_right_after_a_patient_withdrew_is_taken_back(
    make: Callable[[Store, str, Path], None],
    prefix: str,
    stages: Stages,
    store: Store,
    home: Path,  # noqa: F811
    delivery: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The withdrawal has looked for the last time when the manifest is written."""
    stages.bring("reported", store)
    patient = open_training_set(store, "folder").side(TRAIN)[0].name
    version = release_experiment(store, tiny(), "cpu", tmp_path).version
    if make is _study:
        collect_real_images(store, "tiny", version, tmp_path)
    commit = Store.commit

    def late(self: Store, key: str, *arguments: object, **options: object) -> object:
        if key.startswith(prefix):
            forget(store, patient, home)
        return commit(self, key, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "commit", late)
    with pytest.raises((Forgotten, SetWithdrawn), match="withdr"):
        make(store, version, tmp_path)
    assert not [item.key for item in store.list(prefix) if not item.key.endswith(keys.MANIFEST)]
    require_gone(store, patient, home)


class _Killed(BaseException):
    """What no code catches."""


@pytest.mark.slow
@pytest.mark.parametrize("at", [*range(0, 57, 8), 9])
def test_a_withdrawal_that_is_killed_at_any_request_is_completed_by_the_same_call(
    at: int,
    store: Store,
    home: Path,  # noqa: F811
    chain: Chain,  # noqa: F811
) -> None:
    left = [at]

    def dying(model: OperationModel, **_: object) -> None:
        if model.name in ("PutObject", "DeleteObject", "CopyObject"):
            left[0] -= 1
            if left[0] < 0:
                raise _Killed

    events = store.client.meta.events
    events.register("before-call.s3", dying)
    try:
        with pytest.raises(_Killed):
            forget(store, chain.trained, home)
    finally:
        events.unregister("before-call.s3", dying)
    require_whole(store)
    forget(store, chain.trained, home)
    assert not [entry for entry in read_index(store) if not entry.withdrawn]
    named = found_in(store, chain.names[chain.trained])
    assert {key.partition("/")[0] for key in named} == {"forgotten"}


def test_the_index_says_it_though_the_withdrawal_was_killed_before_it_did(
    store: Store,
    home: Path,  # noqa: F811
    chain: Chain,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dying(*_: object) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(status, "change_entry", dying)
        with pytest.raises(_Killed):
            forget(store, chain.trained, home)
    assert withdrawal_of(store, "tiny", chain.set_version)
    assert not read_index(store)[0].withdrawn
    forget(store, chain.trained, home)
    assert "has withdrawn" in read_index(store)[0].withdrawn
