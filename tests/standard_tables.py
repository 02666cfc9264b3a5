"""A second opinion on modules: the tables of PS3.3 that come with highdicom, read by nobody who
made the object.

They know which modules an IOD has, and each module's attributes with their types. Conditions they
do not know: nothing is said of types 1C and 2C, of content items of a report (which the validators
of SR look at), and of which functional groups there are.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from highdicom import _standard_utils as standard
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag

MANDATORY = "M"
CONTENT = "sr-document-content"
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
REQUIRED, EMPTY_IF_UNKNOWN = "1", "2"


def module_errors(ds: Dataset) -> list[str]:
    """What is missing, empty, or of no module of the IOD."""
    iod = standard.get_sop_class_iod_map()[str(ds.SOPClassUID)]
    modules = standard.get_iod_module_map()[iod]
    errors = []
    known: set[str] = set()
    for module in modules:
        tree = standard.construct_module_tree(module["key"])["attributes"]
        known |= set(tree)
        if module["usage"] == MANDATORY and module["key"] != CONTENT:
            errors += [f"{module['key']}: {error}" for error in _missing(ds, tree)]
    extra = {keyword_for_tag(element.tag) for element in ds} - known
    return errors + [f"{keyword} is of no module of {iod}" for keyword in sorted(extra)]


def _missing(ds: Dataset, tree: Mapping[str, Any], place: str = "") -> Iterator[str]:
    for keyword, item in tree.items():
        kind = item["type"].value
        if keyword not in ds:
            if kind in (REQUIRED, EMPTY_IF_UNKNOWN):
                yield f"{place}{keyword} is missing"
        elif kind == REQUIRED and ds[keyword].is_empty:
            yield f"{place}{keyword} is empty"
        elif "attributes" in item:
            for number, below in enumerate(ds[keyword].value or (), 1):
                tree_below = item["attributes"]
                if keyword in GROUPS:
                    tree_below = {name: tree_below[name] for name in tree_below if name in below}
                yield from _missing(below, tree_below, f"{place}{keyword}[{number}].")
