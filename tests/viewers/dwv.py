"""dwv, the second viewer: it reads a SEG over its images, and says what it has read."""

from typing import Any

from tests.viewers.room import Room

_DONE = "() => window.seen?.stage === 'done'"


def read(room: Room, study: str, images: str, seg: str) -> dict[str, Any]:
    """`counts` of voxels by segment number, `segments` with label and color, and `errors`."""
    room.ohif.leave()
    room.page.goto(f"{room.dwv.url}/?study={study}&images={images}&seg={seg}")
    room.page.wait_for_function(_DONE, timeout=120_000)
    return dict(room.page.evaluate("() => window.seen"))
