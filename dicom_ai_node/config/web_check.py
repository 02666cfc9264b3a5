"""What is wrong with `web` as a whole."""

from collections.abc import Iterator

from dicom_ai_node.config.observe import WebSettings
from dicom_ai_node.config.peers import is_loopback

Location = tuple[str, ...]


def mistakes_of_web(web: WebSettings) -> Iterator[tuple[Location, str]]:
    """Where, and what to do: nobody may read along (P15, P16), and nobody reach it unasked."""
    if web.port is None:
        return
    if not (is_loopback(web.host) or web.tls is not None or web.allow_plaintext):
        yield (
            ("web", "host"),
            (
                "tokens would cross the network unprotected: configure web.tls, or set "
                "web.allow_plaintext: true behind a proxy with https"
            ),
        )
    proxy = web.proxy
    if proxy is not None and not (proxy.look or proxy.act or proxy.configure):
        yield ("web", "proxy"), "nobody could do anything: name groups under look, act or configure"
