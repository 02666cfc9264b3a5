"""What is negotiated and answered, as acceptor and as requestor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydicom.uid import UID

from dicom_ai_node.config.peers import CommitmentSettings, DimsePeer
from dicom_ai_node.config.settings import DeliverySettings, LimitsSettings, NodeSettings
from dicom_ai_node.confirm import STAY_S
from dicom_ai_node.database.commitment_reports import CURABLE, MOST_FORGOTTEN
from dicom_ai_node.database.commitment_requests import AT_ONCE
from dicom_ai_node.receive.answer import ActionStatus, EventStatus, NotificationStatus, Status
from dicom_ai_node.receive.commitment import FailureReason
from dicom_ai_node.receive.negotiation import (
    NOTIFICATIONS,
    STORAGE_COMMITMENT,
    VERIFICATION,
    supported_contexts,
)
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from scripts.conformance.table import table

SERVICES = (
    ("Storage", "SCP", "images and other objects of the table below"),
    ("Storage", "SCU", "results"),
    ("Verification", "SCP, SCU", "`echo PEER` is the SCU"),
    ("Storage Commitment Push Model", "SCP", "for what was stored here"),
    ("Storage Commitment Push Model", "SCU", "for results, of peers with `commitment`"),
    ("Instance Availability Notification", "SCP", "of peers that `may: [notify]`"),
    ("Modality Performed Procedure Step", "SCP", "of peers that `may: [notify]`"),
    (
        "Study Root Query/Retrieve – FIND",
        "SCU",
        "counts of studies, priors, whose a deleted study is",
    ),
    ("Study Root Query/Retrieve – MOVE", "SCU", "priors, which come by C-STORE"),
)

STORED: Mapping[Status, str] = {
    Status.SUCCESS: "the object is on stable storage and in the job table",
    Status.DUPLICATE_SOP_INSTANCE: "another object of this UID is here already, with other bytes",
    Status.SOP_CLASS_NOT_SUPPORTED: "of imported files alone: a peer is refused the context",
    Status.NOT_AUTHORIZED: "this peer may not store",
    Status.OUT_OF_RESOURCES: "no space, or too much at once: sending again later helps",
    Status.DOES_NOT_MATCH_SOP_CLASS: "command and data set name different objects",
    Status.CANNOT_UNDERSTAND: "the data set cannot be read, or lacks what identifies it",
    Status.TOO_MANY_INSTANCES: "the study has `limits.study_instances` already",
}
ACTED: Mapping[ActionStatus, str] = {
    ActionStatus.PROCESSING_FAILURE: "the request could not be kept",
    ActionStatus.NO_SUCH_SOP_INSTANCE: "another SOP Instance than the well-known one",
    ActionStatus.INVALID_ARGUMENT_VALUE: "the request cannot be read, or names nothing",
    ActionStatus.NO_SUCH_SOP_CLASS: "an action on another SOP Class",
    ActionStatus.NO_SUCH_ACTION: "another action than 1",
    ActionStatus.NOT_AUTHORIZED: "this peer may not ask",
    ActionStatus.DUPLICATE_TRANSACTION_UID: "this transaction is under way",
    ActionStatus.RESOURCE_LIMITATION: "too many requests wait",
}
NOTIFIED: Mapping[NotificationStatus, str] = {
    NotificationStatus.INVALID_ATTRIBUTE_VALUE: "a value cannot be right",
    NotificationStatus.PROCESSING_FAILURE: "it could not be kept",
    NotificationStatus.DUPLICATE_SOP_INSTANCE: "this one is known",
    NotificationStatus.NO_SUCH_SOP_INSTANCE: "this one is not known",
    NotificationStatus.INVALID_SOP_INSTANCE: "its UID is none",
    NotificationStatus.NO_SUCH_SOP_CLASS: "another SOP Class",
    NotificationStatus.MISSING_ATTRIBUTE: "what identifies the study or the images is missing",
    NotificationStatus.UNRECOGNIZED_OPERATION: "another operation than N-CREATE or N-SET",
}
REPORTED: Mapping[EventStatus, str] = {
    EventStatus.PROCESSING_FAILURE: "the report could not be recorded",
    EventStatus.NO_SUCH_SOP_INSTANCE: "another SOP Instance than the well-known one",
    EventStatus.NO_SUCH_EVENT_TYPE: "another event than 1 or 2",
    EventStatus.INVALID_ARGUMENT_VALUE: "it cannot be read, or this peer was not asked this",
    EventStatus.NO_SUCH_SOP_CLASS: "a report of another SOP Class",
    EventStatus.NOT_AUTHORIZED: "this peer may not report",
}
COMMITTED: Mapping[FailureReason, str] = {
    FailureReason.NONE: "committed: the file is there and its SHA-256 is that of reception",
    FailureReason.PROCESSING_FAILURE: "the file cannot be read",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "it is not here",
    FailureReason.CLASS_INSTANCE_CONFLICT: "it is here, of another SOP Class",
}


def overview() -> str:
    return (
        "## Overview\n\n"
        "The node receives studies from a PACS, runs models on them, and stores the results in\n"
        "the PACS.\n\n"
        + table(("service", "role", ""), SERVICES)
        + "\n"
        + table(
            ("", ""),
            (
                ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
                ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
                ("Application Context", "`1.2.840.10008.3.1.1.1`"),
                ("Media storage, printing, worklist", "none"),
            ),
        )
    )


def acceptor() -> str:
    node = NodeSettings(ae_title=("AI_NODE",), models=Path("models"))
    limits, contexts = LimitsSettings(), supported_contexts(node)
    stored = [
        context
        for context in contexts
        if str(context.abstract_syntax) not in (VERIFICATION, STORAGE_COMMITMENT)
    ]
    policy = (
        ("associations at once", f"{limits.associations} (`limits.associations`)"),
        ("of one peer", f"{limits.associations_per_peer} (`limits.associations_per_peer`)"),
        ("maximum PDU", f"{limits.pdu_bytes} bytes (`limits.pdu_bytes`)"),
        ("asynchronous operations", "one at a time"),
        ("SOP Class extended negotiation", "none"),
        ("without traffic", f"aborted after {limits.idle_s:g} s (`limits.idle_s`)"),
        ("who", "calling and called AE title, address and certificate, as `accept` has it"),
    )
    syntaxes = [f"- {UID(uid).name} (`{uid}`)" for uid in stored[0].transfer_syntax or ()]
    classes = sorted(str(context.abstract_syntax) for context in stored)
    notified = ", ".join(UID(uid).name for uid in NOTIFICATIONS)
    return "\n".join(
        (
            "## As an acceptor (SCP)\n",
            table(("association", ""), policy),
            "### Storage\n",
            (
                "In the order of preference; deflated syntaxes only with `node.accept_deflated`,\n"
                "video with `node.accept_video`. Nothing is coerced: all is stored as it came.\n"
            ),
            *syntaxes,
            "",
            *[f"- {UID(uid).name} (`{uid}`)" for uid in classes],
            "",
            "Others where `node.accept_sop_classes` names them.\n",
            _statuses("status of C-STORE", STORED),
            "### Storage Commitment\n",
            "Answered by N-EVENT-REPORT, on an association to the peer of that AE title.\n",
            _statuses("status of N-ACTION", ACTED),
            _statuses("Failure Reason", COMMITTED),
            (
                "For what the node asked, a report is taken from the SCP as the requestor of the\n"
                "association (SCP/SCU role selection).\n"
            ),
            _statuses("status of N-EVENT-REPORT", REPORTED),
            f"### {notified}\n",
            "Counts of images that are to come; nothing of a patient is kept of them.\n",
            _statuses("status of N-CREATE and N-SET", NOTIFIED),
        )
    )


def requestor() -> str:
    peer, delivery = (
        DimsePeer(kind="dimse", ae_title="PACS", host="pacs", port=104),
        DeliverySettings(),
    )
    statuses = (
        ("0000", "stored"),
        ("Bxxx", "stored; the warning is logged"),
        ("0111", "stored: the same UID is the same object"),
        ("A7xx, 0110, 0213", "sent again"),
        ("no answer, A-ABORT, no association", "sent again"),
        ("0122, or no context accepted", "the next form of the peer's ladder, else refused"),
        ("any other", "refused: `jobs show` says why, `jobs retry` sends again"),
    )
    confirmed = (
        ("none: committed", "delivered"),
        (
            ", ".join(f"{reason:04X}" for reason in sorted(CURABLE)),
            f"sent again unchanged; refused at the {MOST_FORGOTTEN}th time",
        ),
        ("any other", "refused"),
    )
    policy = (
        (
            "contexts",
            (
                "one for each SOP Class and Transfer Syntax of the objects at hand, and"
                " Implicit VR Little Endian of the same class"
            ),
        ),
        ("connecting", f"given up after {peer.connect_timeout_s:g} s (`connect_timeout_s`)"),
        ("an answer", f"waited for {peer.timeout_s:g} s (`timeout_s`)"),
        (
            "again",
            (
                f"after 2 s, then twice as long each time up to {delivery.backoff_max_s:g} s"
                f" (`delivery.backoff_max_s`), for {delivery.max_age_days:g} days"
                " (`delivery.max_age_days`)"
            ),
        ),
    )
    return "\n".join(
        (
            "## As a requestor (SCU)\n",
            table(("association", ""), policy),
            table(("status of C-STORE", "what the node does"), statuses),
            (
                "C-FIND asks at study and series level (UIDs, Patient ID and its issuer, dates,\n"
                "counts of instances); C-MOVE names one study, to the node itself.\n"
            ),
            "### Storage Commitment\n",
            (
                "Of peers with `commitment`: one N-ACTION for up to "
                f"{AT_ONCE} objects that were stored;\n"
                "the report is taken on the same association, kept open for up to "
                f"{STAY_S:g} s, or on any of\nthe peer's. Without one it is asked anew after "
                f"{CommitmentSettings().answer_s:g} s (`answer_s`).\n"
            ),
            table(("Failure Reason of an object", "what the node does"), confirmed),
        )
    )


def security() -> str:
    return (
        "## Security\n\n"
        "TLS 1.2 and 1.3 (PS3.15 B.12, BCP 195 non-downgrading), always with the certificates of\n"
        "both sides; `accept` binds certificates to AE titles. Without TLS the node listens on\n"
        "this machine alone unless `node.allow_plaintext` says otherwise. User identity is not\n"
        "negotiated.\n"
    )


def _statuses(head: str, meanings: Mapping[Any, str]) -> str:
    rows = [(f"{int(status):04X}", meaning) for status, meaning in meanings.items()]
    return table((head, "when"), rows)
