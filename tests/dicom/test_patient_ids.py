"""Ids of patients: one form at every path; what is missing or shared is warned about and never splits a person."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.dataset import SeriesRules
from chestgan_core.dicom.left_out import Doubt
from chestgan_core.dicom.patient_ids import has_no_id, is_placeholder, normal_patient_id, normal_uid
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import read_series
from chestgan_core.errors import BadInput
from chestgan_core.slices.splits import require_patient_ids
from chestgan_core.sources.catalog.series_selection import select_series
from chestgan_core.sources.folder.folder_series import folder_series
from chestgan_core.sources.series_rows import SeriesRow
from tests.dicom.ct_files import as_bytes, ct_slice

BLANKS = st.text(" \0\t\r\n\u00a0\u200b\u3000\ufeff", max_size=3)
NAMES = (Pseudonyms(), Pseudonyms(b"k" * 32))


def write(folder: Path, **changes: object) -> None:
    """One slice of a series of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.iterdir())) + 1
    given = {"StudyInstanceUID": f"2.25.8.{number}", **changes}
    (folder / f"{number}").write_bytes(as_bytes(ct_slice(series=f"2.25.{number}", **given)))


@given(BLANKS, BLANKS, st.sampled_from(["PH-1", "p h 1", "Müller", "A"]))
def test_blanks_around_an_id_do_not_count(before, after, name):
    assert normal_patient_id(before + name + after) == normal_patient_id(name)
    assert NAMES[1].patient(before + name + after) == NAMES[1].patient(name)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_the_unicode_form_of_an_id_does_not_count(form):
    assert normal_patient_id(unicodedata.normalize(form, "Müller-1")) == "Müller-1"
    assert normal_patient_id("\uff30\uff28-\uff11") == "PH-1"  # full width


def test_case_and_inner_blanks_count():
    assert len({normal_patient_id(name) for name in ("ab", "AB", "a b", "a  b")}) == 4


@given(BLANKS, BLANKS)
def test_padding_of_a_uid_does_not_count(before, after):
    assert normal_uid(f"{before}1.2.3{after}") == "1.2.3"
    for names in NAMES:
        assert names.series(f"{before}1.2.3{after}") == names.series("1.2.3")
        assert names.sop(f"1.2.3{after}") == names.sop("1.2.3")


@given(st.text())
def test_every_text_has_a_private_name(text):
    assert Pseudonyms(b"k" * 32).patient(text, "1.2").startswith(("P", "NOID-"))


def test_half_a_surrogate_pair_has_a_private_name():
    assert Pseudonyms(b"k" * 32).patient("\udc80") != Pseudonyms(b"k" * 32).patient("\udc81")


@pytest.mark.parametrize("names", NAMES)
def test_the_same_person_is_one_patient_at_every_path(tmp_path, names):
    for written in ("PH-A0001", " PH-A0001", "PH-A0001 ", "PH-A0001\0", "\tPH-A0001"):
        write(tmp_path / "in", PatientID=written)
    reading = read_series([tmp_path / "in"])
    assert {series.patient_id for series in reading.series} == {"PH-A0001"}
    assert {series.histology for series in reading.series} == {"A"}
    catalog = folder_series(tmp_path / "in", names, "test", "", "")
    assert {row.patient for row in catalog.rows} == {names.patient(" PH-A0001")}


def test_rules_name_patients_and_series_in_any_form():
    row = SeriesRow(patient="PH-1", key="2.25.1-abcdef01", images=3, revision="", stack="abcdef01")
    for rules in (
        {"exclude_patients": [" PH-1 "]},
        {"exclude_series": ["2.25.1-abcdef01"]},
        {"exclude_series": ["2.25.1 "]},
    ):
        (found,) = select_series([row], SeriesRules.model_validate(rules))
        assert found.status == "excluded"


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("missing", [None, "", "   ", "\0\0"])
def test_without_an_id_each_study_is_a_patient_and_a_warning_says_so(tmp_path, names, missing):
    for study in ("2.25.8.1", "2.25.8.1\0", "2.25.8.2"):
        write(tmp_path / "in", PatientID=missing, StudyInstanceUID=study)
    catalog = folder_series(tmp_path / "in", names, "test", "", "")
    patients = {row.patient for row in catalog.rows}
    assert len(patients) == 2
    assert all(map(has_no_id, patients))
    assert [(one.reason, one.files) for one in catalog.doubts] == [(Doubt.NO_PATIENT_ID, 3)]


def test_files_without_an_id_belong_to_the_patient_of_their_study(tmp_path):
    for patient in ("PH-A0001", None, "PH-A0001"):
        write(tmp_path / "in", PatientID=patient, StudyInstanceUID="2.25.8.1")
    write(tmp_path / "in", PatientID=None, StudyInstanceUID="2.25.8.2")
    reading = read_series([tmp_path / "in"])
    assert sorted(series.patient_id for series in reading.series) == ["", *["PH-A0001"] * 3]
    assert {one.reason: one.files for one in reading.doubts} == {
        Doubt.PATIENT_OF_STUDY: 1,
        Doubt.NO_PATIENT_ID: 1,
    }


def test_a_study_of_two_ids_gives_none_to_the_others(tmp_path):
    for patient in ("PH-A0001", None, "PH-B0002"):
        write(tmp_path / "in", PatientID=patient, StudyInstanceUID="2.25.8.1")
    assert len({series.patient for series in read_series([tmp_path / "in"]).series}) == 3


def test_without_id_and_study_the_series_stands_for_the_patient(tmp_path):
    for _ in range(2):
        write(tmp_path / "in", PatientID=None, StudyInstanceUID=None)
    assert len({series.patient for series in read_series([tmp_path / "in"]).series}) == 2


def test_a_split_refuses_patients_without_an_id():
    unnamed = Pseudonyms(b"k" * 32).patient("", "1.2")
    require_patient_ids(["PH-1", "P0123456789ab"], "set")
    with pytest.raises(BadInput, match=r"1 studies have no PatientID.*missing_patient_ids: by_study"):
        require_patient_ids(["PH-1", unnamed], "set")


@pytest.mark.parametrize("word", ["ANONYMOUS", "anon", "0", "000", "N/A", "none", "Unknown", "-", "?", "XXX"])
def test_a_word_for_no_id_is_warned_about(tmp_path, word):
    assert is_placeholder(word)
    write(tmp_path / "in", PatientID=word)
    write(tmp_path / "in", PatientID=word)
    reading = read_series([tmp_path / "in"])
    assert [(one.reason, one.files) for one in reading.doubts] == [(Doubt.PLACEHOLDER_ID, 2)]


@pytest.mark.parametrize("name", ["PH-A0001", "10", "Lung_Dx-A0001", "XA12", "Anonymous-7", "P0"])
def test_an_id_is_no_word_for_none(name):
    assert not is_placeholder(name)


@pytest.mark.parametrize("attribute", [{"PatientSex": "F"}, {"PatientBirthDate": "19500101"}])
def test_one_id_of_several_people_is_warned_about(tmp_path, attribute):
    write(tmp_path / "in", PatientSex="M", PatientBirthDate="19400101")
    write(tmp_path / "in", **{"PatientSex": "M", "PatientBirthDate": "19400101", **attribute})
    write(tmp_path / "in")
    assert [one.reason for one in read_series([tmp_path / "in"]).doubts] == [Doubt.SHARED_ID]


def test_names_made_from_content_are_those_of_one_slice_and_the_same_in_each_run():
    for names in NAMES:
        made = {names.sop("1.2", content) for content in ("", "a", "b")}
        assert len(made) == 3
        assert made == {Pseudonyms(names.secret).sop("1.2 ", content) for content in ("", "a", "b")}
