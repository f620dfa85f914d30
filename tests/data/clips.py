"""Small clips for the tests of sounds' loaders and their spoke."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semhub import sounds

RATE = 16_000


def tone(hertz: float = 440.0, seconds: float = 0.5, size: float = 0.5) -> bytes:
    """A WAV file of a sine; above 1 it is cut at full scale."""
    return sounds.wav(size * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE), RATE)


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    """The files under a folder, their own folders made."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root
