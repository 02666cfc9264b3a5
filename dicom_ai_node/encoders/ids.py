"""UIDs of what a job makes: a retry makes the same ones, a repeated run new ones."""

from dataclasses import dataclass

from dicom_ai_node.uids import derived_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedIds:
    """`run` is raised when somebody asks for the same work again and wants new objects."""

    job_key: str
    run: int = 1

    def uid(self, *object_parts: object) -> str:
        """The UID of one object, or of one thing within it, named by `object_parts`."""
        return derived_uid("result", self.job_key, self.run, *object_parts)
