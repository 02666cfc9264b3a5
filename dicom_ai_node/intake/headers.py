"""Values of the instances of open studies, read while the study is still coming."""

from collections.abc import Iterable, Mapping

from dicom_ai_node.header import read_values
from dicom_ai_node.study import Instance, Values

MAX_KEPT = 50_000  # instances


class Headers:
    """By keyword, for each instance; a file is read once, as long as there is room.

    For one thread. Raises what a damaged file makes pydicom raise.
    """

    def __init__(self, keywords: Iterable[str], *, most: int = MAX_KEPT) -> None:
        self.keywords = tuple(sorted(set(keywords)))
        self._most = most
        self._kept: dict[str, Mapping[str, Values]] = {}

    def of(self, instance: Instance) -> Mapping[str, Values]:
        """A keyword that it does not have, or that is empty, is absent."""
        kept = self._kept.get(instance.sop_instance_uid)
        if kept is None:
            kept = read_values(instance.path, self.keywords)
            if len(self._kept) < self._most:
                self._kept[instance.sop_instance_uid] = kept
        return kept

    def forget(self, sop_instance_uids: Iterable[str]) -> None:
        for uid in sop_instance_uids:
            self._kept.pop(uid, None)

    def __len__(self) -> int:
        return len(self._kept)
