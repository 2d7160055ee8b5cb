"""What is no picture is named by what it is, not by its name, and nothing is waited for."""

import os
import socket
from pathlib import Path

import pytest

from miniflow.datasets.class_folders import read_picture
from miniflow.digit_images import read_digit
from miniflow.digit_images.kinds import kind_of
from miniflow.errors import DataError


def media(brand: bytes, *compatible: bytes) -> bytes:
    """The beginning of an ISO media file."""
    size = 16 + 4 * len(compatible)
    return (
        size.to_bytes(4, "big") + b"ftyp" + brand + b"\0\0\0\0" + b"".join(compatible) + b"\0" * 40
    )


PICTURES = {
    "a HEIC picture, as phones take": [
        media(b"heic", b"mif1", b"heic"),
        media(b"mif1", b"mif1", b"heic"),
        media(b"heix"),
        media(b"msf1", b"hevc"),
        media(b"mif1"),
    ],
    "an AVIF picture": [media(b"avif", b"mif1", b"miaf"), media(b"mif1", b"avif"), media(b"avis")],
    "a JPEG XL picture": [b"\xff\x0a\xfa\x7f", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14"],
    "a JPEG 2000 picture": [b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0\x2f"],
    "a camera's raw picture": [media(b"crx "), b"FUJIFILMCCD-RAW 0201"],
    "a Photoshop file (PSD)": [b"8BPS\0\1\0\0\0\0\0\0"],
    "an SVG drawing": [
        b'<svg xmlns="x"/>',
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- by hand --><svg/>',
        '\ufeff<?xml version="1.0" encoding="UTF-16"?><svg/>'.encode("utf-16-le"),
    ],
    "a PDF document": [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", b"\r\n%PDF-1.4"],
    "a PostScript document": [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6\x20\0"],
}
OTHERS = {
    "a video": [
        media(b"isom", b"mp41"),
        media(b"mp42"),
        media(b"qt  "),
        b"RIFF\0\1\0\0AVI LIST",
        b"\x1aE\xdf\xa3\x01\0\0\0webm",
        b"\0\0\1\xba\x44\0",
    ],
    "a ZIP archive": [b"PK\x03\x04\x14\0\0\0\x08\0picture.png", b"PK\x05\x06" + bytes(18)],
    "a document of an office program": [
        b"PK\x03\x04\x14\0\6\0\x08\0\0\0\x21\0[Content_Types].xml",
        b"PK\x03\x04\x14\0mimetypeapplication/vnd.oasis.opendocument.text",
    ],
    "packed with gzip": [b"\x1f\x8b\x08\0"],
    "a web page": [b"\n<!DOCTYPE html><title>404</title>", b"<html><svg></svg></html>"],
    "a text file": [b"just words\n", b"x", "Zürich\n".encode(), b"a" * 5000],
    "a pointer of Git LFS": [b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"],
    "empty (0 bytes)": [b""],
}


@pytest.mark.parametrize(
    ("name", "contents"),
    [(name, contents) for name, all_ in (PICTURES | OTHERS).items() for contents in all_],
)
def test_the_kind_is_told_and_what_to_do(tmp_path: Path, name: str, contents: bytes) -> None:
    path = tmp_path / "7.jpg"
    path.write_bytes(contents)
    with pytest.raises(DataError) as caught:
        read_picture(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: is {name}")
    assert ("; convert it to JPEG or PNG: " in told) == (
        name in PICTURES or name == "a document of an office program"
    )
    assert ("not a PNG, JPEG, BMP, GIF, TIFF, WEBP or PPM picture" in told) == (
        name == "a text file"
    )


@pytest.mark.parametrize("contents", [b"\x89PNG", bytes(range(256)), b"\0" * 100])
def test_what_nobody_knows_is_called_no_picture(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(contents)
    with pytest.raises(DataError) as caught:
        read_digit(path)
    assert str(caught.value) == f"{path}: is not a PNG, JPEG, BMP, GIF, TIFF, WEBP or PPM picture."


def test_bytes_of_any_kind_are_looked_at_without_an_error() -> None:
    starts = [contents for all_ in (PICTURES | OTHERS).values() for contents in all_]
    for start in starts:
        for length in range(len(start[:80])):
            kind_of(start[:length])
            kind_of(start[:length] + b"\xff" * 9)


def test_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; give the pictures in it"):
        read_digit(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_and_devices_are_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    os.mkfifo("pipe.png")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.png")
        for name in ("pipe.png", "socket.png"):
            with pytest.raises(DataError, match=f"{name}: is a pipe; write the picture to a file"):
                read_digit(name)
    for name in ("/dev/null", "/dev/zero"):
        with pytest.raises(DataError, match=f"{name}: is a device, and no picture"):
            read_digit(name)
