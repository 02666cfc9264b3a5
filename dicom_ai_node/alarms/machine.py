"""Alarms about what the node stands on: disks, clock, certificates, its own books."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dicom_ai_node.alarms.facts import Facts
from dicom_ai_node.alarms.words import day, how_long
from dicom_ai_node.certificate_ends import CRL
from dicom_ai_node.config.alarm_names import AlarmName
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.alarms import Severity, Trouble

_SOON, _VERY_SOON = timedelta(days=30), timedelta(days=7)
_SOON_OF_LIST = timedelta(days=1)  # of revoked ones, which is a new one every few days
_DAY_S = 86_400.0


def troubles(facts: Facts, config: Config, now: float) -> Iterator[Trouble]:
    yield from _disks(facts, config)
    yield from _certificates(facts, now)
    yield from _database(facts)
    yield from _clock(facts)
    yield from _overdue(facts, config, now)


def _disks(facts: Facts, config: Config) -> Iterator[Trouble]:
    limits = config.limits
    for disk in facts.disks:
        free = f"{disk.free_mb} MB are free on the disk of the {disk.name}"
        step = "make room there, or lower node.retain_days; nothing is deleted to make room"
        if disk.free_mb < limits.space_hard_mb:
            text = f"{free}, and no image is taken any more: {step}"
            yield _trouble(AlarmName.DISK_FULL, disk.name, "critical", text)
        elif disk.free_mb < limits.space_soft_mb:
            text = f"{free}, and new associations are turned away: {step}"
            yield _trouble(AlarmName.DISK_LOW, disk.name, "critical", text)
        elif disk.free_mb < 2 * limits.space_soft_mb:
            text = f"{free}, and below {limits.space_soft_mb} MB nothing new is taken: {step}"
            yield _trouble(AlarmName.DISK_LOW, disk.name, "warning", text)


def _certificates(facts: Facts, now: float) -> Iterator[Trouble]:
    at = datetime.fromtimestamp(now, UTC)
    for each in facts.certificates:
        step = "put a new one in its place, then run `dicom-ai-node check`"
        if each.ends is None:
            text = f"{each.key} cannot be read: {step}"
        elif each.ends <= at:
            text = f"{each.key} ended on {each.ends:%Y-%m-%d}, and nobody gets through: {step}"
        elif each.ends - at < (_SOON_OF_LIST if each.key == CRL else _SOON):
            days = (each.ends - at).days
            text = f"{each.key} ends on {each.ends:%Y-%m-%d}, in {days} days: {step}"
        else:
            continue
        is_urgent = each.ends is None or each.ends - at < _VERY_SOON
        severity: Severity = "critical" if is_urgent else "warning"
        yield _trouble(AlarmName.CERTIFICATE_EXPIRES, each.key, severity, text)


def _database(facts: Facts) -> Iterator[Trouble]:
    if facts.database_damage:
        yield _trouble(
            AlarmName.DATABASE_UNSOUND,
            "database",
            "critical",
            f"the database is damaged ({facts.database_damage}): stop the node, and restore a "
            "backup (`dicom-ai-node restore`) or run `dicom-ai-node db rebuild`",
        )
    if not facts.books.balanced:
        yield _trouble(
            AlarmName.BOOKS_UNBALANCED,
            "books",
            "critical",
            "what was received is not what is there or was deleted: run `dicom-ai-node doctor`, "
            "and keep what it says",
        )


def _clock(facts: Facts) -> Iterator[Trouble]:
    if facts.clock_doubted_until is not None:
        yield _trouble(
            AlarmName.CLOCK_JUMPED,
            "clock",
            "warning",
            "the clock of this machine went on by days, or the node stood still: see whether it is "
            f"right; nothing is purged before {day(facts.clock_doubted_until)}",
        )


def _overdue(facts: Facts, config: Config, now: float) -> Iterator[Trouble]:
    last, longest = facts.last_backup, config.alarms.backup_days
    if last is not None and longest is not None and now - last > longest * _DAY_S:
        yield _trouble(
            AlarmName.BACKUP_OLD,
            "backup",
            "warning",
            f"the last backup is {how_long(now - last)} old: run `dicom-ai-node backup`, and see "
            "why the timed one did not",
        )
    since = facts.audit_waits_since
    if since is not None and now - since > config.alarms.audit_not_sent_h * 3600:
        yield _trouble(
            AlarmName.AUDIT_NOT_SENT,
            "audit",
            "warning",
            f"audit messages have waited for their collector for {how_long(now - since)}: see "
            "whether it is there, and whether its certificate is good; nothing is lost meanwhile",
        )


def _trouble(name: AlarmName, subject: str, severity: Severity, text: str) -> Trouble:
    return Trouble(name=name, subject=subject, severity=severity, text=text)
