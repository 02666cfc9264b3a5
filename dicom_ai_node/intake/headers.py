"""Values of the instances of open studies, read while the study is still coming."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dicom_ai_node.header import read_header, values_of
from dicom_ai_node.study import Instance

Values = Mapping[str, tuple[str | int | float, ...]]

MAX_KEPT = 50_000  # instances


class Headers:
    """By keyword, for each instance; a file is read once, as long as there is room.

    For one thread. Raises what a damaged file makes pydicom raise.
    """

    def __init__(self, keywords: Iterable[str], *, most: int = MAX_KEPT) -> None:
        self.keywords = tuple(sorted(set(keywords)))
        self._most = most
        self._kept: dict[str, Values] = {}

    def of(self, instance: Instance) -> Values:
        """A keyword that it does not have, or that is empty, is absent."""
        kept = self._kept.get(instance.sop_instance_uid)
        if kept is None:
            kept = self._read(instance)
            if len(self._kept) < self._most:
                self._kept[instance.sop_instance_uid] = kept
        return kept

    def _read(self, instance: Instance) -> Values:
        header = read_header(instance.path, self.keywords)
        found = ((keyword, values_of(header, keyword)) for keyword in self.keywords)
        return MappingProxyType({keyword: values for keyword, values in found if values})

    def forget(self, sop_instance_uids: Iterable[str]) -> None:
        for uid in sop_instance_uids:
            self._kept.pop(uid, None)

    def __len__(self) -> int:
        return len(self._kept)
