"""The attributes that a result takes over from its source, by module of PS3.3."""

TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)

PATIENT = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"),
    *("TypeOfPatientID", "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames"),
    *("PatientBirthDate", "PatientBirthTime", "PatientBirthDateInAlternativeCalendar"),
    *("PatientDeathDateInAlternativeCalendar", "PatientAlternativeCalendar", "PatientSex"),
    *("QualityControlSubject", "ReferencedPatientSequence", "ReferencedPatientPhotoSequence"),
    *("EthnicGroup", "EthnicGroupCodeSequence", "PatientComments"),
    *("PatientSpeciesDescription", "PatientSpeciesCodeSequence"),
    *("PatientBreedDescription", "PatientBreedCodeSequence", "BreedRegistrationSequence"),
    *("StrainDescription", "StrainNomenclature", "StrainCodeSequence"),
    *("ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName"),
    *("ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID"),
    *("ClinicalTrialSubjectReadingID", "IssuerOfClinicalTrialProtocolID"),
    *("IssuerOfClinicalTrialSiteID", "IssuerOfClinicalTrialSubjectID"),
    *("ClinicalTrialProtocolEthicsCommitteeName",),
    *("ClinicalTrialProtocolEthicsCommitteeApprovalNumber",),
)

STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    *("IssuerOfAccessionNumberSequence", "StudyDescription", "ProcedureCodeSequence"),
    *("ReferringPhysicianName", "ReferringPhysicianIdentificationSequence"),
    *("ConsultingPhysicianName", "ConsultingPhysicianIdentificationSequence"),
    *("PhysiciansOfRecord", "PhysiciansOfRecordIdentificationSequence"),
    *("NameOfPhysiciansReadingStudy", "PhysiciansReadingStudyIdentificationSequence"),
    *("RequestingService", "RequestingServiceCodeSequence", "ReferencedStudySequence"),
    *("ReasonForPerformedProcedureCodeSequence",),
    *("AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence"),
    *("PatientAge", "PatientSize", "PatientWeight", "PatientBodyMassIndex"),
    *("PatientSizeCodeSequence", "MeasuredAPDimension", "MeasuredLateralDimension"),
    *("MedicalAlerts", "Allergies", "Occupation", "SmokingStatus", "AdditionalPatientHistory"),
    *("PregnancyStatus", "LastMenstrualDate", "PatientState"),
    *("PatientSexNeutered", "ReasonForVisit", "ReasonForVisitCodeSequence"),
    *("AdmissionID", "IssuerOfAdmissionIDSequence", "ServiceEpisodeID"),
    *("IssuerOfServiceEpisodeIDSequence", "ServiceEpisodeDescription"),
    *("ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription"),
    *("IssuerOfClinicalTrialTimePointID", "ConsentForClinicalTrialUseSequence"),
)

REQUEST = (
    *("AccessionNumber", "IssuerOfAccessionNumberSequence", "RequestedProcedureID"),
    *("RequestedProcedureDescription", "RequestedProcedureCodeSequence"),
    *("ReasonForTheRequestedProcedure", "ReasonForRequestedProcedureCodeSequence"),
    *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
)

TYPE_2_OF_REQUEST = (
    *("RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence"),
    *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
)

# What an encoder may read of a source: where it lies and which it is, and nothing about a person.
PLACE = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "ImageType", "PatientOrientation"),
    *("Rows", "Columns", "NumberOfFrames", "PixelSpacing", "ImagerPixelSpacing"),
    *("EstimatedRadiographicMagnificationFactor",),
    *("ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"),
    *("SpacingBetweenSlices", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence"),
    *("DimensionIndexSequence", "LossyImageCompression", "LossyImageCompressionRatio"),
    *("LossyImageCompressionMethod",),
)
