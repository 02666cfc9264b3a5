"""Concept names of TID 1500 and its parts, looked up once: pydicom's dictionary takes its time."""

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

REPORT = codes.DCM.ImagingMeasurementReport
IMAGING_MEASUREMENTS = codes.DCM.ImagingMeasurements
MEASUREMENT_GROUP = codes.DCM.MeasurementGroup
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
IMAGE_LIBRARY = codes.DCM.ImageLibrary
IMAGE_LIBRARY_GROUP = codes.DCM.ImageLibraryGroup
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
PROCEDURE_REPORTED = codes.DCM.ProcedureReported

TRACKING_IDENTIFIER = codes.DCM.TrackingIdentifier
TRACKING_UID = codes.DCM.TrackingUniqueIdentifier
FINDING = codes.DCM.Finding
FINDING_CATEGORY = Code("276214006", "SCT", "Finding category")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
COMMENT = codes.DCM.Comment

REFERENCED_SEGMENT = codes.DCM.ReferencedSegment
REFERENCED_FRAME = codes.DCM.ReferencedSegmentationFrame
SOURCE_SERIES = Code("121232", "DCM", "Source Series for Segmentation")
SOURCE_IMAGE = Code("121233", "DCM", "Source Image for Segmentation")
SOURCE_OF_MEASUREMENT = codes.DCM.SourceOfMeasurement
GEOMETRIC_PURPOSE = codes.DCM.GeometricPurposeOfRegion
BOUNDED_BY = Code("75958009", "SCT", "Bounded by")
CENTER = codes.DCM.Center
VOLUME_SURFACE = codes.DCM.VolumeSurface
REGION_IN_SPACE = Code("130488", "DCM", "Region in Space")

CERTAINTY = codes.DCM.CertaintyOfFinding
SALIENCY = codes.DCM.Saliency
SUPPORTING_INFORMATION = codes.DCM.SupportingInformation
