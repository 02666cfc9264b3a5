"""`accept`: who may connect, and what each may do."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.studies import CompleteSettings
from dicom_ai_node.config.values import AETitle, CertificateName, Network, as_list

Right = Literal["echo", "store", "commitment", "notify"]


class AcceptEntry(Strict):
    """Who may do what: this AE title, from these addresses, with this certificate. Nobody else.

    An entry with certificates is for the port with TLS, one without for the port without.
    """

    ae_title: AETitle
    """The AE title with which it calls, letter by letter."""
    from_: Annotated[tuple[Network, ...], Field(alias="from", min_length=1)]
    """Its addresses, or whole networks: `[10.0.0.5, 10.1.0.0/24]`."""
    certificate: Annotated[
        tuple[CertificateName, ...],
        BeforeValidator(as_list, json_schema_input_type=CertificateName | tuple[str, ...]),
    ] = ()
    """What it shows on the port with TLS: `dns:NAME`, a DNS name in the certificate, or
    `sha256:HASH`, the hash of its public key."""
    may: tuple[Right, ...] = ("echo", "store", "commitment")
    """What it may ask for; `notify`: send MPPS and Instance Availability Notification, too."""
    complete: CompleteSettings = CompleteSettings()
    """How its studies are found complete, where that differs from `study`:
    [completion.md](completion.md)."""
