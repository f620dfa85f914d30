"""Opening sounds: any common audio file becomes one channel at the rate asked for, and a bad one raises one clear line.

WAV, FLAC, Ogg, MP3, AIFF and AU through libsndfile; the sound of MP4, M4A and WebM through PyAV, where it is installed.
Channels are averaged, the rate changed by a polyphase filter (scipy.signal.resample_poly), and what goes beyond full
scale, as resampling and lossy files may, is divided by its peak.
"""

from __future__ import annotations

import math
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from semhub.errors import DataError
from semhub.types import Sound

Samples = NDArray[np.float32]  # [sample], mono, between -1 and 1
Frames = NDArray[np.float32]  # [sample, channel]

# Not those that libsndfile only takes for a sound because their first bytes may mean anything.
FORMATS = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF")
RATES = (
    1_000,
    768_000,
)  # samples a second that a header may claim; beyond, the filter alone would fill the memory
MAX_SECONDS = 2 * 3600.0  # of a sound that is asked for whole
FULL_SCALE = 0.999  # of the largest sample of 16 bits, 0.99997
_BLOCK = 1 << 16
_FILTER = 10  # samples of the lower rate on either side that resample_poly's filter reaches
_ABSENT = 0.01  # share of what the header promises that may be missing


class NoDecoder(DataError):
    """The file is of a kind that needs PyAV, which is not installed."""


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a sound is. peak: its largest sample, 1 is full scale.

    clipped: share of samples at full scale that follow one at full scale on the same side.
    """

    seconds: float
    peak: float
    clipped: float


def open_sound(sound: Sound, rate: int, longest: float | None = None) -> Samples:
    """The first `longest` seconds (None: all) as samples at `rate`: [sample], one channel, between -1 and 1.

    No more of the file is read than that. Raises DataError: missing, empty, broken, cut off, without samples, with
    samples that are no numbers, of an unknown kind, or asked for whole though longer than MAX_SECONDS.
    """
    with _opened(sound) as stream:
        most = None if longest is None else math.ceil(longest * stream.rate)
        if most is None:
            _not_too_long(sound, stream.seconds)
            most = math.ceil(MAX_SECONDS * stream.rate)
        margin = math.ceil(_FILTER * max(1.0, stream.rate / rate))
        mono = [block.mean(axis=1, dtype=np.float32) for block in stream.first(most + margin)]
        samples = np.concatenate(mono)
        if longest is None and len(samples) > most:
            _not_too_long(sound, len(samples) / stream.rate)
    divisor = math.gcd(rate, stream.rate)
    if rate != stream.rate:
        samples = resample_poly(samples, rate // divisor, stream.rate // divisor).astype(np.float32)
    if longest is not None:
        samples = samples[: max(1, round(longest * rate))]
    peak = float(np.abs(samples).max())
    return np.ascontiguousarray(samples / np.float32(peak) if peak > 1.0 else samples)


def seconds(sound: Sound) -> float:
    """How long it is, by the file's head where that says so. Raises DataError as `open_sound` does."""
    with _opened(sound) as stream:
        if stream.seconds is not None:
            return stream.seconds
        return sum(len(block) for block in stream.first(None)) / stream.rate


def level(sound: Sound, longest: float | None = None) -> Level:
    """How loud its first `longest` seconds are: the peak of the mean of the channels, the clipping of each. Raises
    DataError as `open_sound`."""
    peak, clipped, length, n_samples = 0.0, 0, 0, 0
    with _opened(sound) as stream:
        for block in stream.first(None if longest is None else math.ceil(longest * stream.rate)):
            peak = max(peak, float(np.abs(block.mean(axis=1)).max()))
            high, low = block >= FULL_SCALE, block <= -FULL_SCALE
            clipped += int((high[1:] & high[:-1]).sum() + (low[1:] & low[:-1]).sum())
            length += len(block)
            n_samples += block.size
    return Level(length / stream.rate, peak, clipped / n_samples)


def wav(samples: NDArray[np.floating], rate: int) -> bytes:
    """Samples [sample] between -1 and 1 as a WAV file of 16 bits; the same samples give the same bytes."""
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise DataError(f"samples of shape {samples.shape} are no sound. Give one channel of finite numbers.")
    whole = np.rint(np.clip(samples, -1.0, 1.0).astype(np.float64) * 32767.0).astype("<i2")
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole.tobytes())
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _Stream:
    """An open sound. seconds: by its head, None where that does not say."""

    sound: Sound
    rate: int
    seconds: float | None
    blocks: Iterator[Frames]
    exact: bool

    def first(self, most: int | None) -> Iterator[Frames]:
        """The first `most` samples (None: all). Raises DataError: none at all, not numbers, or fewer than promised."""
        done = 0
        for block in self.blocks:
            block = block[: None if most is None else most - done]
            done += len(block)
            if not np.isfinite(block).all():
                raise DataError(f"{_name(self.sound)} has samples that are no numbers. Replace or remove it.")
            if len(block):
                yield block
            if most is not None and done >= most:
                return
        if not done:
            raise DataError(f"{_name(self.sound)} has no samples. Replace or remove it.")
        if self.exact and self.seconds and done < (1 - _ABSENT) * self.seconds * self.rate:
            raise _cut_off(self.sound)


@contextmanager
def _opened(sound: Sound) -> Iterator[_Stream]:
    with _file(sound) as file:
        head = file.read(12)
        file.seek(0)
        try:
            if not head:
                raise DataError(f"{_name(sound)} is empty. Give a sound.")
            if head[4:8] == b"ftyp" or head[:4] == b"\x1aE\xdf\xa3":
                with _contained(sound, file) as stream:
                    yield stream
            else:
                with _plain(sound, file, head) as stream:
                    yield stream
        except (DataError, MemoryError):
            raise
        except Exception as error:  # decoders raise anything on a broken file
            why = " ".join(str(error).split()).removeprefix("Error : ")[:100] or type(error).__name__
            raise DataError(
                f"{_name(sound)} is a broken sound: {why.rstrip('.')}. Replace or remove it."
            ) from error


@contextmanager
def _plain(sound: Sound, file: BinaryIO, head: bytes) -> Iterator[_Stream]:
    """What libsndfile reads."""
    if head[:4] in (b"RIFF", b"RIFX", b"FORM"):
        promised = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        there = file.seek(0, 2)
        file.seek(0)
        # A program that writes as it goes leaves 0 or the largest number.
        if promised not in (0, 0xFFFFFFFF) and there < (1 - _ABSENT) * (promised + 8):
            raise _cut_off(sound)
    try:
        # The name says nothing: libsndfile would believe in a `.raw`.
        opened = soundfile.SoundFile(file if isinstance(file, BytesIO) else _Nameless(file))
    except soundfile.LibsndfileError as error:
        raise _no_sound(sound) from error
    with opened as source:
        if source.format not in FORMATS:
            raise _no_sound(sound)
        rate = _sensible(sound, source.samplerate)
        known = 0 <= source.frames < 1 << 48
        yield _Stream(
            sound=sound,
            rate=rate,
            seconds=source.frames / rate if known else None,
            blocks=_blocks(source),
            exact=source.format != "MP3",
        )


class _Nameless:
    """A file without its name."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell, self.readinto = file.read, file.seek, file.tell, file.readinto  # type: ignore[attr-defined]


def _blocks(source: soundfile.SoundFile) -> Iterator[Frames]:
    while len(block := source.read(_BLOCK, dtype="float32", always_2d=True)):
        yield block


@contextmanager
def _contained(sound: Sound, file: BinaryIO) -> Iterator[_Stream]:
    """The first sound track of a film or the like."""
    try:
        import av
    except ImportError as error:
        raise NoDecoder(
            f"{_name(sound)} is an MP4, M4A or WebM file, which needs PyAV. Install it: pip install 'semhub[mp4]'"
        ) from error
    with av.open(file, mode="r") as container:
        if not container.streams.audio:
            raise DataError(f"{_name(sound)} has no sound track. Replace or remove it.")
        track = container.streams.audio[0]
        rate = _sensible(sound, track.rate)
        length = None
        if track.duration and track.time_base:
            length = float(track.duration * track.time_base)
        elif container.duration:
            length = container.duration / av.time_base

        def blocks() -> Iterator[Frames]:
            planar = av.AudioResampler(format="fltp", rate=rate)
            for frame in container.decode(track):
                for one in planar.resample(frame):
                    yield one.to_ndarray().astype(np.float32).T
            for one in planar.resample(None):
                yield one.to_ndarray().astype(np.float32).T

        yield _Stream(sound, rate, length, blocks(), exact=False)


@contextmanager
def _file(sound: Sound) -> Iterator[BinaryIO]:
    if sound.data:
        yield BytesIO(sound.data)
        return
    if not sound.path:
        raise DataError("a sound has neither a file nor bytes. Give Sound(path=...) or Sound(data=...).")
    try:
        path = Path(sound.path)
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is no file. Give an existing sound.")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{sound.path!r} cannot be read: {reason}. Give an existing sound.") from error
    with file:
        yield file


def _name(sound: Sound) -> str:
    return sound.path or f"a sound given as {len(sound.data)} bytes"


def _sensible(sound: Sound, rate: int) -> int:
    if not RATES[0] <= rate <= RATES[1]:
        raise DataError(
            f"{_name(sound)} claims {rate} samples a second; {RATES[0]} to {RATES[1]} can be read. Replace it."
        )
    return rate


def _not_too_long(sound: Sound, length: float | None) -> None:
    if length is not None and length > MAX_SECONDS:
        raise DataError(
            f"{_name(sound)} is {length / 3600:.1f} hours long, more than {MAX_SECONDS / 3600:.0f}. Cut it."
        )


def _no_sound(sound: Sound) -> DataError:
    return DataError(f"{_name(sound)} is no sound that can be read. Give a WAV, FLAC, Ogg or MP3 file.")


def _cut_off(sound: Sound) -> DataError:
    return DataError(f"{_name(sound)} is cut off: less is there than its head says. Replace or remove it.")
