"""Series as NBIA's API lists them."""

from typing import Any

import pytest

from chestgan_core.config.dataset import SeriesRules
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import SourceRefused
from chestgan_core.sources.catalog.series_selection import select_series
from chestgan_core.sources.nbia.series_list import nbia_series
from chestgan_core.sources.series_rows import SELECTED, SeriesRow

# The fields of API v4; those without a value are missing from the answer.
FIELDS: dict[str, Any] = {
    "SeriesInstanceUID": "1.3.6.1.4.1.14519.5.2.1.6655.2359.1",
    "StudyInstanceUID": "1.3.6.1.4.1.14519.5.2.1.6655.2359.2",
    "Modality": "CT",
    "SeriesDate": "2007-04-04 00:00:00.0",
    "SeriesDescription": "Thorax  1.0  B31f",
    "SeriesNumber": 3,
    "Collection": "Lung-PET-CT-Dx",
    "PatientID": "Lung_Dx-B0007",
    "Manufacturer": "SIEMENS",
    "ImageCount": 64,
    "TimeStamp": "2020-12-11 20:17:04.0",
    "LicenseName": "Creative Commons Attribution 4.0 International License",
    "LicenseURI": "https://creativecommons.org/licenses/by/4.0/",
    "DataDescriptionURI": "https://doi.org/10.7937/TCIA.2020.NNC2-0461",
    "FileSize": 33753188,
    "DateReleased": "2020-12-22 00:00:00.0",
    "StudyDesc": "Chest",
    "ThirdPartyAnalysis": "NO",
}


def listed(**changes: Any) -> SeriesRow:
    fields = {name: value for name, value in {**FIELDS, **changes}.items() if value is not None}
    (row,) = nbia_series("Lung-PET-CT-Dx", [fields], Pseudonyms(), doi="10.1/collection")
    return row


def test_a_listed_series_becomes_a_row():
    row = listed()
    assert (row.patient, row.histology, row.key) == ("Lung_Dx-B0007", "B", FIELDS["SeriesInstanceUID"])
    assert (row.images, row.bytes, row.location) == (64, 33753188, FIELDS["SeriesInstanceUID"])
    assert (row.description, row.study_description) == ("Thorax 1.0 B31f", "Chest")
    assert (row.doi, row.analysis) == ("10.7937/TCIA.2020.NNC2-0461", "")
    assert row.licence.startswith("Creative Commons")


def test_fields_that_the_api_omits_are_unknown_and_exclude_nothing():
    optional = set(FIELDS) - {"SeriesInstanceUID", "PatientID"}
    row = listed(**dict.fromkeys(optional))
    assert (row.modality, row.sop_class, row.photometric, row.images, row.bytes) == ("", "", "", 0, 0)
    assert row.doi == "10.1/collection"
    rules = SeriesRules(sop_class=("1.2.840.10008.5.1.4.1.1.2",), photometric=("MONOCHROME2",), min_images=20)
    assert select_series([row], rules)[0].status == SELECTED


def test_older_servers_have_another_name_for_the_address_of_the_collection():
    assert listed(DataDescriptionURI=None, CollectionURI="https://doi.org/10.7937/X").doi == "10.7937/X"


def test_a_third_party_analysis_is_distinguished_from_original_images():
    assert listed(ThirdPartyAnalysis="YES").analysis == "third-party"


@pytest.mark.parametrize(
    "changes", [{"TimeStamp": "2024-01-01 00:00:00.0"}, {"ImageCount": 63}, {"FileSize": 1}]
)
def test_a_series_that_is_submitted_again_is_another_revision(changes):
    assert listed(**changes).revision != listed().revision
    assert listed(SeriesNumber=9).revision == listed().revision


@pytest.mark.parametrize(
    "changes", [{"PatientID": None}, {"SeriesInstanceUID": None}, {"ImageCount": "many"}]
)
def test_a_series_that_cannot_be_read_is_refused_with_its_collection(changes):
    with pytest.raises(SourceRefused, match="Lung-PET-CT-Dx: NBIA lists a series that cannot be read"):
        listed(**changes)
