"""Text to tokens and back: offsets, the single-token forms of a word, what one token spells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from semhub.errors import DataError, ModelError
from semhub.models.base import Encoded

# What may stand before a word without becoming part of its token, whatever the tokenizer splits on.
ANCHORS = ("", "\n", "=", "。")


class Tokens:
    """A fast Hugging Face tokenizer, seen from the text. Raises ModelError for one that gives no offsets."""

    def __init__(self, tokenizer: Any, rows: int) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{type(tokenizer).__name__} gives no character offsets; semhub needs a fast tokenizer "
                "(a tokenizer.json beside the weights)."
            )
        self.tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        self.strings: dict[int, str] = {index: string for string, index in vocabulary.items()}
        self.n_tokens = min(max(self.strings) + 1, rows)
        self.special_ids = frozenset(int(index) for index in tokenizer.all_special_ids if index is not None)
        self._forms: dict[str, tuple[int, ...]] = {}

    def encode(self, texts: Sequence[str], special_tokens: bool = True) -> list[Encoded]:
        """Offsets leave out the spaces before a word, whether or not the tokenizer counts them."""
        if not texts:
            return []
        out = self.tokenizer(
            list(texts),
            add_special_tokens=special_tokens,
            padding=False,
            truncation=False,
            verbose=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        columns = (out["input_ids"], out["offset_mapping"], out["special_tokens_mask"])
        return [
            self._encoded(text, ids, offsets, mask)
            for text, ids, offsets, mask in zip(texts, *columns, strict=True)
        ]

    def _encoded(
        self, text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]], special: Sequence[int]
    ) -> Encoded:
        if any(index >= self.n_tokens for index in ids):
            unknown = next(index for index in ids if index >= self.n_tokens)
            raise ModelError(
                f"the tokenizer writes id {unknown} ({self.strings.get(unknown)!r}), the model has embeddings for "
                f"ids below {self.n_tokens}: tokenizer and model do not belong together."
            )
        spans = (None if added else _trim(text, *span) for span, added in zip(offsets, special, strict=True))
        return Encoded(tuple(ids), tuple(spans))

    def continuation(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """What `tokens` spell after the tokens `before`: a space at the seam is kept, special tokens are left out."""
        start, whole = (self._decode(ids) for ids in (before, [*before, *tokens]))
        return whole[len(start) :] if whole.startswith(start) else self._decode(tokens)

    def _decode(self, ids: Sequence[int]) -> str:
        kept = [index for index in ids if index not in self.special_ids]
        return str(self.tokenizer.decode(kept, clean_up_tokenization_spaces=False))

    def word_forms(self, word: str) -> tuple[int, ...]:
        """Distinct ids that are the whole of `word`, or of a space and `word`, after some anchor."""
        if word not in self._forms:
            self._forms[word] = tuple(sorted(self._find_forms(word))) if word.strip() == word and word else ()
        return self._forms[word]

    def _find_forms(self, word: str) -> Iterator[int]:
        found: set[int] = set()
        for anchor, before in zip(ANCHORS, self._anchor_ids, strict=True):
            for spelled in (word, " " + word):
                ids = self._plain(anchor + spelled)
                if len(ids) == len(before) + 1 and ids[: len(before)] == before and ids[-1] not in found:
                    found.add(ids[-1])
                    if self.text(ids[-1]) in (word, " " + word):
                        yield ids[-1]

    @cached_property
    def _anchor_ids(self) -> list[list[int]]:
        return [self._plain(anchor) if anchor else [] for anchor in ANCHORS]

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    @cached_property
    def _byte_level(self) -> bool:
        return "ByteLevel" in set(
            _decoder_types(json.loads(self.tokenizer.backend_tokenizer.to_str())["decoder"])
        )

    def text(self, token: int) -> str:
        """What the token spells; a partial character is shown by its bytes as ⟨E4⟩."""
        string = self.strings.get(token)
        if string is None:
            return f"⟨id {token}⟩"
        if token in self.special_ids:
            return string
        if self._byte_level:
            if all(character in BYTE_OF for character in string):
                return _show(bytes(BYTE_OF[character] for character in string))
            return string
        if len(string) == 6 and string.startswith("<0x") and string.endswith(">"):
            return _show(bytes([int(string[3:5], 16)]))
        return string.replace("▁", " ")


def check_length(length: int, limit: int | None, where: str) -> None:
    """Raises DataError for a content without tokens or with more than the model has positions."""
    if length == 0:
        raise DataError(f"{where} is empty: there is no position to read.")
    if limit is not None and length > limit:
        raise DataError(f"{where} has {length} tokens, the model has {limit} positions: shorten it.")


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    stripped = text[start:end].lstrip()
    return (end - len(stripped), end) if stripped else (start, end)


def _decoder_types(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield str(node.get("type"))
        for child in node.get("decoders", ()):
            yield from _decoder_types(child)


def _byte_alphabet() -> dict[str, int]:
    """The printable stand-in of each byte in byte-level BPE (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + rank): byte for rank, byte in enumerate(others)}


BYTE_OF = _byte_alphabet()


def _show(raw: bytes) -> str:
    """UTF-8 text, with each byte that belongs to no whole character as ⟨E4⟩."""
    shown = []
    while raw:
        try:
            shown.append(raw.decode())
            break
        except UnicodeDecodeError as error:
            bad = raw[error.start : error.end]
            shown.append(raw[: error.start].decode() + "".join(f"⟨{byte:02X}⟩" for byte in bad))
            raw = raw[error.end :]
    return "".join(shown)
