"""Opening sounds: kinds of files, rates and channels against independent references, and what is wrong with a file."""

from __future__ import annotations

import builtins
import struct
import sys
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from semhub import sounds
from semhub.errors import DataError
from semhub.types import Sound

KINDS = [
    ("WAV", "PCM_U8", 0.01), ("WAV", "PCM_16", 1e-4), ("WAV", "PCM_24", 1e-6), ("WAV", "PCM_32", 1e-7),
    ("WAV", "FLOAT", 1e-7), ("WAV", "DOUBLE", 1e-7), ("FLAC", "PCM_16", 1e-4), ("FLAC", "PCM_24", 1e-6),
    ("AIFF", "PCM_16", 1e-4), ("AU", "PCM_16", 1e-4), ("RF64", "PCM_16", 1e-4), ("OGG", "VORBIS", 0.05),
    ("MP3", "MPEG_LAYER_III", 0.05),
]  # fmt: skip


def sine(hertz: float, rate: int, length: float = 1.0, size: float = 0.5) -> NDArray[np.float64]:
    return size * np.sin(2 * np.pi * hertz * np.arange(round(length * rate)) / rate)


def file(samples: NDArray[np.float64], rate: int, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    out = BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue()


def film(
    samples: NDArray[np.float64], rate: int, codec: str = "aac", kind: str = "mp4", pipe: Pipe | None = None
) -> bytes:
    av = pytest.importorskip("av")
    out = BytesIO()
    try:
        with av.open(pipe or out, "w", format=kind) as container:
            track = container.add_stream(codec, rate=rate, layout="stereo")
            for start in range(0, len(samples), 1024):
                both = np.stack([samples[start : start + 1024]] * 2).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = rate, start
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"PyAV cannot write {codec} here: {error}")
    return (pipe.written if pipe else out).getvalue()


def loudest(samples: NDArray[np.float32], rate: int) -> float:
    """The frequency, in hertz, with the most energy."""
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * rate / len(samples))


@pytest.mark.parametrize(("kind", "subtype", "error"), KINDS)
def test_every_kind_of_file_is_the_same_sound(kind: str, subtype: str, error: float, tmp_path: Path) -> None:
    wanted = sine(440, 16_000)
    path = tmp_path / "named.anything"
    path.write_bytes(raw := file(wanted, 16_000, kind, subtype))
    heard = sounds.open_sound(Sound(path=str(path)), 16_000)
    assert heard.dtype == np.float32
    assert heard.shape == wanted.shape
    assert np.abs(heard - wanted).max() < error
    assert (heard == sounds.open_sound(Sound(data=raw), 16_000)).all()
    assert sounds.seconds(Sound(data=raw)) == 1.0


def test_a_name_says_nothing_about_what_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"  # libsndfile takes a file of that name for samples without a head
    path.write_bytes(file(sine(440, 16_000), 16_000))
    assert len(sounds.open_sound(Sound(path=str(path)), 16_000)) == 16_000


@pytest.mark.parametrize("given", [8_000, 11_025, 22_050, 44_100, 48_000, 44_101])
@pytest.mark.parametrize("wanted", [16_000, 24_000])
def test_resampling_keeps_the_sine(given: int, wanted: int) -> None:
    heard = sounds.open_sound(Sound(data=file(sine(997, given, 1.0), given, subtype="PCM_24")), wanted)
    assert abs(len(heard) - wanted) <= 1
    assert loudest(heard, wanted) == pytest.approx(997, abs=1.0)
    middle = slice(wanted // 10, -wanted // 10)  # a sine that begins and ends at once is not band-limited
    assert np.abs(heard - sine(997, wanted, 1.0)[: len(heard)])[middle].max() < 2e-3


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    """Taking every third sample would turn 15 kHz at 48 kHz into 1 kHz at 16 kHz."""
    heard = sounds.open_sound(Sound(data=file(sine(15_000, 48_000), 48_000)), 16_000)
    assert np.abs(heard[100:-100]).max() < 5e-3


def test_channels_are_averaged() -> None:
    each = np.stack([sine(200 * (k + 1), 16_000) for k in range(8)], axis=1)
    heard = sounds.open_sound(Sound(data=file(each, 16_000, subtype="FLOAT")), 16_000)
    assert np.abs(heard - each.mean(axis=1)).max() < 1e-6
    opposite = np.stack([sine(300, 16_000), -sine(300, 16_000)], axis=1)
    assert not sounds.open_sound(Sound(data=file(opposite, 16_000, subtype="FLOAT")), 16_000).any()


@pytest.mark.parametrize("given", [8_000, 16_000, 44_100, 96_000])
def test_the_first_seconds_are_the_beginning_of_the_whole(given: int) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * given)
    sound = Sound(data=file(noise, given))
    first, whole = sounds.open_sound(sound, 16_000, 0.7), sounds.open_sound(sound, 16_000)
    assert len(first) == 11_200
    assert np.abs(first - whole[: len(first)]).max() < 1e-6
    assert len(sounds.open_sound(sound, 16_000, 100.0)) == len(whole)


def hour(tmp_path: Path) -> Path:
    """A real head and an hour of zeros that take no room on the disk."""
    path, n_bytes = tmp_path / "hour.wav", 3600 * 44_100 * 4
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + n_bytes, b"WAVE", b"fmt ", 16, 1, 2, 44_100,
                       44_100 * 4, 4, 16, b"data", n_bytes)  # fmt: skip
    with path.open("wb") as out:
        out.write(head)
        out.truncate(len(head) + n_bytes)
    return path


def test_an_hour_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, count = hour(tmp_path), 0

    class Handle:
        def __init__(self) -> None:
            self.file = builtins.open(path, "rb")  # noqa: SIM115

        def __enter__(self) -> Handle:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def read(self, size: int = -1) -> bytes:
            nonlocal count
            found = self.file.read(size)
            count += len(found)
            return found

        def readinto(self, buffer: bytearray) -> int:
            nonlocal count
            read = self.file.readinto(buffer)
            count += read
            return read

        def seek(self, *where: int) -> int:
            return self.file.seek(*where)

        def tell(self) -> int:
            return self.file.tell()

    monkeypatch.setattr(Path, "open", lambda *_, **__: Handle())
    sound = Sound(path=str(path))
    assert sounds.seconds(sound) == 3600.0
    assert count < 100_000
    assert len(sounds.open_sound(sound, 16_000, 30.0)) == 480_000
    assert 30 * 44_100 * 4 < count < 35 * 44_100 * 4


def test_what_is_too_long_to_be_taken_whole_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "MAX_SECONDS", 1800.0)
    with pytest.raises(DataError, match=r"hour\.wav is 1\.0 hours long.*Cut it"):
        sounds.open_sound(Sound(path=str(hour(tmp_path))), 16_000)


class Pipe:
    """Bytes that cannot be gone back to: the length of what is written is never in its head."""

    def __init__(self) -> None:
        self.written = BytesIO()

    def write(self, some: bytes) -> int:
        return self.written.write(some)


def test_a_sound_without_a_length_in_its_head_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Sound(data=film(sine(440, 48_000, 2.0), 48_000, "libopus", "webm", Pipe()))
    assert sounds.seconds(sound) == pytest.approx(2.0, abs=0.1)
    monkeypatch.setattr(sounds, "MAX_SECONDS", 1.0)
    with pytest.raises(DataError, match="hours long"):
        sounds.open_sound(sound, 16_000)


def cut(raw: bytes, share: float) -> bytes:
    return raw[: int(len(raw) * share)]


NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 48_000)
WRONG = {
    "text named wav": (b"This is no sound.\n" * 50, "is no sound that can be read"),
    "zeros": (b"\0" * 500, "is no sound that can be read"),
    "four letters": (b"RIFF", "is no sound that can be read"),
    "half a head": (file(NOISE, 16_000)[:30], "is cut off"),
    "header only": (file(NOISE[:0], 16_000), "has no samples"),
    "flac header only": (file(NOISE, 16_000, "FLAC")[:42], "is a broken sound|has no samples"),
    "half a wav": (cut(file(NOISE, 16_000), 0.5), "is cut off: less is there than its head says"),
    "most of a wav": (cut(file(NOISE, 16_000), 0.97), "is cut off"),
    "half an aiff": (cut(file(NOISE, 16_000, "AIFF"), 0.5), "is cut off"),
    "half a flac": (cut(file(NOISE, 16_000, "FLAC"), 0.5), "is a broken sound|is cut off"),
    "nan": (file(np.where(np.arange(500) == 400, np.nan, 0.1), 16_000, subtype="FLOAT"), "no numbers"),
    "infinite": (file(np.where(np.arange(500) == 4, np.inf, 0.1), 16_000, subtype="FLOAT"), "no numbers"),
    "40 samples a second": (file(NOISE[:100], 40), "claims 40 samples a second"),
    "mp4 of nothing": (b"\0\0\0\x18ftypisom" + b"\0" * 300, "is a broken sound"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_file_is_one_line(name: str, tmp_path: Path) -> None:
    raw, why = WRONG[name]
    if raw[4:8] == b"ftyp":
        pytest.importorskip("av")
    path = tmp_path / "a.wav"
    path.write_bytes(raw)
    for call in (lambda one: sounds.open_sound(one, 16_000), sounds.level):
        with pytest.raises(DataError, match=why) as raised:
            call(Sound(path=str(path)))
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_missing_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    for sound, why in (
        (Sound(path=str(tmp_path / "none.wav")), "No such file"),
        (Sound(path=str(tmp_path)), "is no file"),
        (Sound(path="a\0b"), "cannot be read"),
        (Sound(path=str(tmp_path / "empty.wav")), "is empty"),
        (Sound(), "neither a file nor bytes"),
    ):
        for call in (lambda one: sounds.open_sound(one, 16_000), sounds.seconds, sounds.level):
            with pytest.raises(DataError, match=why):
                call(sound)


def test_a_wav_written_as_it_was_made_has_no_length_and_is_read() -> None:
    raw = bytearray(file(NOISE, 16_000))
    raw[4:8] = raw[40:44] = b"\xff\xff\xff\xff"
    assert len(sounds.open_sound(Sound(data=bytes(raw)), 16_000)) == len(NOISE)


def test_beyond_full_scale_is_divided_by_the_peak() -> None:
    heard = sounds.open_sound(Sound(data=file(sine(440, 16_000, size=4.0), 16_000, subtype="FLOAT")), 16_000)
    assert np.abs(heard - sine(440, 16_000, size=1.0)).max() < 1e-3


def test_silence_is_no_error() -> None:
    silent = Sound(data=file(np.zeros(16_000), 16_000))
    assert not sounds.open_sound(silent, 16_000).any()
    assert sounds.level(silent) == sounds.Level(1.0, 0.0, 0.0)


def test_the_level_counts_what_is_cut_at_full_scale() -> None:
    quiet = sounds.level(Sound(data=file(sine(440, 16_000), 16_000)))
    assert (quiet.seconds, quiet.clipped) == (1.0, 0.0)
    assert quiet.peak == pytest.approx(0.5, abs=1e-3)
    square = np.clip(sine(100, 16_000, size=100.0), -1, 1)
    assert sounds.level(Sound(data=file(square, 16_000))).clipped > 0.95
    # a sine of full scale touches it at its peaks, for less than two samples
    assert sounds.level(Sound(data=file(sine(4_001, 16_000, size=1.0), 16_000))).clipped < 1e-3
    first = np.concatenate([sine(440, 16_000), square])
    assert sounds.level(Sound(data=file(first, 16_000)), 0.9).clipped == 0.0
    both = np.stack([sine(440, 16_000), square], axis=1)  # a channel that is cut stays so when averaged
    assert 0.4 < sounds.level(Sound(data=file(both, 16_000))).clipped < 0.5


@pytest.mark.parametrize(("codec", "kind"), [("aac", "mp4"), ("aac", "mov"), ("libopus", "webm")])
def test_the_sound_of_a_film(codec: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(film(sine(440, 48_000, 2.0), 48_000, codec, kind))
    sound = Sound(path=str(path))
    heard = sounds.open_sound(sound, 16_000)
    assert abs(len(heard) - 32_000) < 2_000  # encoders fill up their last frame
    assert loudest(heard, 16_000) == pytest.approx(440, abs=1.0)
    assert np.abs(heard[4_000:28_000]).max() == pytest.approx(0.5, abs=0.1)
    assert sounds.seconds(sound) == pytest.approx(2.0, abs=0.1)
    assert len(sounds.open_sound(sound, 16_000, 0.5)) == 8_000


@pytest.mark.parametrize(("codec", "kind"), [("aac", "mp4"), ("libopus", "webm")])
def test_the_length_of_a_film_is_read_from_its_head(
    codec: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Sound(data=film(sine(440, 48_000, 2.0), 48_000, codec, kind))
    monkeypatch.delattr(sounds._Stream, "first")
    assert sounds.seconds(sound) == pytest.approx(2.0, abs=0.1)


def test_without_pyav_a_film_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"needs PyAV.*pip install 'semhub\[mp4\]'") as raised:
        sounds.open_sound(Sound(data=b"\0\0\0\x18ftypisom" + b"\0" * 300), 16_000)
    assert "\n" not in str(raised.value)


def test_a_film_without_a_sound_track_says_so() -> None:
    av = pytest.importorskip("av")
    out = BytesIO()
    try:
        with av.open(out, "w", format="mp4") as container:
            track = container.add_stream("mpeg4", rate=10)
            track.width = track.height = 16
            container.mux(track.encode(av.VideoFrame(16, 16, "yuv420p")))
            container.mux(track.encode(None))
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"PyAV cannot write mpeg4 here: {error}")
    with pytest.raises(DataError, match="has no sound track"):
        sounds.open_sound(Sound(data=out.getvalue()), 16_000)


def test_wav_is_read_back_as_it_was() -> None:
    samples = sine(440, 16_000).astype(np.float32)
    raw = sounds.wav(samples, 16_000)
    with wave.open(BytesIO(raw)) as found:
        assert (found.getnchannels(), found.getsampwidth(), found.getframerate()) == (1, 2, 16_000)
    assert np.abs(sounds.open_sound(Sound(data=raw), 16_000) - samples).max() < 1 / 16_000
    assert raw == sounds.wav(samples.copy(), 16_000)
    loud = sounds.open_sound(Sound(data=sounds.wav(np.array([2.0, -2.0] * 500), 16_000)), 16_000)
    assert np.abs(loud).min() > 0.999


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 5)), np.array([0.0, np.nan])])
def test_what_is_no_sound_is_not_written(samples: NDArray[np.float64]) -> None:
    with pytest.raises(DataError, match="no sound"):
        sounds.wav(samples, 16_000)
