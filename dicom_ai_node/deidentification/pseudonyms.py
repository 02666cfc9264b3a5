"""Names in place of a patient's own: equal for equal ones, and of no use without the site's key."""

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property

from dicom_ai_node.uids import OURS

KEY_BYTES = 32
_LONGEST_SHIFT = 3650  # days


def patient_key(site_key: bytes, patient_digest: str) -> bytes:
    """Of one patient: stable on this site, and no way to another patient's."""
    return hmac.digest(site_key, f"patient\n{patient_digest}".encode(), hashlib.sha256)


@dataclass(frozen=True)
class Pseudonyms:
    """Of one patient, by the patient's key."""

    key: bytes

    @cached_property
    def patient(self) -> str:
        return f"PSEUDONYM-{self._hash('name').hex()[:16].upper()}"

    @cached_property
    def shift_days(self) -> int:
        """Into the past, by one day at least; the same for all studies of the patient."""
        return -1 - int.from_bytes(self._hash("dates")[:8], "big") % _LONGEST_SHIFT

    def uid(self, uid: str) -> str:
        return f"{OURS}{int.from_bytes(self._hash(f'uid {uid}')[:16], 'big')}"

    def _hash(self, what: str) -> bytes:
        return hmac.digest(self.key, what.encode(), hashlib.sha256)
