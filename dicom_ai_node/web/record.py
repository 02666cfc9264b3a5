"""Every act is on record before it is done, and once more where it could not be done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dicom_ai_node.web.person import Person
from dicom_ai_node.web.site import Site


@contextmanager
def on_record(site: Site, person: Person, verb: str, **about: Any) -> Iterator[None]:
    """`verb` as the command line calls it; `about` is what `Trail.acted` takes."""
    site.trail.acted(person.actor, verb, **about)
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            site.trail.acted(person.actor, verb, succeeded=False, **about)
