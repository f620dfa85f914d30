"""Opening pictures: any common raster file becomes 8-bit RGB in one way, and a bad one raises one clear line.

First frame of an animation, EXIF orientation applied, alpha over white, CMYK converted, more than 8 bits scaled down.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.Image import Transpose

from semhub.errors import DataError
from semhub.types import Image

MAX_PIXELS = 64_000_000  # a file of a few kilobytes can claim to be far larger; decoded this is 192 MB
MAX_BYTES = 256 * 1024 * 1024
# No EPS, PDF and the like: opening those runs other programs.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip


def open_picture(image: Image) -> PIL.Image.Image:
    """The picture, upright, mode RGB. Raises DataError: missing, empty, broken, too large, of an unknown kind."""
    raw = _bytes(image)
    with warnings.catch_warnings():
        _strict()
        try:
            with _open(raw, image) as picture:
                picture.load()
                turn = _orientation(picture)
                rgb = _rgb(picture)
            return rgb.transpose(_UPRIGHT[turn]) if turn in _UPRIGHT else rgb
        except DataError:
            raise
        except Exception as error:  # decoders raise anything on a broken file
            raise _broken(image, error) from error


def size(image: Image) -> tuple[int, int]:
    """(width, height) of the upright picture, from the file's head. Raises DataError as `open_picture` does."""
    raw = _bytes(image)
    with warnings.catch_warnings():
        _strict()
        try:
            with _open(raw, image) as picture:
                if picture.format == "PNG" and b"eXIf" not in raw and "exif" not in picture.info:
                    return picture.size  # asking for the orientation would decode the whole picture
                if picture.format == "TIFF":
                    picture.load()  # turns the picture itself, and from which version on its size says so differs
                width, height = picture.size
                return (height, width) if _orientation(picture) >= 5 else (width, height)
        except DataError:
            raise
        except Exception as error:
            raise _broken(image, error) from error


def png(picture: PIL.Image.Image) -> bytes:
    """The picture as a PNG file without metadata; the same pixels give the same bytes."""
    out = BytesIO()
    plain = PIL.Image.frombytes(picture.mode, picture.size, picture.tobytes())
    plain.save(out, format="PNG", compress_level=6)
    return out.getvalue()


def mask_png(inside: NDArray[np.bool_]) -> bytes:
    """A mask [height, width] as the greyscale PNG that `Area.mask` holds, white inside."""
    return png(PIL.Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)))


def mask_inside(mask: bytes) -> NDArray[np.bool_]:
    """What `mask_png` wrote, as [height, width]. Raises DataError when it is no picture."""
    return np.asarray(open_picture(Image(data=mask)).convert("L")) > 127


def _name(image: Image) -> str:
    return image.path or f"a picture given as {len(image.data)} bytes"


def _bytes(image: Image) -> bytes:
    raw = image.data
    if not raw:
        if not image.path:
            raise DataError(
                "a picture has neither a file nor bytes. Give Image(path=...) or Image(data=...)."
            )
        path = Path(image.path)
        try:
            if path.is_file() and path.stat().st_size > MAX_BYTES:
                raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MB. Give a smaller picture.")
            raw = path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{image.path!r} cannot be read: {reason}. Give an existing picture.") from error
        if not raw:
            raise DataError(f"{path} is empty. Give a picture.")
    return raw


def _strict() -> None:
    """Pillow's warnings on odd but readable files are silent; its warning of a decompression bomb is an error."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)


def _open(raw: bytes, image: Image) -> PIL.Image.Image:
    PIL.Image.init()
    known = [name for name in FORMATS if name in PIL.Image.OPEN]
    try:
        picture = PIL.Image.open(BytesIO(raw), formats=known)
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        raise _too_large(image) from error
    except PIL.UnidentifiedImageError as error:
        raise DataError(
            f"{_name(image)} is no picture that can be read. Give a JPEG, PNG or WebP."
        ) from error
    if picture.width * picture.height > MAX_PIXELS:
        raise _too_large(image, f" ({picture.width} x {picture.height})")
    return picture


def _too_large(image: Image, shape: str = "") -> DataError:
    return DataError(
        f"{_name(image)} has more than {MAX_PIXELS // 10**6} million pixels{shape}. Give a smaller picture."
    )


def _broken(image: Image, error: Exception) -> DataError:
    why = " ".join(str(error).split())[:100] or type(error).__name__
    return DataError(f"{_name(image)} is a broken picture: {why.rstrip('.')}. Replace or remove it.")


def _orientation(picture: PIL.Image.Image) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken note beside the pixels does not break the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    mode = picture.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        return PIL.Image.fromarray(_eight_bits(np.asarray(picture))).convert("RGB")
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        if mode == "La":
            picture = picture.convert("LA")
        clear = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey values of any depth -> 0..255: 16 bits by their full range, floats by 1 or by their largest."""
    grey = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(grey.max(initial=0.0))
    if values.dtype.kind == "f":
        scale = 255.0 / (1.0 if largest <= 1.0 else 255.0 if largest <= 255.0 else largest)
    else:
        full = 65535.0 if values.dtype.itemsize == 2 or 255.0 < largest <= 65535.0 else max(largest, 255.0)
        scale = 255.0 / full
    return np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8)
