"""What no route takes unless it says so under `allow`: these clauses exclude in every selection."""

from collections.abc import Mapping

from dicom_ai_node.config.rules import Allowed, AnyOf, Clause, Condition


def _image_type(*values: str) -> Condition:
    return Condition(attr="ImageType", op="has_any", value=values)


def _described(pattern: str) -> Condition:
    return Condition(attr="SeriesDescription", op="matches", value=pattern)


STANDING: Mapping[Allowed, Clause] = {
    "derived": _image_type("DERIVED"),  # PS3.3 C.7.6.1.1.2, value 1
    "localizer": AnyOf(
        any=(
            _image_type("LOCALIZER"),
            _described(r"localiz|localis|scout|topogra|surview|scanogram|\b3[ -]?pl(ane)?\b"),
        )
    ),
    "projection": _image_type(
        *("MIP", "MAX_IP", "MINIP", "MIN_IP", "MPR", "CSA MIP", "CSA MPR", "CSA RESAMPLED"),
        *("PROJECTION IMAGE", "VOLUME RENDERED", "REFORMATTED", "AVERAGE", "3D RENDERING"),
        *("SCREEN SAVE", "SCREENSHOT"),
    ),
    "burned_in": Condition(attr="BurnedInAnnotation", op="eq", value="YES"),
    "bolus_tracking": _described(
        r"smart ?-?prep|care ?bolus|test ?bolus|bolus ?(track|pro\b|trig|tim)|monitoring"
        r"|premonitor|sure ?start|\btracker\b"
    ),
}
