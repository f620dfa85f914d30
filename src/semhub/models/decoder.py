"""The adapter of every ordinary Hugging Face decoder, and of one that also sees or hears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, final

import torch
from torch import Tensor

from semhub.errors import DataError, ModelError, UsageError
from semhub.models.base import Adapter, Encoded, Grid, Heard, Inputs, Shown
from semhub.models.ears import Ear
from semhub.models.entered import FAULTS, enter, is_enough
from semhub.models.hearing import Hearing
from semhub.models.inputs import Entered
from semhub.models.past import Past
from semhub.models.sight import Sight
from semhub.models.sites import returned_by, visiting
from semhub.models.structure import after_head, find_structure
from semhub.models.tokens import Tokens, check_length
from semhub.models.twins import copy_all_but, copy_embeddings, fresh
from semhub.models.viewing import Viewing
from semhub.models.weights import sha256
from semhub.types import Area, Content


@final
class DecoderAdapter(Adapter):
    """A `transformers` causal language model in memory, with a fast tokenizer; see `semhub.models.load`.

    sight, ear: how it is shown pictures and hears sounds; without them, `blind` and `deaf` say why it takes none.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "",
        model_id: str = "",
        revision: str = "",
        sight: Sight | None = None,
        blind: str = "",
        ear: Ear | None = None,
        deaf: str = "",
    ) -> None:
        self.model = model.eval()
        self.structure = find_structure(model)
        parts, config = self.structure, model.config.get_text_config()
        self.viewing = None if sight is None else Viewing(sight, parts.trunk)
        self.hearing = None if ear is None else Hearing(ear, parts.trunk)
        self.blind, self.deaf = blind, deaf
        senses = {"text": True, "image": sight is not None, "audio": ear is not None}
        self.takes = frozenset(name for name, has in senses.items() if has)
        self.tokens = Tokens(tokenizer, rows=int(model.get_input_embeddings().weight.shape[0]))
        self.model_id = model_id or str(getattr(model.config, "_name_or_path", "")) or type(model).__name__
        self.name = name or self.model_id.rstrip("/").rsplit("/", 1)[-1]
        self.revision = revision
        self.architecture = type(model).__name__
        self.blocks = parts.blocks
        self.unembedding = parts.unembedding
        self.n_layers = len(parts.blocks)
        self.d_model = parts.d_model
        self.vocab_size = int(parts.unembedding.weight.shape[0])
        self.n_tokens = min(self.tokens.n_tokens, self.vocab_size)
        self.n_parameters = int(model.num_parameters())
        self.max_positions = _max_positions(config)
        self.special_ids = self.tokens.special_ids
        self.end_ids = _end_ids(model, tokenizer)
        self.device = torch.device(model.device)
        self.dtype = parts.dtype
        self.attention = str(getattr(config, "_attn_implementation", None) or "model's own")
        self.quantization = _quantization(model.config)
        self.running: Inputs | None = None
        self.visits = 0
        self._enters: dict[
            tuple[bool, bool, int, bool], bool
        ] = {}  # kind of batch -> whether `entered` is enough

    def encode(self, contents: Sequence[Content], special_tokens: bool = True) -> list[Encoded]:
        kinds = [self._kind(content) for content in contents]
        encoders = {"text": self._texts}
        if self.viewing is not None:
            encoders["image"] = partial(self.viewing.sight.encode, self.tokens)
        if self.hearing is not None:
            encoders["audio"] = partial(self.hearing.encode, self.tokens)
        done = {
            kind: iter(
                encode([c for c, own in zip(contents, kinds, strict=True) if own == kind], special_tokens)
            )
            for kind, encode in encoders.items()
        }
        encoded = [next(done[kind]) for kind in kinds]
        for content, tokens in zip(contents, encoded, strict=True):
            if self.viewing is not None:
                self.viewing.sight.check_spelled(self.tokens, content, tokens)
            if self.hearing is not None:
                self.hearing.check_spelled(self.tokens, content, tokens)
            check_length(len(tokens.ids), self.max_positions, f"content {content.text[:40]!r}")
        return encoded

    def _kind(self, content: Content) -> str:
        """Of what, beside text, the content is. Raises DataError for what the model does not take."""
        if content.images and content.sounds:
            raise DataError(
                f"{self.name}: a content with both pictures and sounds is not read: take one kind out."
            )
        if content.images and self.viewing is None:
            raise DataError(
                f"{self.name}: this model takes no pictures" + (f": {self.blind}" if self.blind else ".")
            )
        if content.sounds and self.hearing is None:
            raise DataError(
                f"{self.name}: this model takes no sounds" + (f": {self.deaf}" if self.deaf else ".")
            )
        return "image" if content.images else "audio" if content.sounds else "text"

    def _texts(self, contents: Sequence[Content], special_tokens: bool) -> list[Encoded]:
        return self.tokens.encode([content.text for content in contents], special_tokens)

    def collate(self, encoded: Sequence[Encoded], padding: str = "right") -> Inputs:
        if padding not in ("right", "left"):
            raise UsageError(f"padding is 'right' or 'left', not {padding!r}.")
        if not encoded or not all(content.ids for content in encoded):
            raise DataError("a batch needs at least one content, and each content at least one token.")
        lengths = tuple(len(content.ids) for content in encoded)
        width = max(lengths)
        # A row is padded with its own first token: any id does that stands for no picture or sound, and the libraries
        # warn about pad ids without a mask.
        pads = [content.ids[0] if not content.whole else self._plain_id for content in encoded]
        ids = torch.tensor(pads).unsqueeze(1).repeat(1, width)
        mask = torch.zeros((len(lengths), width), dtype=torch.bool)
        for row, content in enumerate(encoded):
            where = slice(0, lengths[row]) if padding == "right" else slice(width - lengths[row], width)
            ids[row, where] = torch.tensor(content.ids)
            mask[row, where] = True
        position_ids = (mask.cumsum(1) - 1).clamp(min=0)
        inputs = Inputs(
            ids.to(self.device), mask.to(self.device), position_ids.to(self.device), lengths, padding
        )
        if self.viewing is not None:
            inputs = self.viewing.show(inputs, encoded)
        return inputs if self.hearing is None else self.hearing.hear(inputs, encoded)

    def area(self, encoded: Encoded, area: Area) -> tuple[int, ...]:
        heard = self._heard(encoded, area.at)
        if heard is None:
            viewing, shown = self._shown(encoded, area.at)
            return viewing.sight.area(shown, area)
        if area.mask:
            raise DataError(
                f"the character {area.at} of the content is a sound, and a mask is of a picture: leave it out."
            )
        return heard.positions

    def times(self, encoded: Encoded, at: int) -> tuple[tuple[float, float], ...] | None:
        heard = self._heard(encoded, at)
        if heard is None:
            raise DataError(f"the character {at} of the content is no sound.")
        return heard.seconds or None

    def _heard(self, encoded: Encoded, at: int) -> Heard | None:
        return next((heard for heard in encoded.sounds if heard.at == at), None)

    def grid(self, encoded: Encoded, at: int) -> Grid | None:
        viewing, shown = self._shown(encoded, at)
        return viewing.sight.grid(shown)

    def _shown(self, encoded: Encoded, at: int) -> tuple[Viewing, Shown]:
        found = next((shown for shown in encoded.pictures if shown.at == at), None)
        if self.viewing is None or found is None:
            what = "picture and no sound" if self.hearing is not None else "picture"
            raise DataError(f"the character {at} of the content is no {what}.")
        return self.viewing, found

    def forward(self, inputs: Inputs, past: Past | None = None) -> None:
        with self._running(inputs):
            self.structure.trunk(**self._arguments(inputs, past))

    def entered(self, inputs: Inputs, layer: int = 0, past: Past | None = None) -> Entered | None:
        pictures, sounds = any(inputs.pictures), any(inputs.sounds)
        kind = (pictures, sounds, layer, past is not None)
        if self.visits or not (pictures or sounds or layer) or self._enters.get(kind) is False:
            return None
        found = enter(self, inputs, layer, past, self._held_ids, self._plain_id)
        if kind not in self._enters:
            self._enters[kind] = is_enough(self, inputs, found, past)
        return found if self._enters[kind] else None

    @cached_property
    def returned_by_blocks(self) -> int:
        one = torch.full((1, 1), self._plain_id, device=self.device)
        inputs = Inputs(one, torch.ones_like(one, dtype=torch.bool), torch.zeros_like(one), (1,), "right")
        return returned_by(self.blocks[0], lambda: self.forward(inputs))

    def no_past(self) -> Past | None:
        return Past.empty(self.model) if self._remembers else None

    @cached_property
    def _plain_id(self) -> int:
        """An id that is no special token and stands for no picture or sound."""
        taken = self.special_ids | self._held_ids
        return next(index for index in range(self.n_tokens) if index not in taken)

    @cached_property
    def _held_ids(self) -> frozenset[int]:
        """The ids that stand for pictures and sounds."""
        seen = () if self.viewing is None else self.viewing.sight.picture_ids
        heard = () if self.hearing is None else (self.hearing.ear.feature_id,)
        return frozenset((*seen, *heard))

    @cached_property
    def _remembers(self) -> bool:
        """Whether reading in parts, with rows exchanged in between, gives the states of reading at once."""
        ids = torch.arange(1, 2 * 6 + 1, device=self.device).view(2, 6) % self.n_tokens
        ones = torch.ones_like(ids, dtype=torch.bool)
        place = torch.arange(6, device=self.device).expand(2, 6)
        try:
            whole = self._last_states(Inputs(ids, ones, place, (6, 6), "left"), None)
            past = Past.empty(self.model)
            for start, end in ((0, 3), (3, 5), (5, 6)):
                part = Inputs(ids[:, start:end], ones[:, :end], place[:, start:end], (end, end), "left")
                found = self._last_states(part, past)
                ids, past = ids.flip(0), past.rows(torch.tensor([1, 0], device=self.device))
        except FAULTS:
            return False
        apart = (found - whole).norm() / whole.norm()
        return bool(apart < (1e-3 if self.dtype in (torch.float32, torch.float64) else 5e-2))

    def _last_states(self, inputs: Inputs, past: Past | None) -> Tensor:
        kept: list[Tensor] = []
        with visiting(self, {self.n_layers: lambda states: kept.append(states[:, -1].double())}):
            self.forward(inputs, past)
        return kept[0]

    def logits(self, inputs: Inputs) -> Tensor:
        with self._running(inputs):
            logits: Tensor = self.model(**self._arguments(inputs)).logits
        return logits

    def hidden_states(self, inputs: Inputs) -> tuple[Tensor, ...]:
        with self._running(inputs):
            out = self.structure.trunk(**self._arguments(inputs), output_hidden_states=True, return_dict=True)
        if not out.hidden_states or len(out.hidden_states) <= self.n_layers:
            raise ModelError(
                f"{self.architecture} does not report its hidden states; semhub cannot check what it reads."
            )
        return tuple(out.hidden_states)

    def final_norm(self, states: Tensor) -> Tensor:
        normed = states.to(self.unembedding.weight.device, self.dtype)
        with torch.no_grad():
            for module in self.structure.tail:
                normed = module(normed)
        return normed

    def word_forms(self, word: str) -> tuple[int, ...]:
        return tuple(index for index in self.tokens.word_forms(word) if index < self.n_tokens)

    def token_text(self, token: int) -> str:
        return self.tokens.text(token)

    def twin(self, seed: int, keep_embeddings: bool = False) -> DecoderAdapter:
        if self.quantization:
            raise ModelError(
                f"a {self.quantization} model cannot be re-initialised; load it unquantised or use --twins 0."
            )
        model = fresh(self.model, seed)
        if keep_embeddings:
            copy_embeddings(self.model, model)
            if self.viewing is not None or self.hearing is not None:
                copy_all_but(self.model, model, (*self.blocks, *self.structure.tail))
        name = f"{self.name}-twin{seed}" + ("-embeddings" if keep_embeddings else "")
        return DecoderAdapter(
            model,
            self.tokens.tokenizer,
            name=name,
            model_id=self.model_id,
            revision=self.revision,
            sight=None if self.viewing is None else self.viewing.sight,
            blind=self.blind,
            ear=None if self.hearing is None else self.hearing.ear,
            deaf=self.deaf,
        )

    def head_response(self, projected: Tensor) -> Tensor:
        return after_head(self.model, projected)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.model.named_parameters()

    def weights_sha256(self) -> str:
        return sha256(self.weights())

    def continuation(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        return self.tokens.continuation(before, tokens)

    def _arguments(self, inputs: Inputs, past: Past | None = None) -> dict[str, Any]:
        """Right padding needs no mask: no position reads a later one. Left padding needs mask and positions."""
        arguments: dict[str, Any] = {"input_ids": inputs.ids, "use_cache": past is not None}
        if past is not None:
            arguments["past_key_values"] = past.cache
        if inputs.padding == "left":
            arguments["attention_mask"] = inputs.mask.long()
            if self.structure.takes_position_ids:
                arguments["position_ids"] = inputs.position_ids
        if self.viewing is not None:
            arguments |= self.viewing.arguments(inputs, self.dtype)
        if self.hearing is not None:
            arguments |= self.hearing.arguments(inputs, self.dtype)
        return arguments

    @contextmanager
    def _running(self, inputs: Inputs) -> Iterator[None]:
        self.running = inputs
        try:
            with torch.inference_mode():
                yield
        finally:
            self.running = None


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    settings = getattr(model, "generation_config", None)
    named = [getattr(settings, "eos_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    flat = [one for some in named for one in (some if isinstance(some, list | tuple) else [some])]
    return frozenset(int(one) for one in flat if one is not None)


def _max_positions(config: Any) -> int | None:
    """None where the configuration sets no limit (ALiBi)."""
    for name in ("max_position_embeddings", "max_seq_len"):
        limit = getattr(config, name, None)
        if isinstance(limit, int) and limit > 0:
            return limit
    return None


def _quantization(config: Any) -> str | None:
    settings = getattr(config, "quantization_config", None)
    if settings is None:
        return None
    method = settings.get("quant_method") if isinstance(settings, dict) else settings.quant_method
    return str(getattr(method, "value", method))
