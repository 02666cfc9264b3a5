"""`limits`: what a peer may cost."""

from typing import Annotated

from pydantic import Field

from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import Count, Seconds


class LimitsSettings(Strict):
    """What a peer may cost. Nobody can stop the node, or fill it, by being slow, large or many.

    Every breach is logged, once a minute for each address. `…_s` are seconds, on a clock that
    nobody sets.
    """

    associations: Count = 32
    """Associations in all; more are told 2,3,2 (temporary congestion)."""
    associations_per_peer: Count = 8
    """Associations of one entry of `accept`; more are told 2,3,2."""
    connections: Count = 64
    """TCP connections in all, associated or not yet; more are closed."""
    connections_per_s: Annotated[float, Field(gt=0)] = 20
    """New connections per second of one address, of which five seconds' worth may come at once;
    more are closed."""
    pdu_bytes: Annotated[int, Field(ge=4096, le=16_777_216)] = 131_072
    """The longest PDU, which is announced to peers; a longer one ends the association."""
    pdu_s: Seconds = 30
    """The time for one PDU, however it drips in."""
    request_s: Seconds = 30
    """From the connection to the whole A-ASSOCIATE-RQ; a TLS handshake has 10 of these seconds."""
    idle_s: Seconds = 60
    """An association on which nothing comes for so long is ended."""
    send_s: Seconds = 30
    """How long a peer may take to read an answer."""
    store_s: Seconds = 600
    """The longest time for one C-STORE."""
    store_bytes_per_s: Annotated[float, Field(ge=0)] = 10_240
    """The lowest rate of a C-STORE, in bytes per second: slower than that is no transfer."""
    object_bytes: Count = 4_294_967_296
    """The largest instance, in bytes; a larger one is refused with A700, and the association is
    aborted."""
    study_instances: Count = 20_000
    """The most instances of one study; more are refused with C001."""
    waiting_studies: Count = 10_000
    """The most studies that are not settled, or have a job that is queued; more are refused with
    2,3,1."""
    space_soft_mb: Annotated[int, Field(ge=0)] = 2048
    """With less free on the disks of spool and database, in MB, no new association is taken
    (2,3,1), until there is more again."""
    space_hard_mb: Annotated[int, Field(ge=0)] = 512
    """With less free, in MB, no instance is taken (A700), until there is more again."""
