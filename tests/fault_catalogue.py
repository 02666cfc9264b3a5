"""Bad inputs and faults, and what the node does about each: what `@pytest.mark.fault` names.

`python -m scripts.faults` writes docs/faults.md from these rows and the tests that name them.
"""

from dataclasses import dataclass

PARTS = {
    "A": "Transport and association",
    "B": "DIMSE message and identity",
    "C": "Encoding and parsing",
    "D": "Study content",
    "E": "Model and worker",
    "F": "Delivery",
    "G": "Storage, database, host",
    "H": "Configuration, time, security, people",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One row; the first letter of its id is its part, and a missing number was never given."""

    id: str
    fault: str
    expected: str

    @property
    def part(self) -> str:
        return self.id[0]


CATALOGUE: tuple[Fault, ...] = (
    Fault(
        "A1",
        "A TCP connection that says nothing",
        "closed within 30 s; others are served meanwhile",
    ),
    Fault(
        "A2",
        "Three bytes of a PDU header, and then nothing",
        "closed at the deadline for a PDU",
    ),
    Fault(
        "A3",
        "A PDU header and a part of the body, and then nothing",
        "closed at the deadline for a PDU",
    ),
    Fault(
        "A4",
        "A PDU that drips in, one byte every 2 s",
        "closed at the same deadline: it is for the whole PDU, not for each read",
    ),
    Fault(
        "A6",
        "The peer's host vanishes: packets are dropped, no FIN comes",
        "the association ends at the idle limit at the latest; TCP keepalive is on",
    ),
    Fault(
        "A7",
        "A declared length of 4 GiB: before and within an association, P-DATA and RELEASE",
        "closed before 32 MiB are read; memory stays flat",
    ),
    Fault(
        "A8",
        "A PDU of the unknown type 0x5A with fewer than 6 bytes after it",
        "A-ABORT 2,1, and the connection is closed",
    ),
    Fault(
        "A9",
        "HTTP, a TLS ClientHello or an SSH banner on the DICOM port",
        "closed",
    ),
    Fault(
        "A10",
        "Plain DICOM, half a ClientHello or silence on the TLS port",
        "that connection ends; others are served meanwhile",
    ),
    Fault(
        "A11",
        "A-ASSOCIATE-RQ of length 0, with an item past its end, 300 contexts, even or repeated ids",
        "A-ASSOCIATE-RJ or A-ABORT",
    ),
    Fault(
        "A12",
        "Protocol version 0 or 2",
        "A-ASSOCIATE-RJ 1,2,2",
    ),
    Fault(
        "A13",
        "An unknown application context name",
        "A-ASSOCIATE-RJ 1,1,2",
    ),
    Fault(
        "A14",
        "A wrong called AE title; an unknown calling AE title",
        "A-ASSOCIATE-RJ 1,1,7; A-ASSOCIATE-RJ 1,1,3",
    ),
    Fault(
        "A15",
        "AE titles of spaces, NULs, letters beyond ASCII, ESC, `../x`, 16 × `A`, lower case",
        "rejected, or an exact match; never in a path, never unescaped in the log",
    ),
    Fault(
        "A17",
        "A certificate that is expired, revoked, self-signed or not there; TLS 1.0 and 1.1",
        "the handshake fails; others are served",
    ),
    Fault(
        "A18",
        "120 associations at once",
        "A-ASSOCIATE-RJ 2,3,2 beyond the limit; it recovers when they end",
    ),
    Fault(
        "A19",
        "Connect and close, 2000 times a second, for 60 s",
        "the rate is limited, other peers are served, open descriptors stay flat",
    ),
    Fault(
        "A20",
        "Both sides ask for release at once; A-RELEASE-RQ in the middle of a C-STORE",
        "a clean end (PS3.8 9.2), and nothing of the object is queued",
    ),
    Fault(
        "A21",
        "A-ABORT, FIN or RST in the middle of an object",
        "nothing of the object is left",
    ),
    Fault(
        "A22",
        "A second A-ASSOCIATE-RQ, an A-ASSOCIATE-AC from the requestor, an unasked A-RELEASE-RP",
        "A-ABORT 2,2 (unexpected PDU)",
    ),
    Fault(
        "A23",
        "The peer's maximum length is 1, 7, 0 or 0xFFFFFFFF",
        "it works or is aborted; no division by zero, no huge buffer",
    ),
    Fault(
        "A24",
        "An asynchronous window without limit (0,0), then 1000 requests and no answer is read",
        "the window is answered with 1,1; the peer has to wait, and memory stays bounded",
    ),
    Fault(
        "A25",
        "The peer never reads our answers: its TCP window is zero",
        "sending times out, and the association is aborted",
    ),
    Fault(
        "B1",
        "The SOP Instance UIDs of command and data set differ",
        "A900",
    ),
    Fault(
        "B2",
        "The SOP classes of command and data set differ, as MR and CT",
        "A900",
    ),
    Fault(
        "B3",
        "A C-STORE under the Verification context",
        "A900 or A-ABORT",
    ),
    Fault(
        "B4",
        "A message under a context that was rejected or never asked for",
        "A-ABORT",
    ),
    Fault(
        "B6",
        "`../`, an absolute path, NUL, CR LF, quotes, `$()` or Latin-1 in each of the three UIDs",
        "C000",
    ),
    Fault(
        "B7",
        "A UID of 65 characters, of 64, of none, `1..2`, with a last dot, with a zero as in `1.02`",
        "C000, but for 64 characters and for a leading zero: 0000",
    ),
    Fault(
        "B8",
        "No SOP Instance, Study or Series Instance UID",
        "C000",
    ),
    Fault(
        "B9",
        "An unknown Command Field, missing elements, a random command set, a response unasked",
        "A-ABORT or close; no thread is left",
    ),
    Fault(
        "B10",
        "A PDV of length 0, 1 or past its PDU; empty P-DATA; data before a command; two commands",
        "A-ABORT",
    ),
    Fault(
        "B11",
        "A message that is never finished",
        "the association ends at the idle limit",
    ),
    Fault(
        "B12",
        "A Message ID is used again before it is answered",
        "0210, or both are served in order",
    ),
    Fault(
        "B13",
        "Absurd values in the Move Originator elements",
        "they are ignored",
    ),
    Fault(
        "B14",
        "A private or retired SOP class, Raw Data, RT, a waveform, PDF, video",
        "no context by default; where it is accepted: stored, not processed, and said so",
    ),
    Fault(
        "B15",
        "C-FIND, C-MOVE or N-CREATE to a node that only stores",
        "the context is refused",
    ),
    Fault(
        "C1",
        "Explicit VR where implicit was agreed, and the reverse; big endian where little was",
        "C000",
    ),
    Fault(
        "C2",
        "Cut off within the pixel data; a length of 0xFFFFFFF0",
        "C000",
    ),
    Fault(
        "C4",
        "Random bytes, no bytes at all, or a Part 10 file as the data set",
        "C000",
    ),
    Fault(
        "C5",
        "200 bytes of JPEG 2000, JPEG-LS or RLE that say 60000 × 60000",
        "refused before decoding: failed in less than 5 s, memory below its limit",
    ),
    Fault(
        "C6",
        "Sequences nested 50, 500 and 20 000 deep",
        "stored up to the limit, C000 beyond it; never a crash",
    ),
    Fault(
        "C7",
        "A million private elements, 65 535 items of a sequence, a text of 100 MB",
        "limits hold, and the node goes on",
    ),
    Fault(
        "C8",
        "Private blocks without a creator, VRs like `??` and `ZZ`, UN of undefined length",
        "kept byte for byte",
    ),
    Fault(
        "C9",
        "Values of odd length",
        "stored as it came",
    ),
    Fault(
        "C10",
        "A wrong group length, elements out of order, the same tag twice",
        "stored as it came; C000 where an identifying element comes twice",
    ),
    Fault(
        "C11",
        "Trailing padding (FFFC,FFFC), and group FFFE at the top level",
        "kept",
    ),
    Fault(
        "C12",
        "Encapsulated: a wrong or extended offset table, a fragment or the delimiter missing",
        "the job fails with a reason; frames never change their order",
    ),
    Fault(
        "C13",
        "Bits, components or size of a JPEG stream are not those of the data set",
        "refused: neither of them is trusted silently",
    ),
    Fault(
        "C14",
        "Lossy JPEG or JPEG 2000 where the model wants lossless images",
        "as the model's description says, and the result states it",
    ),
    Fault(
        "C15",
        "Rows and Columns encoded as UL or SS",
        "refused",
    ),
    Fault(
        "C16",
        "A preamble that is the head of a PE, ELF or Mach-O program, in a file that is read in",
        "refused; no stored file is ever executable",
    ),
    Fault(
        "C17",
        "Bits flipped in what a real sender said, 10 000 seeds",
        "no crash, no leak, no hang",
    ),
    Fault(
        "D1",
        "A slice in the middle is missing",
        "incomplete: refused, with the reason",
    ),
    Fault(
        "D3",
        "Slices at the end are missing, and Images in Acquisition (0020,1002) says so",
        "incomplete: refused, with the reason",
    ),
    Fault(
        "D4",
        "Two instances at one position",
        "refused",
    ),
    Fault(
        "D6",
        "An instance twice; the whole study twice; from two senders at once",
        "one result",
    ),
    Fault(
        "D7",
        "Several Patient IDs in a study, another name, or no ID",
        "the study waits for a person (`needs_review`)",
    ),
    Fault(
        "D8",
        "One Study Instance UID for two patients, a week apart",
        "the study waits for a person (`needs_review`)",
    ),
    Fault(
        "D9",
        "A localizer, a dose report or a secondary capture within the series",
        "left out by a rule and counted, or refused",
    ),
    Fault(
        "D10",
        "Several orientations, matrices or frames of reference in a series",
        "split or refused",
    ),
    Fault(
        "D12",
        "Pixel data that is too short",
        "refused",
    ),
    Fault(
        "D13",
        "Gantry tilt: a sheared stack",
        "refused, or corrected openly; a SEG has the geometry of its source",
    ),
    Fault(
        "D14",
        "Image Orientation (Patient) that is not of unit length or not orthogonal",
        "refused",
    ),
    Fault(
        "D15",
        "A spacing of NaN, 0, 1e400 or less than nothing",
        "refused",
    ),
    Fault(
        "D16",
        "NaN in the position of one image; a decimal comma, as in `1,5`",
        "refused",
    ),
    Fault(
        "D17",
        "No position, orientation or pixel spacing",
        "refused by every model that wants a volume",
    ),
    Fault(
        "D18",
        "A rescale slope of NaN or 0, no intercept, two rescales in a series, a modality LUT",
        "refused, or applied slice by slice",
    ),
    Fault(
        "D19",
        "Bits Stored 40, High Bit 3, signed beside unsigned, padding values",
        "refused or honoured",
    ),
    Fault(
        "D20",
        "No rows; one slice; 20 000 slices",
        "refused; refused for a volume; stopped by the limit",
    ),
    Fault(
        "D21",
        "Instance Numbers all 1, reversed, or with gaps",
        "the order is that of the geometry",
    ),
    Fault(
        "D22",
        "Enhanced multi-frame CT and MR, concatenations, missing per-frame groups",
        "supported, or refused with the word multi-frame",
    ),
    Fault(
        "D23",
        "MONOCHROME1, PALETTE COLOR and RGB in CT, YBR in US",
        "inverted as it should be, or refused",
    ),
    Fault(
        "D24",
        "Several phases, echoes or b-values in one series",
        "one of them by a rule, or refused; never interleaved",
    ),
    Fault(
        "D25",
        "A modality or body part that the model is not for; a child; a phantom",
        "out of its scope: not processed, and said so",
    ),
    Fault(
        "D26",
        "A Modality that is not true: XA that is called CT",
        "refused by its SOP class",
    ),
    Fault(
        "D28",
        "Line breaks and terminal commands in descriptions and names",
        "escaped in the log",
    ),
    Fault(
        "D29",
        "Dates in the future, 1 January 1900, no times",
        "processed; nothing that sorts or purges by date crashes",
    ),
    Fault(
        "D30",
        "Our own SEG or SR, or another program's result, comes back",
        "stored or ignored, never processed: no feedback loop",
    ),
    Fault(
        "E1",
        "The model raises",
        "failed after its tries, with a reason; the queue goes on",
    ),
    Fault(
        "E2",
        "The model hangs: asleep, in a loop that holds the GIL, in a deadlock",
        "killed at its limit, 3 tries, then quarantined",
    ),
    Fault(
        "E3",
        "An answer of the wrong shape, type or place, or with a class that no segment has",
        "the contract is checked: no result",
    ),
    Fault(
        "E4",
        "All background; all foreground; probabilities above 1",
        "judged by the rules for what is plausible; no finding is a result of its own",
    ),
    Fault(
        "E5",
        "NaN or infinity in one voxel of the answer",
        "no result: failed",
    ),
    Fault(
        "E6",
        "CUDA is out of memory, once or always; an illegal memory access",
        "tried again with less; failed; the process is replaced",
    ),
    Fault(
        "E7",
        "No GPU, a GPU that is lost, a driver that does not fit",
        "the CPU where that is allowed, else no more jobs are taken, and an alarm",
    ),
    Fault(
        "E8",
        "The kernel's OOM killer takes the worker",
        "only that study is affected",
    ),
    Fault(
        "E10",
        "A model fills the temporary folder, writes to the spool, opens a socket",
        "its quota ends it; refused; blocked",
    ),
    Fault(
        "E11",
        "A retry finds something else than the first attempt",
        "the first result that is stored wins",
    ),
    Fault(
        "E12",
        "A model's file is changed, cut off or replaced while the node runs",
        "its hash differs: the model is disabled",
    ),
    Fault(
        "E13",
        "A pickle with code, an archive that leads out of its folder, `$import os` in a bundle",
        "not loaded",
    ),
    Fault(
        "E14",
        "Two models for a study, and one of them fails",
        "the other's result is delivered; the state says that a part is missing",
    ),
    Fault(
        "E15",
        "The attempt process leaks 50 MB with each study",
        "it is replaced after so many studies",
    ),
    Fault(
        "E16",
        "A worker is stopped for 10 minutes (SIGSTOP), and goes on",
        "its lease is lost, and what it would publish is refused",
    ),
    Fault(
        "E17",
        "An encoder at fault: another patient, frame of reference, place, voxel, side or number",
        "found when the objects are read back: destroyed, alarmed, reported as a failed analysis",
    ),
    Fault(
        "E18",
        "A model writes into the results of the study beside it",
        "found in the worker: destroyed, alarmed, the job is quarantined, nothing of it is sent",
    ),
    Fault(
        "F1",
        "Connection refused; the host is down; its name is unknown",
        "tried again, ever more slowly",
    ),
    Fault(
        "F2",
        "An association refused for now (2,3,1); refused for good (1,1,3)",
        "tried again; an alarm at once, and tried again slowly",
    ),
    Fault(
        "F3",
        "The peer accepts no SEG but SR, or the reverse",
        "a partial state and an alarm; another kind of object only where configured",
    ),
    Fault(
        "F4",
        "A700; C000; 0122; the unknown 1234",
        "tried again; given up; given up; given up with an alarm",
    ),
    Fault(
        "F5",
        "B000, B006 or B007",
        "delivered, and the warning is kept; B006 is flagged: elements were discarded",
    ),
    Fault(
        "F7",
        "An abort in the middle of a store; an abort after the first of two objects",
        "only what is missing is sent again",
    ),
    Fault(
        "F8",
        "The peer never answers",
        "a timeout; other peers are not affected",
    ),
    Fault(
        "F9",
        "The peer answers 0000, and forgets",
        "found by storage commitment, and sent again",
    ),
    Fault(
        "F11",
        "The PACS changes UIDs or coerces values when it stores",
        "commitment or verification notices; nothing is there twice",
    ),
    Fault(
        "F12",
        "A maximum length of 4096; implicit VR alone; one context alone",
        "delivered",
    ),
    Fault(
        "F13",
        "A peer is taken out of the configuration while results wait for it",
        "they are kept as undeliverable, with an alarm",
    ),
    Fault(
        "F14",
        "0111: the peer has this instance already",
        "counts as delivered",
    ),
    Fault(
        "G2",
        "The power is cut: pages that were not synced are gone",
        "what was acknowledged is there, results keep their UIDs, leases hold",
    ),
    Fault(
        "G3",
        "No space is left for the spool, and later there is",
        "A700, then 0000",
    ),
    Fault(
        "G4",
        "The disk is full up to the watermark",
        "A-ASSOCIATE-RJ 2,3,1",
    ),
    Fault(
        "G5",
        "No inodes are left, a quota is exceeded, the disk is mounted read-only",
        "A700 and an alarm",
    ),
    Fault(
        "G7",
        "Another process locks the database for 60 s",
        "waits, answers A700, recovers",
    ),
    Fault(
        "G8",
        "PostgreSQL restarts or fails over in the middle of a commit",
        "looked up again by UID: the same end, whether it was committed or not",
    ),
    Fault(
        "G9",
        "The database is corrupt, its `-wal` file is gone, its schema is older or newer",
        "does not start, and says how to go on",
    ),
    Fault(
        "G11",
        "A file of the spool is deleted, cut off or damaged after it was acknowledged",
        "its hash is checked: an alarm, and it is not processed",
    ),
    Fault(
        "G12",
        "Two nodes on one spool or database; with one AE title and port",
        "the second does not start",
    ),
    Fault(
        "G13",
        "The spool lies on NFS; a slow disk, 1 s for each fsync",
        "a warning at the start; senders wait, and none times out",
    ),
    Fault(
        "G14",
        "No descriptors, threads or processes are left",
        "A-ASSOCIATE-RJ 2,3,1; it recovers",
    ),
    Fault(
        "G15",
        "A folder with 10 million files; permissions changed to 000",
        "works, as files are spread over folders; an alarm",
    ),
    Fault(
        "G16",
        "A backup is restored: the database is older than the spool, or the reverse",
        "reconciled, and no result gets a new UID",
    ),
    Fault(
        "H1",
        "Unknown keys, wrong types, AE titles twice, a port in use, missing models and key files,"
        " YAML bombs, BOM, CRLF, tabs",
        "ends with a status that is not 0, and names line and key",
    ),
    Fault(
        "H2",
        "The configuration becomes invalid while the node runs, or is half written",
        "the old one stays",
    ),
    Fault(
        "H4",
        "A certificate expires while the node runs, or is replaced",
        "an alarm ahead of time; read again without a restart",
    ),
    Fault(
        "H5",
        "A key that everybody may read; a spool of another user; the node runs as root",
        "refuses or warns",
    ),
    Fault(
        "H6",
        "SQL in every text attribute",
        "parameters are bound: it stays text",
    ),
    Fault(
        "H7",
        "An administrator deletes a running study, retries a delivered one, drains the node",
        "safe, and on record",
    ),
    Fault(
        "H9",
        "The status page is reached from outside; injected headers; huge requests",
        "loopback alone by default, else authentication and limits",
    ),
    Fault(
        "H10",
        "A dependency with a known CVE or without a pin; a wheel with another hash",
        "the build fails",
    ),
)
