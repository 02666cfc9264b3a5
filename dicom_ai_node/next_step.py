"""What is to be done about a study or a job, in a sentence: every state has one."""

from collections.abc import Iterable, Mapping

from dicom_ai_node.job import Job, JobState
from dicom_ai_node.study import LOST_INSTANCES, StudyState

NOTHING = "nothing to do"

_OF_STUDY: Mapping[StudyState, str] = {
    StudyState.RECEIVING: f"{NOTHING}: it is judged when it is complete",
    StudyState.INCOMPLETE: (
        f"{NOTHING}: it waits for what is missing, and then is judged as it is (`studies explain` "
        "says how many came)"
    ),
    StudyState.REFUSED: (
        "if a route should have taken it: `studies explain` says what failed; mend the route, then "
        "`studies judge`"
    ),
    StudyState.NEEDS_REVIEW: (
        "look at it in the PACS: where what is stored here is right, and of one patient, `studies "
        "judge --reviewed`; else `studies discard`, and send the right one"
    ),
    StudyState.PRIOR: f"{NOTHING}: it is here for comparison",
    StudyState.PURGED: f"{NOTHING}: it was kept for its time; send it again if it is wanted",
    StudyState.DISCARDED: "send the right one: it is taken like a new study",
}
_OF_JOB: Mapping[JobState, str] = {
    JobState.QUEUED: f"{NOTHING}: it runs when its turn comes",
    JobState.RUNNING: f"{NOTHING}: it runs",
    JobState.READY: f"{NOTHING}: it is sent until each peer has it",
    JobState.DONE: NOTHING,
    JobState.UNDELIVERED: (
        "see what the peer said (`jobs show`), mend that, then `jobs retry`; or `jobs cancel`"
    ),
    JobState.QUARANTINED: (
        "see why it failed (`jobs show`), mend that, then `jobs retry`; or `jobs cancel`"
    ),
    JobState.CANCELLED: f"{NOTHING}: nobody works on it",
}
# of several jobs, the one that says most comes first
_FIRST = (
    *(JobState.UNDELIVERED, JobState.QUARANTINED, JobState.RUNNING, JobState.READY),
    *(JobState.QUEUED, JobState.DONE, JobState.CANCELLED),
)


def of_job(job: Job, waits: str | None = None) -> str:
    """`waits`: why it is not run or not sent, where that is no matter of its turn."""
    return waits or _OF_JOB[job.state]


def of_study(state: StudyState, jobs: Iterable[Job], *, reason: str | None = None) -> str:
    """By its state, and where it has been routed by that of its jobs; `reason` is the study's."""
    if state is StudyState.NEEDS_REVIEW and reason == LOST_INSTANCES:
        return "send it again: it goes on by itself"
    if state is not StudyState.ROUTED:
        return _OF_STUDY[state]
    known = sorted(jobs, key=lambda each: (_FIRST.index(each.state), -each.id))
    if not known:
        return f"{NOTHING}: its jobs are gone"
    first = known[0]
    if first.state is JobState.CANCELLED:
        return "its jobs were cancelled: if it is to be analysed after all, `studies judge`"
    if first.state is JobState.DONE and first.is_note:
        return f"{NOTHING}: its results were taken back; for new ones, `studies judge`"
    if first.state is JobState.DONE:
        return f"{NOTHING}: every result is delivered"
    return f"job {first.id} is {first.state}: {_OF_JOB[first.state]}"
