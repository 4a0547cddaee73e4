"""Storages of the bytes of products: a folder, chunks in the database, or anything that fsspec reaches.

The row of each product names its storage, so products outlive a change of `Config.product_storage`. Files are named
after the product's id; no name that a user gave ever becomes part of a path. Everything here blocks.
"""

from __future__ import annotations

import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from turbine.masking import mask_url, scrub
from turbine.model.products import BLOCK, ProductUpload
from turbine.platform import path_of_url, sync, sync_folder
from turbine.store import Store
from turbine.tables import products

BESIDE = "beside"
"""The folder beside the SQLite file; it moves with the file, so no row has its path."""
DATABASE = "database"
CHUNKS_AT_ONCE = 16
"""Chunks that one transaction removes."""


class Storages:
    """The storage of new products, and every storage that a row names."""

    def __init__(self, store: Store, setting: str | os.PathLike[str] | None) -> None:
        """`setting` is `Config.product_storage`. Raises ValueError for one that cannot be used."""
        setting = None if setting is None else os.fspath(setting)
        self._store = store
        self.active: set[str] = set()
        self._places: dict[str, Folder | Chunks | Bucket] = {DATABASE: Chunks(store)}
        if store.dialect == "sqlite" and not store.is_memory:
            self._places[BESIDE] = Folder(Path(store.path + "-products"))
        if setting is None:
            self.place = BESIDE if BESIDE in self._places else DATABASE
        elif setting == DATABASE or "://" in setting:
            self.place = setting
        else:
            self.place = Path(setting).absolute().as_uri()
        self._at(self.place)

    def _at(self, place: str) -> Folder | Chunks | Bucket:
        storage = self._places.get(place)
        if storage is None:
            if place == BESIDE:
                raise FileNotFoundError("this product is kept beside a SQLite file, and this is another database")
            storage = self._places[place] = Folder(_path_of(place)) if place.startswith("file://") else Bucket(place)
        return storage

    def create(self, id: str) -> ProductUpload:
        """Begin an upload at `place`."""
        return self._at(self.place).create(id)

    def open(self, place: str, id: str, size: int) -> BinaryIO:
        """The bytes of a product, opened anew at each call. Raises FileNotFoundError when they are gone."""
        return self._at(place).open(id, size)

    def remove(self, place: str, id: str) -> None:
        """Remove the bytes of a product or of an unfinished upload; no error when there are none."""
        self._at(place).remove(id)


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ValueError(
            f"product_storage {mask_url(url)!r} names no folder of this machine; write file:///absolute/folder"
        )
    return path_of_url(parts.path)


class Folder:
    """Files in a folder: written under a temporary name, and renamed when they are on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, id: str) -> ProductUpload:
        """Begin a file, and the folder if it is the first."""
        if not self.path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)
        return _FileUpload(self.path / id)

    def open(self, id: str, size: int) -> BinaryIO:
        """The file of a product."""
        return (self.path / id).open("rb")

    def remove(self, id: str) -> None:
        """Remove a file, finished or not."""
        for name in (id, f"{id}.part"):
            (self.path / name).unlink(missing_ok=True)


class _FileUpload:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._file = self._part.open("wb")

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def finish(self) -> None:
        self._file.flush()
        sync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        sync_folder(self._path.parent)

    def abandon(self) -> None:
        self._file.close()


class Chunks:
    """Blocks in a table, each written in a transaction of its own, so that large products delay no other write."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, id: str) -> ProductUpload:
        """Begin to write blocks."""
        return _ChunkUpload(self._store, id)

    def open(self, id: str, size: int) -> BinaryIO:
        """The blocks as one file; one block is in memory at a time."""
        return cast("BinaryIO", io.BufferedReader(_ChunkFile(self._store, id, size)))

    def remove(self, id: str) -> None:
        """Remove all blocks, a few in each transaction."""
        while self._store.write_blocking(products.remove_chunks, upload=id, limit=CHUNKS_AT_ONCE):
            continue


class _ChunkUpload:
    def __init__(self, store: Store, id: str) -> None:
        self._store = store
        self._id = id
        self._count = 0

    def write(self, block: bytes) -> None:
        row = {"upload": self._id, "number": self._count, "block": block}
        self._store.submit_blocking(products.add_chunk, row, len(block)).wait()
        self._count += 1

    def finish(self) -> None:
        """Each block is durable when `write` returns."""

    def abandon(self) -> None:
        """Nothing is open between two blocks."""


class _ChunkFile(io.RawIOBase):
    """A file of blocks in the database."""

    def __init__(self, store: Store, id: str, size: int) -> None:
        self._store = store
        self._id = id
        self._size = size
        self._at = 0
        self._number = -1
        self._block = b""
        if size:
            self._load(0)  # so that opening a product fails when its bytes are gone

    def _load(self, number: int) -> None:
        block = self._store.read_blocking(products.chunk, upload=self._id, number=number)
        if block is None:
            raise FileNotFoundError(f"chunk {number} of product {self._id} is no longer in the database")
        self._number, self._block = number, block

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"cannot seek to {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if self._at >= self._size:
            return 0
        number, offset = divmod(self._at, BLOCK)
        if number != self._number:
            self._load(number)
        view = memoryview(buffer).cast("B")
        piece = self._block[offset : offset + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


class Bucket:
    """A folder or bucket behind any URL that fsspec supports. A file is valid once a row names it."""

    def __init__(self, url: str) -> None:
        scheme = url.partition("://")[0]
        try:
            url_to_fs: Any = import_module("fsspec.core").url_to_fs
        except ImportError as error:
            raise ValueError(
                f"product_storage with {scheme}:// needs fsspec; install turbine-workflows[storage]"
            ) from error
        self._url = url
        with _without_secrets(url):
            try:
                system, root = cast("tuple[Any, str]", url_to_fs(url))
            except (ImportError, ValueError) as error:  # ImportError: the driver of this scheme is not installed
                raise ValueError(scrub(f"product_storage with {scheme}:// cannot be used: {error}", url)) from None
        self._system: Any = system
        self._root = root.rstrip("/")

    def _path(self, id: str) -> str:
        return f"{self._root}/{id}"

    def create(self, id: str) -> ProductUpload:
        """Begin an upload to its final name."""
        with _without_secrets(self._url):
            self._system.makedirs(self._root, exist_ok=True)
            return _BucketUpload(self._system.open(self._path(id), "wb"))

    def open(self, id: str, size: int) -> BinaryIO:
        """The file of a product."""
        with _without_secrets(self._url):
            return cast("BinaryIO", self._system.open(self._path(id), "rb"))

    def remove(self, id: str) -> None:
        """Remove a file; an interrupted upload leaves none, or a part of one."""
        try:
            with _without_secrets(self._url):
                self._system.rm_file(self._path(id))
        except FileNotFoundError:
            return


@contextmanager
def _without_secrets(url: str) -> Generator[None]:
    """Remove the secrets of a URL from the text of what its driver raises."""
    try:
        yield
    except Exception as error:  # drivers raise anything
        shown = scrub(str(error), url)
        if shown == str(error):
            raise
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else OSError
        raise kind(shown) from None


class _BucketUpload:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def finish(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        # An open file of fsspec is completed when it is garbage collected, so it is closed here and removed afterwards.
        self._file.close()
