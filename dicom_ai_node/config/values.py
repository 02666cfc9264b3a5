"""What single values of the configuration may be."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from dicom_ai_node.uids import is_uid


def _not_blank(title: str) -> str:
    if not title.strip():
        raise ValueError("an AE title must not be blank")
    return title


# PS3.5 6.2: 16 characters of the default repertoire, no backslash, no control characters
AETitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[ -\[\]-~]{1,16}$"),
    AfterValidator(_not_blank),
]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
ListenPort = Annotated[int, Field(ge=0, le=65535, strict=True)]  # 0: any free port, for tests
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _network(value: Any) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value)
    except ValueError:
        raise ValueError("write an address or a whole network: 10.0.0.5, 10.0.0.0/24") from None


Network = Annotated[
    IPv4Network | IPv6Network, BeforeValidator(_network, json_schema_input_type=str)
]


def _uid(text: str) -> str:
    if not is_uid(text):
        raise ValueError("write a SOP Class UID, such as 1.2.840.10008.5.1.4.1.1.66")
    return text


Uid = Annotated[str, AfterValidator(_uid)]
# in the words of ECMA 262, which editors understand
_CERTIFICATE = r"^([dD][nN][sS]:[A-Za-z0-9.-]{1,253}|[sS][hH][aA]256:[0-9A-Fa-f]{64})$"
# a DNS name of the certificate's subjectAltName, or the SHA-256 of its public key (SPKI)
CertificateName = Annotated[
    str,
    StringConstraints(to_lower=True, pattern=_CERTIFICATE),
]


def as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value
