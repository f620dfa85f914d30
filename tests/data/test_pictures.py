"""Opening pictures: every odd but sound kind becomes upright 8-bit RGB, every bad one raises one clear line."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semhub import pictures
from semhub.errors import DataError
from semhub.types import Image

WIDTH, HEIGHT = 12, 8
RED, BLUE = (220, 20, 30), (10, 40, 230)


def halves(mode: str = "RGB", left: Any = RED, right: Any = BLUE) -> PIL.Image.Image:
    """Left half one colour, right half another."""
    picture = PIL.Image.new(mode, (WIDTH, HEIGHT), right)
    picture.paste(left, (0, 0, WIDTH // 2, HEIGHT))
    return picture


def saved(picture: PIL.Image.Image, kind: str, **options: Any) -> Image:
    out = BytesIO()
    picture.save(out, format=kind, **options)
    return Image(data=out.getvalue())


def opened(image: Image) -> np.ndarray:
    picture = pictures.open_picture(image)
    assert picture.mode == "RGB"
    assert pictures.size(image) == picture.size
    return np.asarray(picture)


def near(pixel: np.ndarray, colour: tuple[int, ...], by: int = 3) -> bool:
    return bool((np.abs(pixel.astype(int) - colour) <= by).all())


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_plain_pictures_keep_their_pixels(kind: str, tmp_path: Path) -> None:
    image = saved(halves(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(opened(image), np.asarray(halves()))
    path = tmp_path / "named.bin"  # the bytes tell the kind, not the name
    path.write_bytes(image.data)
    assert np.array_equal(opened(Image(path=str(path))), np.asarray(halves()))


def test_cmyk_is_converted() -> None:
    image = saved(halves("CMYK", (0, 255, 255, 0), (255, 255, 0, 0)), "JPEG", quality=98)
    found = opened(image)
    assert near(found[4, 2], (255, 0, 0), 12)
    assert near(found[4, 9], (0, 0, 255), 12)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_their_range(kind: str) -> None:
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert opened(saved(PIL.Image.fromarray(values), kind))[0].tolist() == [
        [0] * 3, [1] * 3, [128] * 3, [255] * 3
    ]  # fmt: skip
    dark = np.full((2, 2), 2570, np.uint16)  # not stretched: a dark picture stays dark
    assert (opened(saved(PIL.Image.fromarray(dark), kind)) == 10).all()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.array([[0, 128, 255]], np.int32), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 1 << 20, 1 << 21]], np.int32), [0, 128, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[-4, 100, 255]], np.float32), [0, 100, 255]),
        (np.array([[np.nan, np.inf, 500, 1000]], np.float32), [0, 0, 128, 255]),
    ],
)
def test_deep_grey_values(values: np.ndarray, wanted: list[int]) -> None:
    assert opened(saved(PIL.Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == wanted


def palette(**options: Any) -> Image:
    picture = PIL.Image.new("P", (WIDTH, HEIGHT), 1)
    picture.putpalette([*RED, *BLUE])
    picture.paste(0, (0, 0, WIDTH // 2, HEIGHT))
    return saved(picture, "PNG", **options)


def test_palette_with_and_without_transparency() -> None:
    assert np.array_equal(opened(palette()), np.asarray(halves()))
    assert np.array_equal(opened(palette(transparency=1)), np.asarray(halves(right=(255, 255, 255))))
    half = opened(palette(transparency=bytes([255, 128])))
    assert near(half[4, 2], RED)
    assert near(half[4, 9], tuple((255 + one) // 2 for one in BLUE))


@pytest.mark.parametrize(
    ("picture", "left", "right"),
    [
        (halves("RGBA", (*RED, 255), (*BLUE, 0)), RED, (255, 255, 255)),
        (halves("RGBA", (*RED, 128), (*BLUE, 255)), (237, 137, 142), BLUE),
        (halves("LA", (40, 255), (40, 0)), (40, 40, 40), (255, 255, 255)),
        (halves("L", 40, 200), (40, 40, 40), (200, 200, 200)),
        (halves("1", 0, 1), (0, 0, 0), (255, 255, 255)),
    ],
    ids=lambda one: getattr(one, "mode", None),
)
def test_alpha_lies_over_white(
    picture: PIL.Image.Image, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    found = opened(saved(picture, "PNG"))
    assert near(found[4, 2], left, 1)
    assert near(found[4, 9], right, 1)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    frames = [PIL.Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in (RED, BLUE, (0, 200, 0))]
    image = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert getattr(PIL.Image.open(BytesIO(image.data)), "n_frames", 1) == 3
    assert near(opened(image)[4, 4], RED, 12)


def turned(orientation: int, kind: str) -> Image:
    """The upright picture `halves`, stored as a camera held otherwise stores it."""
    upright = halves()
    back = {
        2: PIL.Image.Transpose.FLIP_LEFT_RIGHT, 3: PIL.Image.Transpose.ROTATE_180,
        4: PIL.Image.Transpose.FLIP_TOP_BOTTOM, 5: PIL.Image.Transpose.TRANSPOSE,
        6: PIL.Image.Transpose.ROTATE_90, 7: PIL.Image.Transpose.TRANSVERSE, 8: PIL.Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
    return saved(stored, kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int, kind: str) -> None:
    image = turned(orientation, kind)
    found = opened(image)
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert near(found[1, 1], RED, 25)
    assert near(found[HEIGHT - 2, WIDTH - 2], BLUE, 25)


def test_a_broken_note_on_orientation_is_left_aside() -> None:
    for exif in (b"Exif\0\0broken", b"Exif\0\0II*\0\xff\xff\xff\x7f"):
        assert opened(saved(halves(), "JPEG", exif=exif)).shape == (HEIGHT, WIDTH, 3)
    exif = PIL.Image.Exif()
    exif[0x0112] = 77
    assert opened(saved(halves(), "JPEG", exif=exif)).shape == (HEIGHT, WIDTH, 3)


def claims(width: int, height: int) -> bytes:
    """A sound PNG head for a picture of that size, and next to nothing after it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


BAD: dict[str, tuple[Callable[[], Image], str]] = {
    "no picture": (lambda: Image(), "neither a file nor bytes"),
    "text": (lambda: Image(data=b"A red hat and a blue box."), "no picture that can be read"),
    "noise": (lambda: Image(data=bytes(range(256)) * 9), "no picture that can be read"),
    "vector": (lambda: Image(data=b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "no picture"),
    "document": (lambda: Image(data=b"%PDF-1.4\n%..."), "no picture that can be read"),
    "head alone": (lambda: Image(data=b"\x89PNG\r\n\x1a\n"), "picture"),
    "truncated JPEG": (lambda: Image(data=saved(halves(), "JPEG").data[:-90]), "broken picture"),
    "truncated PNG": (lambda: Image(data=saved(halves(), "PNG").data[:60]), "broken picture"),
    "too little": (lambda: Image(data=claims(500, 500)), "broken picture"),
    "large": (lambda: Image(data=claims(20_000, 4_000)), "more than 64 million pixels"),
    "bomb": (lambda: Image(data=claims(100_000, 100_000)), "more than 64 million pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_are_one_line(name: str, tmp_path: Path) -> None:
    make, words = BAD[name]
    image = make()
    with pytest.raises(DataError, match=words) as caught:
        pictures.open_picture(image)
    assert "\n" not in str(caught.value)
    if image.data:
        path = tmp_path / "bad.png"
        path.write_bytes(image.data)
        with pytest.raises(DataError, match=words) as caught:
            pictures.open_picture(Image(path=str(path)))
        assert str(path) in str(caught.value)


def test_missing_empty_and_odd_paths(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    for path, words in (
        (tmp_path / "absent.png", "cannot be read"),
        (tmp_path / "empty.png", "is empty"),
        (tmp_path, "cannot be read"),
        (tmp_path / ("x" * 400), "cannot be read"),
        (Path("nul\0l.png"), "cannot be read"),
    ):
        for ask in (pictures.open_picture, pictures.size):
            with pytest.raises(DataError, match=words) as caught:
                ask(Image(path=str(path)))  # type: ignore[operator]
            assert "\n" not in str(caught.value)


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)
    path = tmp_path / "large.png"
    path.write_bytes(saved(halves("RGB"), "BMP").data)
    with pytest.raises(DataError, match="larger than"):
        pictures.open_picture(Image(path=str(path)))


def test_size_reads_the_head_alone() -> None:
    assert pictures.size(Image(data=claims(500, 400))) == (500, 400)
    with pytest.raises(DataError, match="more than 64 million pixels"):
        pictures.size(Image(data=claims(100_000, 100_000)))


SOUND = [
    saved(halves(), "JPEG").data,
    saved(halves(), "PNG").data,
    saved(halves(), "GIF").data,
    palette().data,
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SOUND), st.data())
def test_damaged_bytes_open_or_raise_one_line(raw: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(raw)))
    at = data.draw(st.integers(0, len(raw) - 1))
    broken = bytearray(raw[:end] if data.draw(st.booleans()) else raw)
    if at < len(broken):
        broken[at] ^= data.draw(st.integers(1, 255))
    said = ""
    try:
        assert pictures.open_picture(Image(data=bytes(broken))).mode == "RGB"
    except DataError as error:
        said = str(error)
    assert "\n" not in said


@settings(max_examples=50, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_masks_come_back_as_they_were(inside: np.ndarray) -> None:
    mask = pictures.mask_png(inside)
    assert np.array_equal(pictures.mask_inside(mask), inside)
    assert pictures.size(Image(data=mask)) == inside.shape[::-1]
    assert mask == pictures.mask_png(inside)


def test_png_has_the_pixels_and_no_notes() -> None:
    exif = PIL.Image.Exif()
    exif[0x010E] = "a secret"
    exif[0x0112] = 6
    picture = PIL.Image.open(BytesIO(saved(halves(), "PNG", exif=exif).data))
    picture.load()
    found = pictures.png(picture)
    assert found == pictures.png(halves())
    assert b"secret" not in found
    assert np.array_equal(opened(Image(data=found)), np.asarray(halves()))
