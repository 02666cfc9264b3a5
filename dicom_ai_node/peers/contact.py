"""Whether a peer is there: what the last associations with it have shown.

It is kept in memory. A new process finds it out with one association, and each delivery has its
own next time in the database.
"""

from dataclasses import dataclass, field

_SEVERAL = 2


@dataclass(slots=True)
class Contact:
    """A peer that is in trouble is left alone until a time; an object that is, is not the peer."""

    until: float = 0.0  # nothing is sent before
    failures: int = 0  # of the peer, one after the other
    reason: str = ""  # of the last
    suspects: set[int] = field(default_factory=set)  # jobs whose last try had no final answer
    unanswered: set[int] = field(default_factory=set)  # those since the last final answer
    refuses_us: bool = False  # it is there, and somebody has to change a setting

    def is_left_alone(self, now: float, *, longest_s: float) -> bool:
        """A pause that seems longer than any is of a clock that was set back since."""
        return now < self.until <= now + longest_s

    def answered(self, job_id: int) -> bool:
        """A final answer: the peer is there; whether that is news."""
        is_news = self.failures > 0
        self.suspects.discard(job_id)
        self.unanswered.clear()
        self.failures, self.reason, self.until, self.refuses_us = 0, "", 0.0, False
        return is_news

    def not_answered(self, job_id: int, *, was_tried: bool = True) -> None:
        """No final answer: a break, a timeout, or a status that time may cure. What was behind it,
        and not tried, is no suspect."""
        if was_tried:
            self.suspects.add(job_id)
        self.unanswered.add(job_id)

    def refused_at(self, job_id: int) -> None:
        """It refuses us, or this job, which came first; each gets its turn to come first."""
        if job_id in self.suspects:
            self.suspects.clear()
        self.suspects.add(job_id)

    @property
    def is_in_trouble(self) -> bool:
        """One job alone may be at fault itself; the others are not to wait for it."""
        return len(self.unanswered) >= _SEVERAL

    def failed(self, reason: str, *, until: float, refuses_us: bool = False) -> bool:
        """The peer is left alone; whether the reason is news."""
        is_news = reason != self.reason
        self.refuses_us = refuses_us
        self.failures += 1
        self.reason, self.until = reason, until
        return is_news
