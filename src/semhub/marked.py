"""A text with `<image>` and `<audio>` in it, and the files that belong there, as a content."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from semhub.errors import UsageError
from semhub.pictures import size
from semhub.sounds import open_sound
from semhub.types import Content, Image, Part, Sound

IMAGE_MARK, AUDIO_MARK = "<image>", "<audio>"
Picture = str | Path | bytes | Image
Clip = str | Path | bytes | Sound
TIMES = {1: "once", 2: "twice"}
RATE, CHECKED = 16_000, 30.0  # as much of a sound is read to see that it is one


def content_of(
    text: str, images: Iterable[Picture] | None = None, sounds: Iterable[Clip] | None = None
) -> Content:
    """The text with each picture where it says `<image>` and each sound where it says `<audio>`.

    Those whose mark the text says nowhere come before it, pictures first. Where no pictures (sounds) are given, not
    even an empty list, the mark is text like any other. Raises UsageError where files and places do not match, and
    DataError for what is no picture or no sound.
    """
    parts: dict[str, list[Part]] = {}
    if images is not None:
        parts[IMAGE_MARK] = [_picture(one) for one in images]
    if sounds is not None:
        parts[AUDIO_MARK] = [_sound(one) for one in sounds]
    stretches = re.split(f"({'|'.join(map(re.escape, parts))})", text) if parts else [text]
    first: list[Part] = []
    for mark, given in parts.items():
        _check(mark, len(given), stretches.count(mark))
        if mark not in stretches:
            first += given
    waiting = {mark: iter(given) for mark, given in parts.items()}
    rest = [next(waiting[one]) if one in waiting else one for one in stretches]
    return Content.of(*(part for part in (*first, *rest) if part))


def _check(mark: str, given: int, said: int) -> None:
    if not said or said == given:
        return
    noun, option = ("picture", "image") if mark == IMAGE_MARK else ("sound", "audio")
    count = {0: f"no {noun} is", 1: f"1 {noun} is"}.get(given, f"{given} {noun}s are")
    argument = "images" if mark == IMAGE_MARK else "sounds"
    raise UsageError(
        f"the text says {mark} {TIMES.get(said, f'{said} times')} and {count} given: one --{option} (in Python, one of "
        f"{argument}=) for each."
    )


def refuse_marked(text: str, takes: Collection[str]) -> None:
    """Raises UsageError for a mark of what the model takes, where texts alone are read."""
    for mark, sense in ((IMAGE_MARK, "image"), (AUDIO_MARK, "audio")):
        if mark in text and sense in takes:
            raise UsageError(f"the text says {mark}: only texts are taken here, no pictures and no sounds.")


def _picture(one: Picture) -> Image:
    made = (
        one if isinstance(one, Image) else Image(data=one) if isinstance(one, bytes) else Image(path=str(one))
    )
    size(made)
    return made


def _sound(one: Clip) -> Sound:
    if not isinstance(one, str | Path | bytes | Sound):
        raise UsageError(
            f"a sound is a path, a file's bytes or a semhub.types.Sound, not {type(one).__name__}: samples are given "
            "as semhub.sounds.wav(samples, rate)."
        )
    made = (
        one if isinstance(one, Sound) else Sound(data=one) if isinstance(one, bytes) else Sound(path=str(one))
    )
    open_sound(made, RATE, CHECKED)
    return made
