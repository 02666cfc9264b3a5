"""Everything that a person must hear of now."""

from collections.abc import Mapping

from dicom_ai_node.alarms import answers, machine, probing, queue, traffic
from dicom_ai_node.alarms.facts import Facts
from dicom_ai_node.config.alarm_names import AlarmName
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.alarms import Trouble

# what may come and go by itself: it has to be gone for so long before its alarm ends
ENDS_AFTER_S: Mapping[str, float] = {
    AlarmName.PEER_UNREACHABLE: 120.0,
    AlarmName.DISK_LOW: 600.0,
    AlarmName.DISK_FULL: 600.0,
    AlarmName.WORKER_SILENT: 60.0,
    AlarmName.QUEUE_LATE: 600.0,
    AlarmName.REFUSED_MORE_THAN_USUAL: 6 * 3600.0,
    AlarmName.FAILED_MORE_THAN_USUAL: 6 * 3600.0,
}


def troubles(facts: Facts, config: Config, *, now: float) -> list[Trouble]:
    """In the order of how soon somebody should look; pure."""
    found = [
        *machine.troubles(facts, config, now),
        *queue.troubles(facts, config.alarms, now),
        *traffic.troubles(facts, config.alarms, now),
        *answers.troubles(facts),
        *probing.troubles(facts, config.probe, now),
    ]
    return sorted(found, key=lambda each: each.severity != "critical")
