"""Control vectors in GGUF, as repeng and llama.cpp exchange them: one file, read and written without pickle.

Little endian: "GGUF", version u32, number of tensors u64, number of keys u64; each key: name, type u32, value; each
tensor: name, number of dimensions u32, dimensions u64, type u32, offset u64; padding to the alignment (32 unless the
key `general.alignment` says otherwise); the data, each tensor aligned. A string is its length u64 and UTF-8.
A control vector has the keys general.architecture = "controlvector", controlvector.model_hint (string) and
controlvector.layer_count (u32), and a tensor `direction.{i}` of d_model float32 for each block i, counted from 0.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semhub.errors import DataError

ARCHITECTURE, HINT, COUNT = "general.architecture", "controlvector.model_hint", "controlvector.layer_count"
ALIGNMENT = "general.alignment"
MAGIC, VERSION, READABLE = b"GGUF", 3, (2, 3)  # version 2 has the same layout
U32, STRING, ARRAY = 4, 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of each number's type
F32 = 0
MAX_BYTES, MAX_KEYS, MAX_TENSORS, MAX_STRINGS = 2**28, 4096, 4096, 65536  # far beyond any control vector
NAME = re.compile(r"direction\.(0|[1-9][0-9]{0,4})")

Vectors = dict[int, NDArray[np.float32]]


def read_control_vector(path: Path) -> tuple[Vectors, dict[str, str]]:
    """Block (from 0) -> its vector [d_model], and the keys that are strings. Tensors of other names are passed over.

    Nothing is taken from the file's claims before it is held against the file's size.
    Raises DataError for a missing or too large file and for anything that is no control vector.
    """
    raw = read_bytes(path, MAX_BYTES)
    try:
        return _Reader(raw).control_vector()
    except ValueError as error:
        raise DataError(f"{path} is no control vector in GGUF: {error}.") from error


def control_vector_bytes(
    vectors: Mapping[int, NDArray[np.float32]], hint: str, keys: Mapping[str, str]
) -> bytes:
    """The file of block (from 0) -> vector [d_model]; keys: further strings, which other readers pass over."""
    settings = [_string(ARCHITECTURE) + _typed("controlvector"), _string(HINT) + _typed(hint)]
    settings.append(_string(COUNT) + struct.pack("<II", U32, len(vectors)))
    settings += [_string(name) + _typed(value) for name, value in keys.items()]
    tensors, data = b"", b""
    for block, vector in vectors.items():
        tensors += _string(f"direction.{block}") + struct.pack("<IQIQ", 1, len(vector), F32, len(data))
        data = _padded(data + vector.astype("<f4").tobytes())
    head = MAGIC + struct.pack("<IQQ", VERSION, len(vectors), len(settings))
    return _padded(head + b"".join(settings) + tensors) + data


def read_bytes(path: Path, limit: int) -> bytes:
    """A regular file of at most `limit` bytes. Raises DataError."""
    try:
        if not path.exists():
            raise DataError(f"{path} does not exist: give a file that was saved as a direction.")
        if not path.is_file():
            raise DataError(f"{path} is no file.")
        if path.stat().st_size > limit:
            raise DataError(f"{path} has more than {limit // 2**20} MiB: that is no direction.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _string(text: str) -> bytes:
    raw = text.encode("utf-8", errors="replace")
    return struct.pack("<Q", len(raw)) + raw


def _typed(text: str) -> bytes:
    return struct.pack("<I", STRING) + _string(text)


def _padded(raw: bytes, alignment: int = 32) -> bytes:
    return raw + b"\0" * (-len(raw) % alignment)


class _Reader:
    """Walks through the bytes; every step that would leave them raises ValueError."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def control_vector(self) -> tuple[Vectors, dict[str, str]]:
        if self.take(4) != MAGIC:
            raise ValueError("it does not begin with 'GGUF'")
        version = self.number("I")
        if version not in READABLE:
            raise ValueError(f"its version is {version}, 2 and 3 are read")
        n_tensors, n_keys = self.number("Q"), self.number("Q")
        if n_tensors > MAX_TENSORS or n_keys > MAX_KEYS:
            raise ValueError(f"it claims {n_tensors} tensors and {n_keys} keys")
        keys, alignment = self.keys(n_keys)
        if keys.get(ARCHITECTURE) != "controlvector":
            raise ValueError(f"{ARCHITECTURE} is {keys.get(ARCHITECTURE, '')[:40]!r}, not 'controlvector'")
        if HINT not in keys:
            raise ValueError(f"it has no {HINT}")
        found = [self.tensor() for _ in range(n_tensors)]
        self.at += -self.at % alignment
        vectors: Vectors = {}
        for name, kind, shape, offset in found:
            if (match := NAME.fullmatch(name)) is not None:
                block = int(match[1])
                if block in vectors:
                    raise ValueError(f"{name} is there twice")
                vectors[block] = self.vector(name, kind, shape, offset)
        if not vectors:
            raise ValueError("it has no tensor direction.N")
        if len({len(vector) for vector in vectors.values()}) > 1:
            raise ValueError("its directions are not of one length")
        return dict(sorted(vectors.items())), keys

    def take(self, size: int) -> bytes:
        if size > len(self.raw) - self.at:
            raise ValueError("it ends too early")
        self.at += size
        return self.raw[self.at - size : self.at]

    def number(self, kind: str) -> int:
        return int(struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0])

    def string(self) -> str:
        return self.take(self.number("Q")).decode("utf-8")  # UnicodeDecodeError is a ValueError

    def keys(self, count: int) -> tuple[dict[str, str], int]:
        """The keys that are strings, and the alignment."""
        strings: dict[str, str] = {}
        alignment, seen = 32, set()
        for _ in range(count):
            name, kind = self.string(), self.number("I")
            if name in seen:
                raise ValueError(f"the key {name[:40]!r} is there twice")
            seen.add(name)
            if kind == STRING:
                strings[name] = self.string()
            elif name == ALIGNMENT and kind == U32:
                alignment = self.number("I")
                if not 1 <= alignment <= 2**16 or alignment & (alignment - 1):
                    raise ValueError(f"its alignment is {alignment}")
            else:
                self.skip(kind)
        return strings, alignment

    def skip(self, kind: int) -> None:
        """Passes over one value; arrays hold numbers or strings."""
        if kind in SIZES:
            self.take(SIZES[kind])
            return
        if kind != ARRAY:
            raise ValueError(f"it has a value of the unknown type {kind}")
        inner, count = self.number("I"), self.number("Q")
        if inner in SIZES:
            self.take(SIZES[inner] * count)
        elif inner == STRING and count <= MAX_STRINGS:
            for _ in range(count):
                self.take(self.number("Q"))
        else:
            raise ValueError(f"it has an array of {count} values of type {inner}")

    def tensor(self) -> tuple[str, int, tuple[int, ...], int]:
        name, n_dims = self.string(), self.number("I")
        if n_dims > 4:
            raise ValueError(f"a tensor has {n_dims} dimensions")
        shape = tuple(self.number("Q") for _ in range(n_dims))
        return name, self.number("I"), shape, self.number("Q")

    def vector(self, name: str, kind: int, shape: tuple[int, ...], offset: int) -> NDArray[np.float32]:
        if kind != F32 or len(shape) != 1 or not shape[0]:
            raise ValueError(f"{name} is of type {kind} and shape {list(shape)}, not d_model float32")
        start = self.at + offset
        if start + 4 * shape[0] > len(self.raw):
            raise ValueError(f"{name} lies beyond the file's end")
        return np.frombuffer(self.raw, "<f4", count=shape[0], offset=start).astype(np.float32)
