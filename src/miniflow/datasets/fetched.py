"""Data sets that are asked for by name and fetched once: Fashion-MNIST, KMNIST and EMNIST.

They look like MNIST: pictures of 28 × 28 grey pixels, bright on dark, and labels from 0 on. The
first use fetches the files from those who made the set, with pooch, checks them against the SHA-256
that is written here, and keeps them in the user's cache folder; every later use reads them there.
A file that does not match its checksum is not used.

The folder is `miniflow/data` in XDG_CACHE_HOME (by default `~/.cache`), in `~/Library/Caches` on
macOS, in LOCALAPPDATA on Windows; the environment variable MINIFLOW_CACHE names another one in
place of `miniflow`. What was fetched by other means can be put there by hand, and then no network
is needed.
"""

from __future__ import annotations

import os
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from miniflow.datasets.idx import read_idx
from miniflow.datasets.splits import Part, Splits, check_part, make_splits
from miniflow.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

FILES = (  # in the order in which they are read
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
INSTALL = 'pip install "miniflow-graphs[data]"'


@dataclass(frozen=True)
class Download:
    """Where a set is fetched from.

    title: what the messages call it. folder: its place in the cache.
    url: what the names of the files are appended to.
    sha256: file → checksum, in hexadecimal digits.
    size: of all files, in megabytes.
    """

    title: str
    folder: str
    url: str
    sha256: dict[str, str]
    size: int


# The checksums of the files that the makers publish; the same in the lists of several libraries.
FASHION = Download(
    "Fashion-MNIST",
    "fashion-mnist",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    {
        FILES[0]: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        FILES[1]: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        FILES[2]: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        FILES[3]: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    31,
)
KUZUSHIJI = Download(
    "KMNIST",
    "kmnist",
    "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    {
        FILES[0]: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        FILES[1]: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        FILES[2]: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        FILES[3]: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    },
    21,
)
EXTENDED = Download(
    "EMNIST",
    "emnist",
    "https://biometrics.nist.gov/cs_links/EMNIST/",
    {"gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"},
    562,
)

FASHION_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
KUZUSHIJI_CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

_BOTH_CASES = string.digits + string.ascii_uppercase + string.ascii_lowercase
_MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"  # where the cases look different
EMNIST_CLASSES = {
    "balanced": _MERGED,
    "bymerge": _MERGED,
    "byclass": _BOTH_CASES,
    "letters": string.ascii_uppercase,
    "digits": string.digits,
    "mnist": string.digits,
}


def fashion_mnist() -> Splits:
    """Fashion-MNIST: ten kinds of clothes, in MNIST's numbers and shape; 31 MB, fetched once.

    55,000 to train on, the first 5,000 for validation, 10,000 for the test; `images` is (n, 784),
    float32, 0 for background to 1; `labels` is (n,), int64; `class_names` says what they stand for.

    Raises DataError if pooch is missing, or the files are not here and cannot be fetched.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017; MIT licence.

    >>> fashion_mnist().train.class_names[4]  # doctest: +SKIP
    'Coat'
    """
    return _like_mnist(FASHION, FASHION_CLASSES)


def kmnist() -> Splits:
    """KMNIST: ten characters of cursive Japanese, in the numbers and the shape of MNIST; 21 MB,
    fetched once.

    As `fashion_mnist`. Source: Clanuwat et al., "Deep Learning for Classical Japanese Literature",
    2018; CC BY-SA 4.0.

    Raises:
        DataError: pooch is missing, or the files are not here and cannot be fetched.

    >>> kmnist().train.class_names[4]  # doctest: +SKIP
    'お'
    """
    return _like_mnist(KUZUSHIJI, KUZUSHIJI_CLASSES)


def emnist(split: str = "balanced") -> Splits:
    """EMNIST: handwritten letters and digits, upright, 28 × 28; 562 MB, fetched once.

    Args:
        split: one of
            "balanced": 47 classes, 112,800 to learn from, 18,800 for the test; letters whose cases
            look alike are one class;
            "bymerge": the same classes as often as people write them, 697,932 and 116,323;
            "byclass": the same with 62 classes, all cases apart;
            "letters": 26 classes, 124,800 and 20,800; the labels are 0 for A to 25 for Z;
            "digits": 10 classes, 240,000 and 40,000; "mnist": 60,000 and 10,000.
            "balanced" by default.

    For validation a tenth is set aside (of 60,000, the first 5,000).

    Raises:
        DataError: there is no such split, pooch is missing, or the file is not here and cannot be
            fetched.

    Source: Cohen, Afshar, Tapson and van Schaik, "EMNIST: an extension of MNIST to handwritten
    letters", 2017, from NIST's Special Database 19.

    >>> emnist("letter")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    miniflow.errors.DataError: EMNIST has the splits balanced, bymerge, ..., not 'letter'.
    """
    if split not in EMNIST_CLASSES:
        raise DataError(f"EMNIST has the splits {', '.join(EMNIST_CLASSES)}, not {split!r}.")
    members = [
        f"gzip/emnist-{split}-{part}-{kind}-ubyte.gz"
        for part in ("train", "test")
        for kind in ("images-idx3", "labels-idx1")
    ]
    parts = _read(_fetch(EXTENDED, "gzip.zip", members))
    first = 1 if split == "letters" else 0  # letters alone are counted from 1
    train, test = (Part(p.images.swapaxes(1, 2), p.labels - first) for p in parts)
    name = f"{EXTENDED.title} ({split})"
    return with_class_names(make_splits(name, train, test=test), EMNIST_CLASSES[split])


NAMES: dict[str, Any] = {  # what `load` and the command line call the sets
    "fashion-mnist": fashion_mnist,
    "kmnist": kmnist,
    "emnist": emnist,
    **{f"emnist-{split}": lambda split=split: emnist(split) for split in EMNIST_CLASSES},
}


def with_class_names(splits: Splits, names: Sequence[str]) -> Splits:
    """The same data sets, whose labels have names from now on."""
    for part in splits:
        part.class_names = tuple(names)
    return splits


def _like_mnist(source: Download, classes: Sequence[str]) -> Splits:
    train, test = _read([_fetch(source, name)[0] for name in FILES])
    return with_class_names(make_splits(source.title, train, test=test), classes)


def _read(paths: Sequence[str]) -> tuple[Part, Part]:
    """The images and labels to train on and to test with, from their four files."""
    images, labels, test_images, test_labels = map(read_idx, paths)
    return (
        check_part(images, labels, paths[0], paths[1]),
        check_part(test_images, test_labels, paths[2], paths[3]),
    )


def _fetch(source: Download, name: str, members: list[str] | None = None) -> list[str]:
    """The path of a file of the set, or of the members of that zip, fetched if it is not here."""
    try:
        import pooch  # type: ignore[import-untyped]
    except ImportError as error:
        raise DataError(f"{source.title} is fetched with pooch: {INSTALL}.") from error
    folder = os.path.join(_cache_folder(pooch), "data", source.folder)
    try:
        found: Any = pooch.retrieve(
            source.url + name,
            known_hash=f"sha256:{source.sha256[name]}",
            fname=name,
            path=folder,
            processor=None if members is None else pooch.Unzip(members=members, extract_dir="."),
        )
    except (OSError, ValueError) as error:  # no network, no permission; another checksum
        raise DataError(_not_fetched(source, name, folder, error)) from error
    if members is None:
        return [found]
    return [os.path.join(folder, *member.split("/")) for member in members]


def _cache_folder(pooch: Any) -> str:
    setting = os.environ.get("MINIFLOW_CACHE", "")
    return str(pooch.os_cache("miniflow")) if setting in ("", "off") else setting


def _not_fetched(source: Download, name: str, folder: str, error: Exception) -> str:
    if isinstance(error, ValueError):
        reason = f"what came has another SHA-256 than {source.sha256[name]}"
    elif isinstance(error, OSError) and error.strerror:
        reason = f"{error.filename or folder}: {error.strerror}"
    else:
        reason = type(error).__name__
    lacking = [
        file
        for file in source.sha256
        if file == name or not os.path.exists(os.path.join(folder, file))
    ]
    return (
        f"{source.title} could not be fetched: {source.url}{name}: {reason}. It is fetched once "
        f"({source.size} MB) and kept in {folder}; without a network, put "
        f"{', '.join(lacking)} there by hand."
    )
