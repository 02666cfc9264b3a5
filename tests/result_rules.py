"""What every result object has to be: the rules that `@pytest.mark.result_rule` names by number,
and what IHE AIR asks of an Evidence Creator, which `@pytest.mark.air` names.

`python -m scripts.conformance` writes docs/conformance.md from these and the tests that name them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    number: int
    rule: str
    why: str


RULES: tuple[Rule, ...] = tuple(
    Rule(number, rule, why)
    for number, (rule, why) in enumerate(
        (
            ("Patient and study attributes as in the source, in every object", "misfiling"),
            ("Series and SOP Instance UIDs of its own, the same for the same job", "a retry"),
            ("One SEG or SR in a series", "viewers load one"),
            (
                (
                    "The source's UIDs, SOP Class and frame of reference are there, unique, of one"
                    " study"
                ),
                "lost frames, crashes of viewers",
            ),
            ("Rows, columns, position and orientation of a SEG are those of source slices", "OHIF"),
            ("Each frame names its source image, which is in the referenced series", "navigation"),
            ("Voxel for voxel what the model marked, by several readers", "flips"),
            ("The same for every geometry of a source", "geometry"),
            ("Segments are disjoint, and the object says so", "loading times of viewers"),
            ("Nothing marked makes no SEG; segments without voxels are not described", "clutter"),
            ("Segments, frames and size are within what a destination takes", "limits of viewers"),
            (
                (
                    "Codes of SNOMED CT, automatic algorithm with identification, display colour,"
                    " tracking identifier and UID"
                ),
                "coding",
            ),
            ("Groups of the report track what the segments track", "linkage"),
            ("A detection is drawn by viewers, its coordinates exact", "hydration"),
            ("The status of the run is there as a code; what is absent is no finding", "safety"),
            ("No finding, failure and not suitable are different reports", "safety"),
            ("Evidence lists every referenced instance; the Image Library is bounded", "size"),
            ("The report keeps to its templates", "interoperability"),
            ("Every object keeps to its IOD", "acceptance by the PACS"),
            ("A second opinion on the modules", "the first may be wrong"),
            ("Contributing Equipment with Device UID, versions and the model's hash", "tracing"),
            ("Preliminary and unverified; for research, in words and in pixels", "labelling"),
            ("Text survives in every character set", "names"),
            ("Body part and laterality are those of the source, laterality coded", "wrong side"),
            ("No private attributes, no identity of the source's device, no pixels of it", "leaks"),
            (
                "Real archives accept every object; where they refuse a form, they get the next",
                "delivery",
            ),
            ("Time, size and memory of encoding are measured beside a peer's", "speed"),
            ("Every report can be read as text", "text viewers"),
            ("Pictures, maps and presentation states refer to the source's images", "navigation"),
            (
                "Series are chosen by rules that tell missing from false",
                "wrong input",
            ),
        ),
        1,
    )
)

# PS3.3 and IHE RAD TF AI Results (AIR), section 6.5.3: what an Evidence Creator may encode
AIR: dict[str, str] = {
    "segmentation": "Regions as Segmentation objects that a measurement report refers to",
    "measurements": "Measurements in a Comprehensive 3D SR of TID 1500",
    "locations": "Locations: points and boxes on images",
    "qualitative findings": "Qualitative findings: present, absent, undecided",
    "parametric map": "Parametric Maps",
    "tracking identifier": "Tracking identifiers and UIDs for every finding",
    "image references": "References to the images that were analysed",
    "key images": "Key Object Selection of images that findings lie on",
    "root result": "One report that refers to all other objects of the run",
    "no findings": "A result for a study without findings",
    "algorithm identification": "Contributing Equipment with purpose (Newcode1, 99IHE, Processing"
    " Algorithm), versions and a Device UID that changes with the model",
}
