"""What each attribute tells about a person, as a finding of the audit.

In: the tag and the type of an attribute. Out: a `Finding`, or nothing where it may stay. The attributes are those of
DICOM PS3.15 table E.1-1 (`confidentiality.py`). The table says what to do with each, not what it tells: for some that
is listed here, for the others it follows from the options of their row.
"""

from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag, Tag

from chestgan_core.dicom.audit_report import Finding
from chestgan_core.dicom.confidentiality import rule_of

ATTRIBUTES: dict[Finding, tuple[str, ...]] = {
    Finding.BIRTH_DATE: (
        "PatientBirthDate", "PatientBirthTime", "PatientBirthDateInAlternativeCalendar",
        "PatientDeathDateInAlternativeCalendar",
    ),
    Finding.PATIENT_DETAILS: (
        "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthName",
        "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers", "PatientTelecomInformation",
        "PatientInsurancePlanCodeSequence", "InsurancePlanIdentification", "MedicalRecordLocator", "MilitaryRank",
        "BranchOfService", "CountryOfResidence", "RegionOfResidence", "PatientReligiousPreference", "Occupation",
        "ResponsiblePerson", "ResponsibleOrganization", "PersonAddress", "PersonTelephoneNumbers",
        "PersonTelecomInformation", "PersonIdentificationCodeSequence", "PatientPrimaryLanguageCodeSequence",
        "CurrentPatientLocation", "PatientInstitutionResidence", "ReferencedPatientPhotoSequence",
        "TelephoneNumberTrial", "VerbalSourceTrial", "AddressTrial", "VisitorPassNumber",
        "GPSLatitude", "GPSLongitude", "GPSAltitude", "GPSMapDatum", "GPSDestLatitude", "GPSDestLongitude",
        "GPSAreaInformation", "GPSProcessingMethod",
    ),
    Finding.STAFF_NAME: (  # names of staff are found by their type; these identify staff in other ways
        "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers",
        "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianIdentificationSequence",
        "PerformingPhysicianIdentificationSequence", "PhysiciansOfRecordIdentificationSequence",
        "PhysiciansReadingStudyIdentificationSequence", "OperatorIdentificationSequence",
        "OrderCallbackPhoneNumber", "OrderCallbackTelecomInformation", "OrderEnteredBy", "OrderEntererLocation",
        "CertificateOfSigner", "CameraOwnerName", "DistributionName", "DistributionAddress",
    ),
    Finding.DOCUMENT: ("EncapsulatedDocument",),
    Finding.RECORD_NUMBER: (
        "AccessionNumber", "IssuerOfAccessionNumberSequence", "AdmissionID", "IssuerOfAdmissionID",
        "IssuerOfAdmissionIDSequence", "IssuerOfPatientID", "IssuerOfServiceEpisodeID",
        "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest", "RequestedProcedureID",
        "ScheduledProcedureStepID", "PerformedProcedureStepID", "ServiceEpisodeID",
    ),
    Finding.INSTITUTION: (
        "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "InstitutionCodeSequence",
        "InstitutionalDepartmentTypeCodeSequence", "RequestingService",
    ),
    Finding.DEVICE: ("SourceSerialNumber",),
    Finding.COMMENTS: (
        "ImageComments", "PatientComments", "StudyComments", "FrameComments", "AdditionalPatientHistory",
        "AcquisitionComments", "RequestedProcedureComments", "CommentsOnThePerformedProcedureStep",
        "CommentsOnTheScheduledProcedureStep", "ImagingServiceRequestComments", "VisitComments",
        "ReasonForTheRequestedProcedure", "ReasonForStudy", "MedicalAlerts", "Allergies", "PatientState",
        "IdentifyingComments", "TextComments", "InterpretationText", "ResultsComments",
    ),
    Finding.GRAPHICS: ("IconImageSequence", "GraphicAnnotationSequence"),
}  # fmt: skip

# Creators of private attributes that hold scan and reconstruction parameters: those named in PS3.15 table E.3.10-1
# (safe private attributes), and blocks of the same vendors that were checked in real files. CTP is the
# de-identification tool of TCIA: collection and site numbers. Not among them, because they hold texts or archive data:
# SIEMENS CSA and MEDCOM headers, GEMS_IDEN_01, GEMS_PATI_01, GEIIS.
SCAN_PARAMETERS = frozenset((
    "CTP", "ELSCINT1", "GEHC_CT_ADVAPP_001", "GEIIS PACS", "GEMS_ACQU_01", "GEMS_HELIOS_01", "GEMS_IMAG_01",
    "GEMS_IMPS_01", "GEMS_PARM_01", "GEMS_RELA_01", "GEMS_SERS_01", "PHILIPS IMAGING DD 001",
    "PHILIPS PET PRIVATE GROUP", "SIEMENS CT VA0  COAD", "SIEMENS MED", "SIEMENS MR HEADER", "TOSHIBA_MEC_CT3",
))  # fmt: skip
TIMES = frozenset(("DA", "DT", "TM"))


def _curated() -> dict[BaseTag, Finding]:
    return {
        Tag(tag): finding
        for finding, keywords in ATTRIBUTES.items()
        for keyword in keywords
        if (tag := tag_for_keyword(keyword)) is not None
    }


CURATED = _curated()


def finding_of(tag: BaseTag, vr: str) -> Finding | None:
    """What an attribute tells by the table; None: it may stay."""
    if tag in CURATED:
        return CURATED[tag]
    if tag.group & 0xFF00 in (0x5000, 0x6000) and tag.group <= 0x60FF:
        return Finding.OVERLAY if rule_of(tag) else None
    rule = rule_of(tag)
    if rule is None:
        return Finding.DATES if vr in ("DA", "DT") else None
    if rule.basic == "U" or vr == "UI":
        return None
    if vr == "SQ":  # what its items tell is judged by itself
        return Finding.OTHER
    if rule.keyword.startswith("ClinicalTrial"):
        return Finding.TRIAL
    for option, finding in (
        ("dates", Finding.DATES),
        ("patient", Finding.PATIENT_TRAITS),
        ("device", Finding.DEVICE),
        ("institution", Finding.INSTITUTION),
        ("graphics", Finding.GRAPHICS),
        ("descriptors", Finding.DESCRIPTIONS),
    ):
        if option in rule.options:
            return finding
    return Finding.DATES if vr in TIMES else Finding.OTHER
