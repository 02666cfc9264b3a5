"""A storage SCP as pynetdicom's documentation writes one, and an fsync.

python -m benchmarks.ingest_pynetdicom PORT FOLDER
"""

import os
import sys
from pathlib import Path
from typing import cast

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE


def _store(event: evt.Event, folder: Path) -> int:
    request = cast("C_STORE", event.request)
    # the UID is a path here because the sender is the benchmark's own
    with (folder / str(request.AffectedSOPInstanceUID)).open("wb") as file:
        file.write(event.encoded_dataset())
        file.flush()
        os.fsync(file.fileno())
    return 0x0000


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    ae = AE()
    ae.supported_contexts = AllStoragePresentationContexts
    ae.start_server(
        ("127.0.0.1", port), block=True, evt_handlers=[(evt.EVT_C_STORE, _store, [folder])]
    )


if __name__ == "__main__":
    main()
