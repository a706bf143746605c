"""Names of patients, series and slices."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput


def test_public_ids_are_kept():
    names = Pseudonyms()
    assert names.patient("Lung_Dx-A0001") == "Lung_Dx-A0001"
    assert (names.series("1.2.3"), names.sop("1.2.4")) == ("1.2.3", "1.2.4")


@pytest.mark.parametrize("patient", ["", "Doe^Jane", "a/b", "..", "x" * 65, "J. Doe"])
def test_an_id_that_cannot_be_a_key_is_refused_without_being_repeated(patient):
    with pytest.raises(BadInput) as caught:
        Pseudonyms().patient(patient)
    assert not patient or patient not in str(caught.value)


def test_private_names_depend_on_the_id_and_the_key_and_show_neither():
    names, others = Pseudonyms(b"k" * 32), Pseudonyms(b"l" * 32)
    assert names.patient("Doe^Jane") == Pseudonyms(b"k" * 32).patient("Doe^Jane")
    assert len({names.patient("Doe^Jane"), names.patient("Doe^John"), others.patient("Doe^Jane")}) == 3
    assert names.patient("Doe^Jane").startswith("P")
    assert len(names.patient("Doe^Jane")) == 13
    assert names.series("1.2.3").startswith("2.25.")
    assert names.series("1.2.3") != names.sop("1.2.3")
    assert len(names.series("1.2.3")) <= 64
    assert "kkk" not in repr(names)


def test_a_private_key_is_made_once_and_only_its_owner_may_read_it(tmp_path, monkeypatch):
    monkeypatch.delenv("CHESTGAN_PATIENT_KEY", raising=False)
    first, second = Pseudonyms.private(tmp_path / "home"), Pseudonyms.private(tmp_path / "home")
    assert first == second
    assert (tmp_path / "home" / "patient-key").stat().st_mode & 0o777 == 0o600
    assert Pseudonyms.private(tmp_path / "elsewhere") != first


def test_all_that_start_at_once_agree_on_one_key(tmp_path, monkeypatch):
    monkeypatch.delenv("CHESTGAN_PATIENT_KEY", raising=False)
    with ThreadPoolExecutor(16) as pool:
        for round_ in range(20):
            made = pool.map(lambda _, home=tmp_path / str(round_): Pseudonyms.private(home), range(16))
            assert len({names.secret for names in made}) == 1
    assert {path.name for path in tmp_path.glob("*/*")} == {"patient-key"}


def test_a_process_that_is_killed_while_it_makes_the_key_leaves_no_empty_one(tmp_path, monkeypatch):
    monkeypatch.delenv("CHESTGAN_PATIENT_KEY", raising=False)
    killed = (
        "import os, sys, pathlib\n"
        "from chestgan_core.dicom.pseudonyms import Pseudonyms\n"
        "os.fsync = lambda file: os._exit(9)\n"  # the moment between writing and naming
        "Pseudonyms.private(pathlib.Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)]).returncode == 9
    assert not (tmp_path / "patient-key").exists()
    assert len(Pseudonyms.private(tmp_path).secret) == 64


def test_a_home_that_cannot_hold_a_key_is_named_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("CHESTGAN_PATIENT_KEY", raising=False)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="CHESTGAN_HOME"):
        Pseudonyms.private(tmp_path / "file")


def test_the_environment_can_give_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("CHESTGAN_PATIENT_KEY", "a long enough secret")
    assert Pseudonyms.private(tmp_path).secret == b"a long enough secret"
    assert list(tmp_path.iterdir()) == []


def test_a_short_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CHESTGAN_PATIENT_KEY", "short")
    with pytest.raises(BadInput, match="16 characters") as caught:
        Pseudonyms.private(tmp_path)
    assert "short" not in str(caught.value).replace("CHESTGAN_PATIENT_KEY", "")
