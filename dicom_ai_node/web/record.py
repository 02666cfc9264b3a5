"""Every act is on record, also one that could not be done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dicom_ai_node.web.person import Person
from dicom_ai_node.web.site import Site


@contextmanager
def on_record(site: Site, person: Person, verb: str, **about: Any) -> Iterator[None]:
    """`verb` as the command line calls it; `about` is what `Trail.acted` takes."""
    succeeded = False
    try:
        yield
        succeeded = True
    finally:
        site.trail.acted(person.actor, verb, succeeded=succeeded, **about)
