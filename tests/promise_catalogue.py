"""What the node promises, and the tests that would break with it.

`python -m scripts.promises` writes docs/promises.md from these rows, from the faults of
tests/fault_catalogue.py that try a promise, and from the tests that name those.
"""

from dataclasses import dataclass

PARTS = {
    "intake": "What comes in",
    "work": "What is done with it",
    "access": "Who may do what, and how much",
    "privacy": "What is said about patients",
    "operation": "Running it",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """`faults` are rows of the fault catalogue, `tests` files or tests below tests/."""

    id: str
    part: str
    promise: str
    faults: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


CATALOGUE: tuple[Promise, ...] = (
    Promise(
        "P1",
        "intake",
        "Acknowledged means durable: a `kill -9` at any instruction loses no instance that was "
        "answered with 0000, and a start puts in order what was half done.",
        ("G2", "G3", "G5", "G16"),
        ("receive/test_durability.py", "receive/test_kill.py", "acceptance/test_kill_rounds.py"),
    ),
    Promise(
        "P2",
        "intake",
        "Bit for bit: the data set is stored as it was received, and its hash is checked before it "
        "is analysed.",
        ("C8", "C11", "G11"),
        ("receive/test_server.py", "loading/test_load.py::test_a_changed_file_is_not_analysed"),
    ),
    Promise(
        "P3",
        "intake",
        "Duplicates: the same again is 0000 and nothing new; the same UID with other contents is "
        "0111, and the study waits for a person.",
        ("D6",),
        ("receive/test_conflicts.py",),
    ),
    Promise(
        "P4",
        "intake",
        "Identity: the UIDs of message and data set agree, are valid, and the data set can be "
        "parsed to its end, or it is refused.",
        ("B1", "B2", "B3", "B4", "B6", "B7", "B8", "C1", "C2", "C4", "C6", "C10"),
        ("receive/test_elements.py",),
    ),
    Promise(
        "P5",
        "intake",
        "No silent gaps: a series is analysed when it is whole and regular, or refused with the "
        "reason; it is never guessed at.",
        ("D1", "D3", "D4", "D10", "D14", "D15", "D16", "D21", "D24"),
        ("acceptance/test_completion.py", "loading/test_load_geometry.py"),
    ),
    Promise(
        "P6",
        "intake",
        "Wrong-patient protection: one study is one patient, and every object is read back and "
        "compared with its job before it is sent.",
        ("D7", "D8"),
        ("gate/test_patient.py", "gate/test_gate.py"),
    ),
    Promise(
        "P7",
        "work",
        "Delivery is at least once, with the same bytes under the same UIDs on every try, until "
        "each peer has each object.",
        ("F3", "F4", "F5", "F7", "F9", "F14", "E11"),
        ("test_deliver.py", "peers/test_store_status.py"),
    ),
    Promise(
        "P8",
        "work",
        "A PACS that is down for a day or a week costs nothing: intake goes on, results wait, one "
        "peer does not delay another.",
        ("F1", "F2", "F8"),
        ("test_outage.py",),
    ),
    Promise(
        "P9",
        "work",
        "A full disk: first no new associations, then A700 for the object, and all goes on by "
        "itself when there is space.",
        ("G3", "G4", "G5"),
        ("receive/test_space.py",),
    ),
    Promise(
        "P10",
        "work",
        "A study that kills its worker never blocks the queue: three tries, then it is quarantined "
        "with what is known.",
        ("E1", "E2", "E8", "E15"),
        ("acceptance/test_model_faults.py",),
    ),
    Promise(
        "P11",
        "work",
        "Isolation: decoding and inference run in a process of their own, without network and "
        "database, and end alone.",
        ("E2", "E6", "E8", "E10"),
        ("engines/test_fence.py", "engines/test_watch.py", "engines/test_environment.py"),
    ),
    Promise(
        "P12",
        "work",
        "Leases: a worker that was paused and wakes again cannot publish a second result.",
        ("E16",),
        ("database/test_machine.py", "test_clock.py"),
    ),
    Promise(
        "P13",
        "work",
        "Stop, upgrade, restore: SIGTERM finishes what is on its way; migrations are whole or not "
        "at all; a restored database never leads to new UIDs.",
        ("G9", "G16"),
        ("acceptance/test_stopping.py", "database/test_upgrades.py", "test_restored.py"),
    ),
    Promise(
        "P14",
        "work",
        "Trouble with the database: a bounded wait, then A700; a damaged one stops the start, and "
        "none is made in its place.",
        ("G7", "G9"),
        ("database/test_soundness.py",),
    ),
    Promise(
        "P15",
        "access",
        "Nobody may do anything unless an entry of `accept` names title, address and, with TLS, "
        "certificate.",
        ("A14", "A15", "H9"),
        ("receive/test_server.py", "config/test_load.py"),
    ),
    Promise(
        "P16",
        "access",
        "TLS 1.2 or newer with certificates on both sides; a handshake never holds up others; an "
        "end is told 30 days ahead.",
        ("A10", "A17", "H4", "H5"),
        ("receive/test_tls.py", "peers/test_tls.py"),
    ),
    Promise(
        "P17",
        "access",
        "Limits: no peer can stop or fill the node by being slow, large or many.",
        ("A1", "A2", "A3", "A4", "A6", "A7", "A18", "A19", "A23", "A24", "A25", "C7"),
        ("receive/test_transport_faults.py",),
    ),
    Promise(
        "P18",
        "access",
        "Bombs: nothing is inflated or decoded at reception; sizes are computed before pixels are.",
        ("C5", "C12", "C13"),
        ("loading/test_hostile_pixels.py",),
    ),
    Promise(
        "P19",
        "access",
        "Nothing from the wire is part of a path; files are 0600, folders 0700.",
        ("B6", "C16"),
        ("test_spool.py",),
    ),
    Promise(
        "P20",
        "privacy",
        "No log, metric, error or name of a file holds what identifies a patient.",
        ("D28", "H6"),
        ("test_log.py", "acceptance/test_canary.py"),
    ),
    Promise(
        "P21",
        "privacy",
        "Audit: who did what with whose images is kept in DICOM audit messages, and is sent to a "
        "repository when one is named.",
        ("H7",),
        ("audit",),
    ),
    Promise(
        "P22",
        "privacy",
        "Character sets: names are the source's own, byte for byte or with equal code points.",
        (),
        ("encoders/test_charsets.py", "receive/test_charsets.py"),
    ),
    Promise(
        "P23",
        "work",
        "Clocks: durations do not depend on a clock that somebody sets; a wrong one deletes "
        "nothing.",
        ("D29",),
        ("test_clock.py", "test_purge.py", "test_schedule.py"),
    ),
    Promise(
        "P24",
        "work",
        "UIDs of results are derived from the job, so that a retry makes the same.",
        (),
        ("test_uids.py", "database/test_jobs.py"),
    ),
    Promise(
        "P25",
        "operation",
        "Configuration fails closed: any mistake ends the start with file, line and key; a reload "
        "is all or nothing.",
        ("H1", "H2"),
        ("config/test_load.py",),
    ),
    Promise(
        "P26",
        "operation",
        "Models are code: they run when every file has its pinned hash and the known answer is "
        "given; nothing is unpickled or downloaded.",
        ("E12", "E13"),
        ("models/installation/test_install.py", "models/answering/test_known_answer.py"),
    ),
    Promise(
        "P27",
        "operation",
        "Storage commitment: as SCU a result is done when the peer has committed to it; as SCP the "
        "answers come from files whose hashes were checked.",
        ("F9", "F11"),
        ("test_confirm.py", "receive/test_commitment.py", "acceptance/test_commitment.py"),
    ),
    Promise(
        "P28",
        "operation",
        "The books balance: received = stored + refused, and every study has a state, a reason and "
        "a next step.",
        ("E14", "D25"),
        ("acceptance/test_books.py", "database/test_tallies.py", "test_next_step.py"),
    ),
    Promise(
        "P29",
        "operation",
        "Sources are deleted after delivery and retention alone, or by a person who says so.",
        ("H7",),
        ("test_purge.py",),
    ),
    Promise(
        "P30",
        "operation",
        "Backups are made while it runs, and putting one back is tested.",
        ("G16",),
        ("acceptance/test_backup.py",),
    ),
    Promise(
        "P31",
        "operation",
        "`doctor` looks at database, files, books, space, clock, versions, certificates, models "
        "and peers.",
        ("G13", "H5"),
        ("doctor/test_doctor.py",),
    ),
)
