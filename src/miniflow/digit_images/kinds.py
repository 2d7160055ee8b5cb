"""What a file is that is no picture which is read here, told from its first bytes.

A name proves little: phones and messengers call a HEIC picture `7.jpg`. So the bytes are asked, and
whoever gave the file is told what it is, and how a picture is made of it.
"""

from typing import NamedTuple

HEAD = 4096  # bytes from which a kind is told

CONVERT = "convert it to JPEG or PNG"
EXPORT = f"{CONVERT}: open it in a viewer and export it"
SCREENSHOT = f"{CONVERT}: open it and take a screenshot, or export the page"
FRAME = "take a picture out of it: pause it and take a screenshot"
UNPACK = "unpack it, and give the pictures that are in it"


class Kind(NamedTuple):
    """What a file is ("a PDF document"), and what to do with it; "" where there is nothing."""

    name: str
    advice: str


PHONE = f"{EXPORT}, or have the phone take JPEG (“most compatible”)"
HEIC = Kind("a HEIC picture, as phones take", PHONE)
AVIF = Kind("an AVIF picture", EXPORT)
JXL = Kind("a JPEG XL picture", EXPORT)
JPEG_2000 = Kind("a JPEG 2000 picture", EXPORT)
RAW = Kind("a camera's raw picture", EXPORT)
SVG = Kind("an SVG drawing", SCREENSHOT)
POSTSCRIPT = Kind("a PostScript document", SCREENSHOT)
VIDEO = Kind("a video", FRAME)
SOUND = Kind("a sound file", "")
ZIP = Kind("a ZIP archive", UNPACK)
DOCUMENT = Kind("a document of an office program", SCREENSHOT)
HTML = Kind("a web page", "save the picture itself: right-click it, then “save image as”")
XML = Kind("an XML file", "")
TEXT = Kind("a text file", "")
EMPTY = Kind("empty (0 bytes)", "copy it, or download it, again")

# (place of the first byte, bytes, kind); the first that fits counts.
SIGNATURES = (
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", JXL),
    (0, b"\xff\x0a", JXL),
    (0, b"\0\0\0\x0cjP  ", JPEG_2000),
    (0, b"\xff\x4f\xff\x51", JPEG_2000),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"8BPS", Kind("a Photoshop file (PSD)", EXPORT)),
    (0, b"gimp xcf", Kind("a GIMP file (XCF)", EXPORT)),
    (0, b"\0\0\1\0", Kind("an icon (ICO)", EXPORT)),
    (0, b"icns", Kind("an icon (ICNS)", EXPORT)),
    (0, b"DDS ", Kind("a DDS texture", EXPORT)),
    (0, b"qoif", Kind("a QOI picture", EXPORT)),
    (0, b"v/1\x01", Kind("an OpenEXR picture", EXPORT)),
    (0, b"#?RADIANCE", Kind("a Radiance HDR picture", EXPORT)),
    (0, b"AT&TFORM", Kind("a DjVu document", SCREENSHOT)),
    (0, b"SIMPLE  =", Kind("a FITS file", EXPORT)),
    (128, b"DICM", Kind("a DICOM file", EXPORT)),
    (0, b"%!PS", POSTSCRIPT),
    (0, b"\xc5\xd0\xd3\xc6", POSTSCRIPT),
    (0, b"{\\rtf", DOCUMENT),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", DOCUMENT),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),
    (0, b"Rar!\x1a\x07", Kind("a RAR archive", UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", UNPACK)),
    (0, b"\x1f\x8b", Kind("packed with gzip", "unpack it with gunzip")),
    (0, b"BZh", Kind("packed with bzip2", "unpack it with bunzip2")),
    (0, b"\xfd7zXZ\0", Kind("packed with xz", "unpack it with unxz")),
    (0, b"\x28\xb5\x2f\xfd", Kind("packed with zstd", "unpack it with unzstd")),
    (257, b"ustar", Kind("a tar archive", UNPACK)),
    (8, b"AVI ", VIDEO),
    (0, b"\x1aE\xdf\xa3", VIDEO),
    (0, b"\0\0\1\xba", VIDEO),
    (0, b"\0\0\1\xb3", VIDEO),
    (0, b"FLV\x01", VIDEO),
    (0, b"0&\xb2u\x8ef\xcf\x11", VIDEO),
    (4, b"moov", VIDEO),
    (4, b"mdat", VIDEO),
    (8, b"WAVE", SOUND),
    (0, b"ID3", SOUND),
    (0, b"OggS", SOUND),
    (0, b"fLaC", SOUND),
    (0, b"\x93NUMPY", Kind("a NumPy array", "put arrays and labels into one .npz file to train")),
    (0, b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", "")),
    (0, b"SQLite format 3\0", Kind("a database", "")),
    (0, b"\x7fELF", Kind("a program", "")),
    (0, b"MZ", Kind("a program", "")),
    (0, b"version https://git-lfs", Kind("a pointer of Git LFS", "fetch it with git lfs pull")),
)

# The brand of an ISO media file (HEIC, MP4, ...) stands after the four letters "ftyp".
BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"), HEIC),
    **dict.fromkeys((b"mif1", b"mif2", b"msf1", b"miaf"), HEIC),
    **dict.fromkeys((b"M4A ", b"M4B ", b"F4A "), SOUND),
    b"jxl ": JXL,
    b"jp2 ": JPEG_2000,
    b"crx ": RAW,
}
GENERAL = (b"mif1", b"mif2", b"msf1", b"miaf")  # of HEIC and AVIF alike: the next ones tell which


def kind_of(head: bytes) -> Kind | None:
    """What a file is that begins with these bytes, up to `HEAD` of them; None if nobody knows.

    >>> kind_of(b"%PDF-1.7").name, kind_of(b"").name, kind_of(bytes(range(40)))
    ('a PDF document', 'empty (0 bytes)', None)
    """
    if not head:
        return EMPTY
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    for place, signature, kind in SIGNATURES:
        if head.startswith(signature, place):
            return _in_zip(head) if kind is ZIP else kind
    if b"%PDF-" in head[:1024]:
        return Kind("a PDF document", SCREENSHOT)
    return _by_words(head)


def _by_brand(head: bytes) -> Kind:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, size, 4))]
    known = [brand for brand in brands if brand not in GENERAL and brand in BRANDS]
    if brands[0] in GENERAL and known:
        return BRANDS[known[0]]
    return BRANDS.get(brands[0], VIDEO)


def _in_zip(head: bytes) -> Kind:
    """Office programs and others keep their documents as ZIP archives."""
    is_document = b"[Content_Types].xml" in head or b"mimetypeapplication/" in head
    return DOCUMENT if is_document else ZIP


def _by_words(head: bytes) -> Kind | None:
    """What words in a text say that it is; None if it is no text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", "ignore")
    else:
        text = head.decode("utf-8-sig", "replace")
        if "\ufffd" in text[:-3]:  # the last letter may be cut in two
            return None
    if any(ord(c) < 32 and c not in "\t\n\v\f\r\x1b" for c in text):
        return None
    words = text.lstrip().lower()
    if words.startswith(("<!doctype html", "<html", "<head", "<body")):
        return HTML
    if words.startswith("<") and "<svg" in words:
        return HTML if "<html" in words else SVG
    return XML if words.startswith("<?xml") else TEXT
