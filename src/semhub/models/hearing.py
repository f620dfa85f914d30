"""A model that hears: how sounds are written among the tokens, and what a batch with sounds adds to a forward pass."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from semhub.errors import DataError, UsageError
from semhub.models.ears import Ear, Layout, Samples
from semhub.models.inputs import Encoded, Features, Heard, Inputs
from semhub.models.recent import Recent
from semhub.models.tokens import Tokens
from semhub.models.viewing import joined
from semhub.models.written import Piece, Written, check_count, check_spelled, write_apart, write_out
from semhub.sounds import open_sound
from semhub.types import Content, Sound, Text

CACHE_BYTES = 2**28  # of what was made of sounds that may come again


class Hearing:
    """The ear of a model, and the trunk whose arguments its features become."""

    def __init__(self, ear: Ear, trunk: Any) -> None:
        self.ear = ear
        self.takes = frozenset(inspect.signature(trunk.forward).parameters)
        self._lengths: dict[Sound, int] = {}
        self._cache: Recent[Sound] = Recent()

    def encode(self, tokens: Tokens, contents: Sequence[Content], special_tokens: bool) -> list[Encoded]:
        """Tokens of contents with sounds. Raises DataError for a sound that is broken or too short."""
        return [self._encode(tokens, one, special_tokens) for one in contents]

    def check_spelled(self, tokens: Tokens, content: Content, encoded: Encoded) -> None:
        """Raises DataError for a placeholder in a text."""
        check_spelled(tokens, content, encoded, self.ear.feature_id, _held(encoded), "sound")

    def hear(self, inputs: Inputs, encoded: Sequence[Encoded]) -> Inputs:
        """The batch with the sounds of its contents. Raises UsageError for ids whose sounds are missing."""
        for one in encoded:
            if one.ids.count(self.ear.feature_id) != _held(one):
                raise UsageError(
                    "a content has placeholders without their sounds: cut it with Encoded.beginning and lengthen it "
                    "with Encoded.followed_by."
                )
        if not any(one.sounds for one in encoded):
            return inputs
        found = tuple(
            tuple(self._cache.get(heard.sound, self._features, CACHE_BYTES) for heard in one.sounds)
            for one in encoded
        )
        return replace(inputs, sounds=found)

    def arguments(self, inputs: Inputs, dtype: torch.dtype) -> dict[str, Tensor]:
        """What the trunk takes of the sounds; floating numbers in the model's dtype."""
        features = joined([one for row in inputs.sounds for one in row], self.takes)
        return {
            name: value.to(inputs.ids.device, dtype if value.is_floating_point() else None)
            for name, value in features.items()
        }

    def _encode(self, tokens: Tokens, content: Content, special_tokens: bool) -> Encoded:
        layouts = {at: self._layout(sound) for at, sound in content.sounds}
        write = self._apart if self.ear.by_pieces else self._together
        found = write(tokens, content, layouts, special_tokens)
        heard = []
        for at, sound in content.sounds:
            where, layout = found.held[at], layouts[at]
            check_count(len(where), layout.count, "sound")
            for position in where:
                found.offsets[position] = (at, at + 1)
            heard.append(Heard(sound, at, tuple(where), layout.seconds, where[0], where[-1] + 1))
        return Encoded(found.ids, tuple(found.offsets), sounds=tuple(heard))

    def _together(
        self, tokens: Tokens, content: Content, layouts: dict[int, Layout], special_tokens: bool
    ) -> Written:
        """What stands for a sound is part of one text."""
        placeholder = str(tokens.tokenizer.convert_ids_to_tokens(self.ear.feature_id))
        pieces, at = [], 0
        for part in content.parts:
            if isinstance(part, Text):
                pieces.append(Piece(part.text, at))
                at += len(part.text)
            else:
                one = layouts[at]
                pieces.append(Piece(one.before + placeholder * one.count + one.after, at, stands=True))
                at += 1
        return write_out(tokens, pieces, self.ear.feature_id, special_tokens)

    def _apart(
        self, tokens: Tokens, content: Content, layouts: dict[int, Layout], special_tokens: bool
    ) -> Written:
        """The text before a sound and the text after it are tokenized each by itself."""
        runs: list[tuple[list[Piece], int, int]] = []
        pieces: list[Piece] = []
        at = 0
        for part in content.parts:
            if isinstance(part, Text):
                pieces.append(Piece(part.text, at))
                at += len(part.text)
            else:
                one = layouts[at]
                runs.append(([*pieces, Piece(one.before, None)], at, one.count))
                pieces = [Piece(one.after, None)]
                at += 1
        return write_apart(tokens, [*runs, (pieces, at, 0)], self.ear.feature_id, special_tokens)

    def _layout(self, sound: Sound) -> Layout:
        if sound not in self._lengths:  # only the whole sound says how many samples it has at another rate
            self._lengths[sound] = len(self._samples(sound))
        n_samples = self._lengths[sound]
        found = self.ear.layout(n_samples)
        if found.count < 1:
            length = n_samples / self.ear.rate
            raise DataError(
                f"a sound of {length:.3g} seconds is too short for this model, which makes no position of it: leave "
                "it out."
            )
        return found

    def _features(self, sound: Sound) -> Features:
        return self.ear.features(self._samples(sound))

    def _samples(self, sound: Sound) -> Samples:
        return open_sound(sound, self.ear.rate, None if math.isinf(self.ear.longest) else self.ear.longest)


def _held(encoded: Encoded) -> int:
    """How many placeholders stand for the content's sounds."""
    return sum(len(heard.positions) for heard in encoded.sounds)
