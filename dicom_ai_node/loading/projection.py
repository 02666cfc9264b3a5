"""Single images for models that look at one at a time: radiographs, or slices by themselves."""

from collections.abc import Sequence

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import words_of
from dicom_ai_node.image_spacing import spacing_in_image
from dicom_ai_node.input import ProjectionImage
from dicom_ai_node.loading.fill import filled
from dicom_ai_node.loading.frame_header import number_of_frames
from dicom_ai_node.loading.frames import Frame
from dicom_ai_node.loading.values import without_padding


def projection_images(frames: Sequence[Frame]) -> tuple[ProjectionImage, ...]:
    """One a frame, in the order of the SOP Instance UIDs; each may have a size of its own."""
    found = [_image(frame) for frame in frames]
    return tuple(sorted(found, key=lambda image: image.sop_instance_uid))


def _image(frame: Frame) -> ProjectionImage:
    header = frame.image.header
    if number_of_frames(header) != 1:
        raise InputError("This is a multi-frame object, where single images are needed.")
    array = filled([frame])
    if frame.transform.padding is not None:
        without_padding(array)
    return ProjectionImage(
        array=array[0],
        sop_instance_uid=words_of(header, "SOPInstanceUID")[0],
        pixel_spacing=spacing_in_image(header),
    )
