"""The key of a site's pseudonyms: a file that only the node may read, made when it is needed."""

import os
import secrets

from dicom_ai_node.config.settings import Config
from dicom_ai_node.deidentification.pseudonyms import KEY_BYTES
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.secret import read_secret
from dicom_ai_node.spool import Spool, durable_write

_KEY = "privacy.key_file"


def read_site_key(config: Config, spool: Spool) -> bytes:
    """Raises ConfigError for one that others may read, or that is too short to be any."""
    path = config.privacy.key_file or spool.root / "pseudonym-key"
    if not path.exists():
        part = spool.incoming / f"pseudonym-key-{os.getpid()}"
        try:
            durable_write(path, [secrets.token_hex(KEY_BYTES).encode()], part)
        except OSError as error:
            raise ConfigError(f"{_KEY}: {path} cannot be made ({error.strerror})") from None
    key = read_secret(_KEY, path)
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"{_KEY}: {path} is shorter than {KEY_BYTES} bytes: remove it, and it is made anew"
        )
    return key
