"""Archives of packages, and archives that were made to do harm."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.installation.archive import Limits, is_archive, unpack
from dicom_ai_node.models.installation.install import CATALOGUE, install_source

MODEL_YAML = (CATALOGUE / "threshold-ct" / "model.yaml").read_bytes()
FILES = {"model.yaml": MODEL_YAML, "MODEL_CARD.md": b"# A card", "known/x.bin": b"x"}


def zipped(path: Path, files: dict[str, bytes], *more: zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for info in more:
            archive.writestr(info, b"/etc/passwd")
    return path


def tarred(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    pack: dict[str, Callable[[bytes], bytes]] = {
        ".tar": bytes, ".gz": gzip.compress, ".tgz": gzip.compress, ".xz": lzma.compress,
        ".bz2": bz2.compress,
    }  # fmt: skip
    path.write_bytes(pack[path.suffix](plain.getvalue()))
    return path


def odd(name: str, kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def link_in_zip() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("weights.bin")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "a.tar.bz2"])
@pytest.mark.parametrize("folder", ["", "threshold-ct-1.0/"])
def test_a_package_comes_out_as_it_went_in(tmp_path: Path, name: str, folder: str) -> None:
    files = {f"{folder}{file}": content for file, content in FILES.items()}
    archive = (zipped if name.endswith(".zip") else tarred)(tmp_path / name, files)
    assert is_archive(archive)
    found = unpack(archive, tmp_path / "into")
    assert found == tmp_path / "into" / folder
    there = {path.relative_to(found).as_posix(): path for path in found.rglob("*.*")}
    assert {file: path.read_bytes() for file, path in there.items()} == FILES


def test_what_tar_writes_of_a_folder_is_read(tmp_path: Path) -> None:
    """`tar -C folder -cf a.tar .`: every name begins with a dot and a slash, folders included."""
    files = {f"./{file}": content for file, content in FILES.items()}
    archive = tarred(tmp_path / "a.tar", files, odd("./known", tarfile.DIRTYPE, ""))
    assert (unpack(archive, tmp_path / "into") / "known" / "x.bin").read_bytes() == b"x"


@pytest.mark.fault("E13")
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize(
    "name",
    [
        *("../out.txt", "/proc/out.txt", "known/../../out.txt", "..", "~/out.txt", ".hidden"),
        *("known\\..\\out.txt", "C:out.txt", "known//out.txt", "new\nline", "\u202egnp.exe"),
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, suffix: str) -> None:
    """And nothing is written, not even what comes before it."""
    make = zipped if suffix == ".zip" else tarred
    archive = make(tmp_path / f"a{suffix}", FILES | {name: b"out"})
    with pytest.raises(ConfigError, match="is no name for a file of a package"):
        unpack(archive, tmp_path / "into")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [archive.name]


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    "member",
    [
        odd("weights.bin", tarfile.SYMTYPE),
        odd("weights.bin", tarfile.LNKTYPE, "model.yaml"),
        odd("weights.bin", tarfile.CHRTYPE),
        odd("weights.bin", tarfile.BLKTYPE),
        odd("weights.bin", tarfile.FIFOTYPE),
    ],
    ids=["symbolic link", "hard link", "character device", "block device", "pipe"],
)
def test_a_tar_holds_no_links_and_no_devices(tmp_path: Path, member: tarfile.TarInfo) -> None:
    archive = tarred(tmp_path / "a.tar", FILES, member)
    with pytest.raises(ConfigError, match=r"weights\.bin' is a link or a device"):
        unpack(archive, tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.fault("E13")
def test_a_zip_holds_no_links(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", FILES, link_in_zip())
    with pytest.raises(ConfigError, match=r"weights\.bin' is a link or a device"):
        unpack(archive, tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", ["MODEL.yaml", "known", "model_card.MD", "model.yaml/x"])
def test_two_files_never_have_one_place(tmp_path: Path, suffix: str, name: str) -> None:
    """Not on a disk that knows no capitals, either."""
    make = zipped if suffix == ".zip" else tarred
    archive = make(tmp_path / f"a{suffix}", FILES | {name: b"other"})
    with pytest.raises(ConfigError, match="twice"):
        unpack(archive, tmp_path / "into")


@pytest.mark.fault("E13")
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_an_archive_that_becomes_too_large_is_not_unpacked(tmp_path: Path, name: str) -> None:
    """It would be a thousand times its own size."""
    bomb = FILES | {"weights.bin": bytes(3 << 20)}
    archive = (zipped if name.endswith(".zip") else tarred)(tmp_path / name, bomb)
    with pytest.raises(ConfigError, match="is it an archive bomb"):
        unpack(archive, tmp_path / "into", Limits(small=1 << 20))
    assert not (tmp_path / "into").exists()
    unpack(archive, tmp_path / "into", Limits(small=1 << 20, ratio=100_000))


@pytest.mark.fault("E13")
def test_a_header_that_claims_a_terabyte_is_not_believed(tmp_path: Path) -> None:
    """Of an extended header (pax), tarfile reads as much into memory as it says."""
    info = tarfile.TarInfo("model.yaml")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(info.tobuf(tarfile.PAX_FORMAT) + bytes(8 << 20)))
    with pytest.raises(ConfigError, match=r"archive bomb|damaged"):
        unpack(archive, tmp_path / "into", Limits(small=1 << 20, files=10))


@pytest.mark.fault("E13")
def test_an_archive_that_changes_under_our_eyes_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its names and the writing."""
    good = zipped(tmp_path / "a.zip", FILES)
    bad = zipped(tmp_path / "b.zip", {"../../out": b"x"})
    looks: list[bool] = []

    def is_zipfile(path: Path) -> bool:
        looks.append(True)
        if len(looks) == 2:
            bad.replace(good)
        return True

    monkeypatch.setattr(zipfile, "is_zipfile", is_zipfile)
    (tmp_path / "x" / "y").mkdir(parents=True)
    with pytest.raises(ConfigError, match="changes while it is read"):
        unpack(good, tmp_path / "x" / "y")
    assert not (tmp_path / "out").exists()


def test_more_files_than_a_package_has(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", FILES | {f"f{n}": b"" for n in range(20)})
    with pytest.raises(ConfigError, match="more than 20 files"):
        unpack(archive, tmp_path / "into", Limits(files=20))


def test_an_archive_without_a_description_is_no_package(tmp_path: Path) -> None:
    for name in ("deep/er/model.yaml", "readme.txt"):
        with pytest.raises(ConfigError, match=r"has no model\.yaml: is it a model package"):
            unpack(zipped(tmp_path / "a.zip", {name: MODEL_YAML}), tmp_path / "into")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz", "a.tar"])
def test_a_damaged_archive_leaves_nothing_in_the_store(tmp_path: Path, name: str) -> None:
    noise = bytes(range(256)) * 64
    archive = (zipped if name.endswith(".zip") else tarred)(
        tmp_path / name, FILES | {"noise.bin": noise}
    )
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive at all"):
        archive.write_bytes(content)
        with pytest.raises(ConfigError, match=r"damaged|no model\.yaml"):
            install_source(str(archive), tmp_path / "store", print)
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").iterdir())


def test_a_package_is_installed_from_an_archive(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {f"top/{k}": v for k, v in FILES.items()})
    model = install_source(str(archive), tmp_path / "store", print)
    assert model.folder == tmp_path / "store" / "threshold-ct" / "1.0.0"
    assert sorted(model.files) == sorted(FILES)


def test_a_zip_that_is_encrypted_says_so(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", FILES)
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ConfigError, match="encrypted"):
        unpack(archive, tmp_path / "into")
