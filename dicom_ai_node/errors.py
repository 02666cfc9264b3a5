"""What can go wrong, by cause.

NodeError
├ ConfigError         the administrator's files: exit 2, a message without a traceback
├ AlreadyRunning      another process has this role on this spool: exit 3
├ NotStartable        a role of the node gave up for one of those reasons
├ NotThere            nobody knows the job, study or peer that a person named
├ InputError          the study is unsuitable: outcome not_suitable, reported, no retry
├ ModelError          the model broke its contract: outcome failed, reported
├ ResultMismatch      a written result is not what its job is about: destroyed, never sent
├ ProgramFailed       a program that is a model ended badly: a failed attempt, retried
├ ModelChanged        a file of the model is not what was installed: the model is disabled
├ PeerUnreachable     transient: backoff
│ └ PeerRefusesUs     until somebody changes a setting: an alarm, and backoff
└ LeaseLost           another worker owns the job now: drop the work

Anything else is our bug: recorded with its traceback and retried to max_attempts.
Messages are one sentence and the next step, and never hold what identifies a patient.
"""


class NodeError(Exception):
    """Everything that this package raises on purpose."""

    exit_status = 1


class ConfigError(NodeError):
    """The configuration cannot be used; each line names file, line and key."""

    exit_status = 2


class AlreadyRunning(NodeError):
    """The role is taken on this spool."""

    exit_status = 3


class NotStartable(NodeError):
    """A child process ended in a way that no restart cures; its exit status is passed on."""

    def __init__(self, message: str, *, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class NotThere(NodeError):
    """Nothing is known by this number or name."""


class InputError(NodeError):
    """This input cannot be analysed by this model, and a retry would not change that."""


class ModelError(NodeError):
    """The model did not keep its contract: wrong shape, no output, NaN."""


class ResultMismatch(NodeError):
    """An object on disk is not this job's: of others, elsewhere, or with other contents."""


class ProgramFailed(NodeError):
    """The program of a model ended badly; its next run may not."""


class ModelChanged(NodeError):
    """A file of the package is gone, or not the one that was installed: no job of it may run."""


class PeerUnreachable(NodeError):
    """No association, or it broke: the peer may be back later."""


class PeerRefusesUs(PeerUnreachable):
    """The peer is there, and takes nothing from this node; the message says what to change."""


class LeaseLost(NodeError):
    """The job is no longer in the state and under the lease that this worker believes."""
