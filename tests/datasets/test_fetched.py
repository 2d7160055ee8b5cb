"""Data sets by name: fetched once, from a server on this machine that has files made here."""

import dataclasses
import functools
import hashlib
import http.server
import pathlib
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.datasets import fetched, is_name
from miniflow.datasets.idx import write_idx
from miniflow.errors import DataError

pytest.importorskip("pooch", reason="fetching needs pooch")


class Server:
    """A folder on a server, and the paths that were asked for."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, form: str, *given: Any) -> None:
                asked.append(self.path)

        handler = functools.partial(Handler, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def offer(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """Have a set of `fetched` come from here, with the checksums of what is here."""
        source = getattr(fetched, name)
        sums = {
            file: hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
            for file in source.sha256
        }
        monkeypatch.setattr(fetched, name, dataclasses.replace(source, url=self.url, sha256=sums))


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    server = Server(tmp_path / "served")
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A cache folder of this test's own, and no way out of this machine."""
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "data"


def write_set(folder: pathlib.Path, names: Any = fetched.FILES, first: int = 0) -> Any:
    """Four files as MNIST has them: 40 to learn from and 20 for the test; their pictures."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (60, 28, 28), np.uint8)
    labels = (np.arange(60) % 10 + first).astype(np.uint8)
    parts = (images[:40], labels[:40], images[40:], labels[40:])
    for name, array in zip(names, parts, strict=True):
        write_idx(folder / name, array)
    return images


@pytest.mark.parametrize(
    ("name", "source", "second"),
    [("fashion-mnist", "FASHION", "trouser"), ("kmnist", "KUZUSHIJI", "ki")],
)
def test_a_set_is_fetched_once_checked_and_kept(
    name: str,
    source: str,
    second: str,
    server: Server,
    cache: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = write_set(server.folder)
    server.offer(monkeypatch, source)
    splits = mf.datasets.load(name)
    assert sorted(server.asked) == sorted(f"/{file}" for file in fetched.FILES)
    assert (splits.test.images == images[40:].reshape(20, 784) / np.float32(255)).all()
    assert [len(part) for part in splits] == [36, 4, 20]
    assert [part.class_names[1] for part in splits] == [second] * 3
    assert sorted(path.name for path in (cache / name).iterdir()) == sorted(fetched.FILES)
    server.asked.clear()
    again = getattr(mf.datasets, name.replace("-", "_"))()
    assert server.asked == []  # it was kept
    assert (again.train.images == splits.train.images).all()


def test_what_was_damaged_in_the_cache_is_fetched_again(
    server: Server, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(server.folder)
    server.offer(monkeypatch, "FASHION")
    mf.datasets.fashion_mnist()
    server.asked.clear()
    (cache / "fashion-mnist" / fetched.FILES[0]).write_bytes(b"half")
    mf.datasets.fashion_mnist()
    assert server.asked == [f"/{fetched.FILES[0]}"]


def test_what_comes_with_another_checksum_is_neither_used_nor_kept(
    server: Server, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(server.folder)
    server.offer(monkeypatch, "FASHION")
    (server.folder / fetched.FILES[0]).write_bytes(b"not the pictures")
    with pytest.raises(DataError, match=r"Fashion-MNIST could not be fetched: .* another SHA-256"):
        mf.datasets.fashion_mnist()
    assert not (cache / "fashion-mnist" / fetched.FILES[0]).exists()


def test_without_a_network_it_is_said_what_can_be_done(
    server: Server, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(server.folder)
    server.offer(monkeypatch, "FASHION")
    server.close()  # from here on, connections are refused
    with pytest.raises(DataError) as caught:
        mf.datasets.fashion_mnist()
    told = str(caught.value)
    assert told.startswith(f"Fashion-MNIST could not be fetched: {server.url}{fetched.FILES[0]}: ")
    assert f"kept in {cache / 'fashion-mnist'}" in told
    assert "(31 MB)" in told
    assert f"put {', '.join(fetched.FILES)} there by hand" in told
    # ... and that helps:
    (cache / "fashion-mnist").mkdir(parents=True, exist_ok=True)
    for name in fetched.FILES:
        (cache / "fashion-mnist" / name).write_bytes((server.folder / name).read_bytes())
    assert len(mf.datasets.fashion_mnist().test) == 20


@pytest.mark.parametrize("split", ["letters", "balanced"])
def test_emnist_is_taken_from_its_zip_upright_and_counted_from_zero(
    split: str, server: Server, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        f"emnist-{split}-{part}-{kind}-ubyte.gz"
        for part in ("train", "test")
        for kind in ("images-idx3", "labels-idx1")
    ]
    is_letters = split == "letters"
    images = write_set(server.folder, names, first=int(is_letters))
    with zipfile.ZipFile(server.folder / "gzip.zip", "w") as archive:
        for name in names:
            archive.write(server.folder / name, f"gzip/{name}")
    server.offer(monkeypatch, "EXTENDED")
    for _ in range(2):
        splits = mf.datasets.load(f"emnist-{split}")
        upright = images[40:].swapaxes(1, 2).reshape(20, 784)
        assert (splits.test.images == upright / np.float32(255)).all()
        assert (splits.test.labels == np.arange(40, 60) % 10).all()
    assert server.asked == ["/gzip.zip"]
    assert "".join(splits.train.class_names or ())[:4] == ("ABCD" if is_letters else "0123")
    assert len(splits.train.class_names or ()) == (26 if is_letters else 47)


def test_a_split_that_there_is_not_is_refused() -> None:
    with pytest.raises(DataError, match=r"EMNIST has the splits balanced, .*not 'capitals'"):
        mf.datasets.emnist("capitals")


def test_every_checksum_is_a_sha256_and_every_address_is_encrypted() -> None:
    for source in (fetched.FASHION, fetched.KUZUSHIJI, fetched.EXTENDED):
        assert source.url.startswith("https://")
        assert all(len(bytes.fromhex(checksum)) == 32 for checksum in source.sha256.values())


def test_names_are_names_and_paths_are_paths() -> None:
    assert all(map(is_name, ("mnist", "fashion-mnist", "kmnist", "emnist", "emnist-byclass")))
    assert not any(map(is_name, ("./kmnist", "emnist-", "data.npz")))
