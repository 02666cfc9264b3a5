"""The colours that a Color Softcopy State must name: the source's, or the usual ones."""

from io import BytesIO

from PIL import ImageCms

DATE, DEVICE_CLASS, PROFILE_ID = slice(24, 36), slice(12, 16), slice(84, 100)  # ICC.1 7.2
INPUT_SPACES = (("RGB", "XYZ"), ("RGB", "Lab"))


def profile_of(said: object) -> bytes:
    """The source's ICC Profile, where it is one of an input device as a state may have it (PS3.3
    C.11.15.1.1); sRGB where there is none, or that of a monitor, or what nobody can read."""
    if isinstance(said, bytes) and _is_of_input(said):
        return said
    return srgb_profile()


def _is_of_input(content: bytes) -> bool:
    try:
        found = ImageCms.ImageCmsProfile(BytesIO(content)).profile
    except OSError:
        return False
    spaces = found.xcolor_space.strip(), found.connection_space.strip()
    return found.device_class.strip() in ("scnr", "spac") and spaces in INPUT_SPACES


def srgb_profile() -> bytes:
    """sRGB as an input profile (PS3.3 C.11.15.1.1), without the hour at which it was made."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    profile = bytearray(made.tobytes())
    profile[DATE] = bytes(12)
    profile[PROFILE_ID] = bytes(16)
    profile[DEVICE_CLASS] = b"scnr"
    return bytes(profile)
