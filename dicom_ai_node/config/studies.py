"""`study`: when a study is complete; and `accept.N.complete`, where one sender differs."""

from dicom_ai_node.config.strict import PeerName, Strict
from dicom_ai_node.config.values import Seconds


class StudySettings(Strict):
    """When a study is complete, where its sender's `complete` does not say otherwise:
    [completion.md](completion.md). `…_s` are seconds."""

    quiet_s: Seconds = 60
    """A study of which nothing is known is complete when nothing has come for so long."""
    incomplete_s: Seconds = 600
    """A study that is known to be short waits so long for the rest, and is then *incomplete*."""
    longest_s: Seconds = 7200
    """No study is held open longer than that in all, however much still comes."""
    confirm_s: Seconds = 10
    """Between two counts of a PACS that may still be receiving."""
    single_series: bool = False
    """Studies never have two series: then Images in Acquisition proves them complete."""
    images_in_acquisition: bool = True
    """False where scanners write a wrong Images in Acquisition (0020,1002)."""
    priors_s: Seconds = 120
    """A study waits so long for its priors, and then goes on without: [priors.md](priors.md)."""


class CompleteSettings(Strict):
    """How the studies of one sender are judged; what it leaves out stands under `study`."""

    ask: PeerName | None = None
    """The peer, of kind dimse, that counts the images of a study when an association has ended."""
    final: bool = False
    """The peer that is asked has itself stopped receiving before it sends: its count is believed
    at once."""
    quiet_s: Seconds | None = None
    """As `study.quiet_s`, for this sender."""
    incomplete_s: Seconds | None = None
    """As `study.incomplete_s`, for this sender."""
    longest_s: Seconds | None = None
    """As `study.longest_s`, for this sender."""
    confirm_s: Seconds | None = None
    """As `study.confirm_s`, for this sender."""
    single_series: bool | None = None
    """As `study.single_series`, for this sender."""
    images_in_acquisition: bool | None = None
    """As `study.images_in_acquisition`, for this sender."""

    def over(self, study: StudySettings) -> StudySettings:
        said = self.model_dump(exclude={"ask", "final"}, exclude_none=True)
        return study.model_copy(update=said)
