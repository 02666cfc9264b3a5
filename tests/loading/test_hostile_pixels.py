"""Images made to mislead a decoder, or to kill it: refused in words and at no cost, and the next
study is analysed by the same process."""

import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.engines.local import LocalEngine
from dicom_ai_node.errors import InputError
from dicom_ai_node.folder import series_of
from dicom_ai_node.header import data_of
from dicom_ai_node.job import Outcome
from dicom_ai_node.loading.load import load
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request
from dicom_ai_node.study import IMAGE
from tests.dicom_factory import asymmetric, series, write
from tests.made import bright

SECONDS = 5
MIB = 64  # that an attempt may need beyond what its process has; a bomb wants hundreds
SHAPE = (4, 48, 40)
CHEST = asymmetric(SHAPE) + np.random.default_rng(1).integers(-50, 50, SHAPE, np.int16)
EOI = b"\xff\xd9"

GDCM_SYNTAX = {
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
    JPEG2000Lossless: gdcm.TransferSyntax.JPEG2000Lossless,
}
Change = Callable[[list[Dataset]], object]


# --- what is sent ---------------------------------------------------------------------------


def chest() -> list[Dataset]:
    return series(shape=SHAPE, pixels=CHEST)


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + len(value).to_bytes(4, "little") + value


def put_stream(ds: Dataset, syntax: UID, *fragments: bytes, table: bytes = b"") -> None:
    ds.file_meta.TransferSyntaxUID = syntax
    even = [fragment + bytes(len(fragment) % 2) for fragment in fragments]
    ds.PixelData = item(table) + b"".join(item(fragment) for fragment in even)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


def put(ds: Dataset, **values: object) -> None:
    """New elements: instances of a series share theirs."""
    for keyword, value in values.items():
        ds.pop(keyword, None)
        setattr(ds, keyword, value)


def stream_of(ds: Dataset, syntax: UID, folder: Path) -> bytes:
    """The pixels of an uncompressed instance as GDCM compresses them."""
    folder.mkdir(exist_ok=True)
    plain, made = folder / "plain.dcm", folder / "made.dcm"
    ds.save_as(plain, enforce_file_format=True)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(GDCM_SYNTAX[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(made))
    assert writer.Write()
    value = pydicom.dcmread(made).PixelData
    length = int.from_bytes(value[12:16], "little")  # after an empty table, one fragment
    return value[16 : 16 + length]


def compress(instances: Sequence[Dataset], syntax: UID, folder: Path) -> None:
    for ds in instances:
        put_stream(ds, syntax, stream_of(ds, syntax, folder))


def j2k(
    rows: int, columns: int, *, samples: int = 1, depth: int = 0x8F, tile: int | None = None
) -> bytes:
    """A JPEG 2000 code stream of nothing: `depth` is bits - 1, and 0x80 for signed."""
    tiles = (tile or columns, tile or rows)
    siz = struct.pack(">HH8LH", 38 + 3 * samples, 0, columns, rows, 0, 0, *tiles, 0, 0, samples)
    siz += bytes([depth, 1, 1]) * samples
    cod = struct.pack(">HBBHBBBBBB", 12, 0, 0, 1, 0, 5, 4, 4, 0, 1)
    qcd = struct.pack(">HB", 19, 0x40) + bytes([0x48] * 16)
    tile_part = b"\xff\x90" + struct.pack(">HHLBB", 10, 0, 14, 0, 1) + b"\xff\x93"
    return b"\xff\x4f\xff\x51" + siz + b"\xff\x52" + cod + b"\xff\x5c" + qcd + tile_part + EOI


def jpeg(sof: int, rows: int, columns: int, *, bits: int = 16, samples: int = 1) -> bytes:
    """A JPEG or JPEG-LS stream whose one scan is empty."""
    components = b"".join(bytes([k + 1, 0x11, 0]) for k in range(samples))
    frame = struct.pack(">BBHBHHB", 0xFF, sof, 8 + 3 * samples, bits, rows, columns, samples)
    scan = b"\xff\xda" + struct.pack(">HB", 6 + 2 * samples, samples)
    scan += b"".join(bytes([k + 1, 0]) for k in range(samples)) + bytes(3) + bytes(40)
    return b"\xff\xd8" + frame + components + scan + EOI


def rle(planes: int, length: int) -> bytes:
    offsets = [64 + k * length for k in range(planes)]
    return struct.pack("<16L", planes, *offsets, *[0] * (15 - planes)) + bytes(planes * length)


# --- and what comes of it -------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """The worker's attempt process, warm: the first study has been analysed."""
    made = LocalEngine(threads=1)
    made.start()
    try:
        check_good(made, tmp_path_factory.mktemp("warm"))
        yield made
    finally:
        made.close()


def attempt(
    engine: LocalEngine, study: Path, out: Path, *, model: InstalledModel | None = None
) -> Report:
    (found,) = series_of(study)
    request = Request(
        job_key=str(out),
        model=model or bright(out),
        inputs={IMAGE: found.instances},
        folder=out / "attempt",
    )
    under_way = engine.submit(request)
    found = None
    while found is None:
        found = under_way.poll(1)
    assert isinstance(found, Report), found
    return found


def check_good(engine: LocalEngine, folder: Path) -> None:
    write(chest(), folder / "good")
    assert attempt(engine, folder / "good", folder / "good-out").outcome is Outcome.FINDINGS


def process_status(process: int, keyword: str) -> int:
    """In MiB, of the one attempt process."""
    if keyword == "VmRSS":
        Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak begins anew
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(keyword)).split()[1]) >> 10


def reason_of_refusal(engine: LocalEngine, folder: Path, study: Path) -> str:
    """Reported as not suitable, soon and in little memory; then a good study is analysed."""
    (process,) = engine.pids()
    before = process_status(process, "VmRSS")
    began = time.monotonic()
    report = attempt(engine, study, folder / "out")
    assert time.monotonic() - began < SECONDS
    assert process_status(process, "VmHWM") - before < MIB
    assert report.outcome is Outcome.NOT_SUITABLE
    assert [each.kind for each in report.objects] == ["sr", "summary"]
    assert report.reason is not None
    assert report.reason.endswith(".")
    assert "Phantom" not in report.reason
    assert "PHANTOM-1" not in report.reason
    check_good(engine, folder)
    return report.reason


def refusal(engine: LocalEngine, folder: Path, change: Change) -> str:
    instances = chest()
    change(instances)
    write(instances, folder / "study")
    return reason_of_refusal(engine, folder, folder / "study")


def volume(folder: Path, instances: Sequence[Dataset]) -> np.ndarray:
    """Its slices from the last to the first, as they lie in the patient."""
    write(instances, folder)
    (found,) = series_of(folder)
    return load(found.instances).volume.array[::-1]


# --- C5: a small file that wants much memory ------------------------------------------------


def one(syntax: UID, *fragments: bytes, table: bytes = b"") -> Change:
    """The second image of the series, with these fragments."""
    return lambda made: put_stream(made[1], syntax, *fragments, table=table)


def each(syntax: UID, stream: bytes, **values: object) -> Change:
    def change(instances: list[Dataset]) -> None:
        for ds in instances:
            put(ds, **values)
            put_stream(ds, syntax, stream)

    return change


@pytest.mark.fault("C5")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            one(JPEG2000Lossless, j2k(60000, 60000)),
            "The compressed image has 60000 × 60000 pixels, where Rows and Columns say 48 × 40.",
        ),
        (
            one(JPEGLSLossless, jpeg(0xF7, 60000, 60000)),
            "The compressed image has 60000 × 60000 pixels, where Rows and Columns say 48 × 40.",
        ),
        (
            one(JPEGLosslessSV1, jpeg(0xC3, 60000, 60000)),
            "The compressed image has 60000 × 60000 pixels, where Rows and Columns say 48 × 40.",
        ),
        (
            each(JPEG2000Lossless, j2k(60000, 60000), Rows=60000, Columns=60000),
            "The series is larger than the limit of 2 GiB of voxels.",
        ),
        (
            each(RLELossless, rle(2, 20), Rows=60000, Columns=60000),
            "The series is larger than the limit of 2 GiB of voxels.",
        ),
        (
            each(RLELossless, rle(2, 20), Rows=10000, Columns=10000),
            "The compressed image cannot have the size that Rows, Columns say.",
        ),
        (
            each(RLELossless, rle(2, 9000)),
            "The compressed image cannot have the size that Rows, Columns say.",
        ),
        (
            each(JPEG2000Lossless, j2k(255, 256, tile=1), Rows=255, Columns=256),
            "The compressed image is cut into more than 4096 tiles.",
        ),
    ],
    ids=["j2k", "jpeg-ls", "jpeg", "all say so", "rle", "rle short", "rle long", "tiles"],
)
def test_a_small_image_that_wants_much_memory_is_refused_before_a_decoder_sees_it(
    engine: LocalEngine, tmp_path: Path, change: Change, sentence: str
) -> None:
    assert refusal(engine, tmp_path, change) == sentence


def make_bomb(path: Path, zeros: int) -> None:
    """The file deflated, with so many zeros in a private element at its end."""
    data = bytes(data_of(path.read_bytes()))
    ds = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"])
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    packed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    element = struct.pack("<HH2sHL", 0x7FE1, 0x1001, b"OB", 0, zeros)
    parts = [packed.compress(data + element)]
    parts += [packed.compress(bytes(1 << 20)) for _ in range(zeros >> 20)]
    meta = content[: len(content) - len(data_of(content))]
    path.write_bytes(meta + b"".join(parts) + packed.flush())


@pytest.mark.fault("C5")
def test_a_deflated_image_that_grows_without_measure_is_refused(
    engine: LocalEngine, tmp_path: Path
) -> None:
    paths = write(chest(), tmp_path / "study")
    make_bomb(paths[1], 160 << 20)
    assert reason_of_refusal(engine, tmp_path, tmp_path / "study").startswith(
        "A deflated image is far larger than its file"
    )


def test_a_deflated_image_of_one_grey_is_no_bomb(tmp_path: Path) -> None:
    """It is a thousand times its file, and small."""
    grey = series(shape=(2, 512, 512), pixels=np.zeros((2, 512, 512), np.int16))
    for ds in grey:
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert not volume(tmp_path, grey).any()


@pytest.mark.fault("C5")
def test_more_files_than_memory_are_not_read(tmp_path: Path) -> None:
    write(chest(), tmp_path)
    (found,) = series_of(tmp_path)
    with found.instances[0].path.open("ab") as file:
        file.truncate(3 << 30)  # a hole: it takes no room on the disk
    with pytest.raises(InputError, match="are larger than the limit of 2 GiB"):
        load(found.instances)


# --- C12: fragments and their tables --------------------------------------------------------


def in_pieces(stream: bytes, number: int) -> list[bytes]:
    size = len(stream) // number // 2 * 2
    return [*(stream[k * size :][:size] for k in range(number - 1)), stream[(number - 1) * size :]]


def table(*offsets: int) -> bytes:
    return struct.pack(f"<{len(offsets)}L", *offsets)


@pytest.mark.fault("C12")
@pytest.mark.parametrize("missing", [0, 1, 2, 3])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1])
def test_a_missing_fragment_is_noticed(
    engine: LocalEngine, tmp_path: Path, syntax: UID, missing: int
) -> None:
    def change(instances: list[Dataset]) -> None:
        pieces = in_pieces(stream_of(instances[1], syntax, tmp_path / "gdcm"), 4)
        del pieces[missing]
        put_stream(instances[1], syntax, *pieces)

    sentences = ("The compressed image", "The pixel data of an image cannot be decoded")
    assert refusal(engine, tmp_path, change).startswith(sentences)


@pytest.mark.fault("C12")
@pytest.mark.parametrize(
    ("offsets", "sentence"),
    [
        (table(0, 24), "The offset table of PixelData does not fit a single frame."),
        (table(8), "The offset table of PixelData does not fit a single frame."),
        (table(0xFFFFFFFF), "The offset table of PixelData does not fit a single frame."),
        (b"\0\0", "The offset table of PixelData does not fit a single frame."),
    ],
)
def test_a_wrong_offset_table_is_refused(
    engine: LocalEngine, tmp_path: Path, offsets: bytes, sentence: str
) -> None:
    def change(instances: list[Dataset]) -> None:
        pieces = in_pieces(stream_of(instances[1], JPEG2000Lossless, tmp_path / "gdcm"), 3)
        put_stream(instances[1], JPEG2000Lossless, *pieces, table=offsets)

    assert refusal(engine, tmp_path, change) == sentence


@pytest.mark.fault("C12")
@pytest.mark.parametrize(
    ("offset", "shorter", "basic"),
    [(8, 0, b""), (0, 2, b""), (0, -2, b""), (0, 0, table(0))],
    ids=["elsewhere", "too short", "too long", "two tables"],
)
def test_a_wrong_extended_offset_table_is_refused(
    engine: LocalEngine, tmp_path: Path, offset: int, shorter: int, basic: bytes
) -> None:
    def change(instances: list[Dataset]) -> None:
        stream = stream_of(instances[1], JPEG2000Lossless, tmp_path / "gdcm")
        put_stream(instances[1], JPEG2000Lossless, stream, table=basic)
        instances[1].ExtendedOffsetTable = struct.pack("<Q", offset)
        instances[1].ExtendedOffsetTableLengths = struct.pack("<Q", len(stream) - shorter)

    said = refusal(engine, tmp_path, change)
    assert said.startswith(("ExtendedOffsetTable does not fit", "The offset table of PixelData"))


@pytest.mark.fault("C12")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (one(JPEG2000Lossless), "The compressed pixel data of an image is incomplete"),
        (one(JPEG2000Lossless, b""), "The compressed pixel data of an image is incomplete"),
        (
            one(JPEGLSLossless, jpeg(0xF7, 48, 40), jpeg(0xF7, 48, 40)),
            "The compressed image is followed by other data, as if by a second frame.",
        ),
        (
            one(JPEG2000Lossless, j2k(48, 40), j2k(48, 40)),
            "The compressed image is followed by other data, as if by a second frame.",
        ),
        (one(RLELossless, rle(2, 40), rle(2, 40)), "The compressed image is cut into 2 fragments"),
        (
            lambda made: put_stream(made[1], ExplicitVRLittleEndian, bytes(48 * 40 * 2)),
            "PixelData does not have the length that Rows, Columns and BitsAllocated say.",
        ),
        (
            lambda made: put(made[1], PixelData=CHEST[:2].tobytes()),
            "PixelData does not have the length that Rows, Columns and BitsAllocated say.",
        ),
        (
            lambda made: (
                put_stream(made[1], RLELossless, rle(2, 40), rle(2, 40), table=table(112, 0)),
                put(made[1], NumberOfFrames=2),
            ),
            "This is a multi-frame object without the position of each frame",
        ),
    ],
)
def test_other_than_one_whole_frame_is_refused(
    engine: LocalEngine, tmp_path: Path, change: Change, sentence: str
) -> None:
    assert refusal(engine, tmp_path, change).startswith(sentence)


@pytest.mark.fault("C12")
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda content: content[:-8], "An image is cut off: its pixel data, or a sequence"),
        (lambda content: content[:-100], "An image is cut off: its pixel data, or a sequence"),
        (
            lambda content: content.replace(item(b"")[:8] + item(b"x")[:4], b"12345678abcd"),
            "The compressed pixel data of an image is damaged between fragments.",
        ),
    ],
    ids=["no delimiter", "cut off", "no item"],
)
def test_pixel_data_without_its_end_is_refused(
    engine: LocalEngine, tmp_path: Path, damage: Callable[[bytes], bytes], sentence: str
) -> None:
    instances = chest()
    compress(instances, JPEG2000Lossless, tmp_path / "gdcm")
    victim = write(instances, tmp_path / "study")[1]
    victim.write_bytes(damage(victim.read_bytes()))
    assert reason_of_refusal(engine, tmp_path, tmp_path / "study").startswith(sentence)


@pytest.mark.parametrize("syntax", list(GDCM_SYNTAX), ids=lambda syntax: syntax.name)
def test_whole_frames_are_read_to_the_last_voxel(tmp_path: Path, syntax: UID) -> None:
    instances = chest()
    compress(instances, syntax, tmp_path / "gdcm")
    assert np.array_equal(volume(tmp_path / "study", instances), CHEST)


def test_fragments_and_right_tables_are_read_to_the_last_voxel(tmp_path: Path) -> None:
    instances = chest()
    streams = [stream_of(ds, JPEG2000Lossless, tmp_path / "gdcm") for ds in instances]
    put_stream(instances[0], JPEG2000Lossless, *in_pieces(streams[0], 5))
    put_stream(instances[1], JPEG2000Lossless, *in_pieces(streams[1], 2), table=table(0))
    put_stream(instances[2], JPEG2000Lossless, streams[2])
    instances[2].ExtendedOffsetTable = bytes(8)
    instances[2].ExtendedOffsetTableLengths = struct.pack("<Q", len(streams[2]))
    put_stream(instances[3], JPEG2000Lossless, streams[3], table=table(0))
    assert np.array_equal(volume(tmp_path / "study", instances), CHEST)


# --- C13: the stream says one thing, the data set another -----------------------------------


@pytest.mark.fault("C13")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (one(JPEG2000Lossless, j2k(40, 48)), "The compressed image has 40 × 48 pixels, where"),
        (one(JPEG2000Lossless, j2k(48, 41)), "The compressed image has 48 × 41 pixels, where"),
        (one(JPEG2000Lossless, j2k(48, 40, samples=3)), "The compressed image has 3 components"),
        (
            one(JPEG2000Lossless, j2k(48, 40, depth=0x87)),
            "The compressed image has 8 bits, where BitsStored says 16 and BitsAllocated 16.",
        ),
        (one(JPEG2000Lossless, j2k(48, 40, depth=0x9F)), "The compressed image has 32 bits"),
        (
            lambda made: (
                put_stream(made[1], JPEG2000Lossless, j2k(48, 40, depth=0x0F)),
                put(made[1], BitsStored=12, HighBit=11),
            ),
            "The compressed image and PixelRepresentation disagree about negative values.",
        ),
        (one(JPEGLSLossless, jpeg(0xF7, 40, 48)), "The compressed image has 40 × 48 pixels, where"),
        (one(JPEGLSLossless, jpeg(0xF7, 0, 40)), "The compressed image has 0 × 40 pixels, where"),
        (one(JPEGLSLossless, jpeg(0xF7, 48, 40, bits=12)), "The compressed image has 12 bits"),
        (one(JPEGLosslessSV1, jpeg(0xC3, 48, 40, bits=8)), "The compressed image has 8 bits"),
        (one(JPEGLosslessSV1, jpeg(0xC3, 48, 40, samples=3)), "The compressed image has 3 comp"),
        (one(JPEGExtended12Bit, jpeg(0xC1, 48, 40, bits=12)), "The compressed image has 12 bits"),
        (one(RLELossless, rle(1, 40)), "The compressed image has 1 byte planes"),
        (one(RLELossless, rle(6, 40)), "The compressed image has 6 byte planes"),
        (one(JPEGLosslessSV1, jpeg(0xC1, 48, 40)), "The compressed image is not a JPEG stream of"),
        (one(JPEGLosslessSV1, j2k(48, 40)), "The compressed image is not a JPEG stream, as"),
        (one(JPEG2000Lossless, jpeg(0xC3, 48, 40)), "The compressed image is not a bare JPEG 2000"),
        (
            one(JPEG2000Lossless, b"\0\0\0\x0cjP  \r\n\x87\n" + j2k(48, 40)),
            "The compressed image is not a bare JPEG 2000 code stream",
        ),
        (
            one(JPEGLosslessSV1, jpeg(0xC3, 48, 40)[:15] + jpeg(0xC3, 60000, 60000)[2:]),
            "The compressed image is not a JPEG stream of this kind",
        ),
        (one(JPEGLSLossless, b"\xff\xd8\xff\xf7"), "The compressed image is cut off."),
        (one(JPEG2000Lossless, j2k(48, 40)[:30]), "The compressed image is cut off."),
        (one(UID("1.2.840.10008.1.2.4.100"), bytes(40)), "The images are in a transfer syntax"),
    ],
)
def test_a_stream_that_differs_from_its_header_is_refused(
    engine: LocalEngine, tmp_path: Path, change: Change, sentence: str
) -> None:
    assert refusal(engine, tmp_path, change).startswith(sentence)


@pytest.mark.parametrize("syntax", list(GDCM_SYNTAX), ids=lambda syntax: syntax.name)
def test_a_stream_may_have_all_bits_that_are_allocated(tmp_path: Path, syntax: UID) -> None:
    """As many encoders write it: 16 bits in the stream where BitsStored says 12."""
    instances = chest()
    for ds in instances:
        put(ds, BitsStored=12, HighBit=11)
    compress(instances, syntax, tmp_path / "gdcm")
    assert np.array_equal(volume(tmp_path / "study", instances), CHEST)


# --- C15: a size that readers understand differently ----------------------------------------


def typed(vr: str, keyword: str) -> Change:
    def change(instances: list[Dataset]) -> None:
        for ds in instances:
            value = ds[keyword].value
            ds[keyword] = DataElement(tag_for_keyword(keyword) or 0, vr, value)

    return change


@pytest.mark.fault("C15")
@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated", "SamplesPerPixel"])
@pytest.mark.parametrize("vr", ["UL", "SS", "SL"])
def test_a_size_of_another_type_is_refused(
    engine: LocalEngine, tmp_path: Path, vr: str, keyword: str
) -> None:
    assert refusal(engine, tmp_path, typed(vr, keyword)) == (
        f"{keyword} is wrongly encoded in an image: it must be one number of the type US."
    )


@pytest.mark.fault("C15")
@pytest.mark.parametrize(
    ("vr", "length"), [(b"UN", "HL"), (b"ZZ", "H")], ids=["UN", "unknown to all"]
)
def test_a_size_of_no_type_is_refused(
    engine: LocalEngine, tmp_path: Path, vr: bytes, length: str
) -> None:
    study = tmp_path / "study"
    victim = write(chest(), study)[1]
    rows = struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, SHAPE[1])
    lengths = (0, 2) if length == "HL" else (2,)
    hostile = struct.pack(f"<HH2s{length}H", 0x28, 0x10, vr, *lengths, SHAPE[1])
    content = victim.read_bytes()
    assert content.count(rows) == 1
    victim.write_bytes(content.replace(rows, hostile))
    said = reason_of_refusal(engine, tmp_path, study)
    assert said.startswith("Rows is wrongly encoded in an image")


@pytest.mark.fault("C15")
def test_a_size_of_four_bytes_is_refused_where_types_are_not_written(
    engine: LocalEngine, tmp_path: Path
) -> None:
    instances = chest()
    typed("UL", "Rows")(instances)
    for ds in instances:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    write(instances, tmp_path / "study")
    said = reason_of_refusal(engine, tmp_path, tmp_path / "study")
    assert said.startswith("Rows is wrongly encoded in an image")


# --- C14: images that have lost something ---------------------------------------------------


def lossy(instances: list[Dataset]) -> None:
    for ds in instances:
        put(
            ds,
            LossyImageCompression="01",
            LossyImageCompressionRatio=10,
            LossyImageCompressionMethod="ISO_15444_1",
        )


@pytest.mark.fault("C14")
def test_lossy_images_are_refused_where_the_model_wants_lossless_ones(
    engine: LocalEngine, tmp_path: Path
) -> None:
    assert refusal(engine, tmp_path, lossy).startswith("The images were compressed with loss")


@pytest.mark.fault("C14")
def test_a_result_from_lossy_images_says_so(engine: LocalEngine, tmp_path: Path) -> None:
    instances = chest()
    lossy(instances)
    write(instances, tmp_path / "study")
    bears = bright(tmp_path, gate={"accept_lossy": True})
    other = bears.model_copy(update={"sha256": "6" * 64})  # warm models are known by it
    report = attempt(engine, tmp_path / "study", tmp_path, model=other)
    assert report.outcome is Outcome.FINDINGS
    seg = pydicom.dcmread(tmp_path / "attempt" / "1-seg.dcm")
    assert seg.LossyImageCompression == "01"
    assert seg.LossyImageCompressionMethod == "ISO_15444_1"
