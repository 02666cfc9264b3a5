"""The colours of a source that does not say which it has: a Color Softcopy State must name them."""

from PIL import ImageCms

DATE, DEVICE_CLASS, PROFILE_ID = slice(24, 36), slice(12, 16), slice(84, 100)  # ICC.1 7.2


def srgb_profile() -> bytes:
    """sRGB as an input profile (PS3.3 C.11.15.1.1), without the hour at which it was made."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    profile = bytearray(made.tobytes())
    profile[DATE] = bytes(12)
    profile[PROFILE_ID] = bytes(16)
    profile[DEVICE_CLASS] = b"scnr"
    return bytes(profile)
