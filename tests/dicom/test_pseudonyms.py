"""Names of patients, series and slices."""

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


def test_the_environment_can_give_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("CHESTGAN_PATIENT_KEY", "a long enough secret")
    assert Pseudonyms.private(tmp_path).secret == b"a long enough secret"
    assert list(tmp_path.iterdir()) == []


def test_a_short_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CHESTGAN_PATIENT_KEY", "short")
    with pytest.raises(BadInput, match="16 characters") as caught:
        Pseudonyms.private(tmp_path)
    assert "short" not in str(caught.value).replace("CHESTGAN_PATIENT_KEY", "")
