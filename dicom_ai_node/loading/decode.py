"""The bytes of one frame become an array of stored values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGLSTransferSyntaxes

from dicom_ai_node.errors import InputError
from dicom_ai_node.loading.pixels import PixelFormat

Stored = NDArray[Any]


def plain(stream: memoryview | bytes, form: PixelFormat, *, little_endian: bool) -> Stored:
    """A view of uncompressed pixels."""
    kind = "f" if form.floating else "i" if form.signed else "u"
    order = "<" if little_endian else ">"
    size = form.allocated // 8
    pixels = np.frombuffer(stream, f"{order}{kind}{size}", form.rows * form.columns)
    return pixels.reshape(form.rows, form.columns)


def decode(syntax: UID, stream: bytes, form: PixelFormat) -> Stored:
    """A compressed frame; InputError where its decoder fails."""
    decoder = get_decoder(syntax)
    # twice as fast as GDCM, which hands its pixels over as text
    quick = "pyjpegls" in decoder.available_plugins and syntax in JPEGLSTransferSyntaxes
    options: dict[str, Any] = {
        "transfer_syntax_uid": syntax,
        "pixel_keyword": "PixelData",
        "rows": form.rows,
        "columns": form.columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "number_of_frames": 1,
        "bits_allocated": form.allocated,
        "bits_stored": form.stored,
        "pixel_representation": int(form.signed),
        "decoding_plugin": "pyjpegls" if quick else "",
    }
    try:
        array, _ = decoder.as_array(encapsulate([stream]), index=0, raw=True, **options)
    except (ValueError, AttributeError, RuntimeError) as error:
        kind = type(error).__name__
        raise InputError(f"The pixel data of an image cannot be decoded ({kind}).") from error
    return np.asarray(array)
