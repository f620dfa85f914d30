"""Offsets, word forms and token texts, for byte-level BPE and for sentencepiece-like tokenizers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tiny import tiny_model, tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from semhub.errors import DataError
from semhub.models import load
from semhub.models.base import Adapter
from semhub.models.tokens import Tokens
from semhub.types import Content

PIECES = [
    "<unk>",
    "<s>",
    "</s>",
    "▁",
    "▁five",
    "five",
    "▁cat",
    "dog",
    "fi",
    "ve",
    "五",
    "▁五",
    "=",
    ":",
    "3",
    "▁3",
]
BYTES = [f"<0x{value:02X}>" for value in range(256)]


def metaspace_tokenizer() -> Any:
    """Unigram over pieces with ▁ and a prefix space, as Llama-2's: 'five' at the start is written '▁five'."""
    vocabulary = [(piece, 0.0 if piece[0] == "<" else -1.0) for piece in PIECES] + [
        (piece, -30.0) for piece in BYTES
    ]
    letters = sorted({*"aâbcdefghijklmnopqrstuvwxyz。"} - {piece for piece, _ in vocabulary})
    vocabulary += [(letter, -10.0) for letter in letters]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture(scope="module")
def byte_level() -> Tokens:
    return Tokens(tiny_tokenizer(), rows=408)


@pytest.fixture(scope="module")
def metaspace() -> Tokens:
    return Tokens(metaspace_tokenizer(), rows=10_000)


def spelled(tokens: Tokens, word: str) -> set[str]:
    return {tokens.text(index) for index in tokens.word_forms(word)}


def test_word_forms_of_byte_level_bpe(byte_level: Tokens) -> None:
    assert spelled(byte_level, "five") <= {"five", " five"}
    assert " five" in spelled(byte_level, "five")
    assert spelled(byte_level, "5") == {"5"}
    assert spelled(byte_level, "xylophone") == set()
    for odd in ("", " ", " five", "five "):
        assert byte_level.word_forms(odd) == ()


def test_word_forms_of_metaspace(metaspace: Tokens) -> None:
    assert spelled(metaspace, "five") == {"five", " five"}
    assert spelled(metaspace, "cat") == {" cat"}
    assert spelled(metaspace, "dog") == {"dog"}
    assert spelled(metaspace, "五") == {"五", " 五"}
    assert spelled(metaspace, "3") == {"3", " 3"}
    assert spelled(metaspace, "謎") == set()


def test_forms_are_all_that_spell_the_word(byte_level: Tokens) -> None:
    """Against a search of the whole vocabulary: no reachable form is missed."""
    for word in ("three", "boat", "river", "8", "河水", "。", "río"):
        every = {i for i in byte_level.strings if byte_level.text(i) in (word, " " + word)}
        alone = {i for i in every if byte_level.tokenizer(byte_level.text(i))["input_ids"] == [i]}
        assert alone <= set(byte_level.word_forms(word)) <= every


@pytest.mark.parametrize(
    "text", ["three plus five", "河水很冷，我们", "Ángel: ¿sí?", "龘🙂", "  two  spaces ", "a"]
)
def test_texts_of_the_tokens_give_the_text_back(text: str, byte_level: Tokens) -> None:
    shown = "".join(byte_level.text(token) for token in byte_level.encode([text])[0].ids)
    if "⟨" not in shown:
        assert shown == text
    raw = shown.encode()
    for value in range(256):
        raw = raw.replace(f"⟨{value:02X}⟩".encode(), bytes([value]))
    assert raw.decode() == text


def test_a_partial_character_is_shown_by_its_bytes(byte_level: Tokens, metaspace: Tokens) -> None:
    ids = byte_level.encode(["龘"])[0].ids
    assert [byte_level.text(index) for index in ids] == ["⟨E9⟩", "⟨BE⟩", "⟨98⟩"]
    assert metaspace.text(metaspace.strings and len(PIECES) + 0xE4) == "⟨E4⟩"
    assert metaspace.text(len(PIECES) + 0x0A) == "\n"
    assert byte_level.text(1) == "<s>"
    assert byte_level.text(999_999) == "⟨id 999999⟩"


@pytest.mark.parametrize("kind", ["byte_level", "metaspace"])
def test_offsets_leave_out_the_space(kind: str, request: pytest.FixtureRequest) -> None:
    tokens: Tokens = request.getfixturevalue(kind)
    text = "3 five cat"
    encoded = tokens.encode([text], special_tokens=False)[0]
    spans = [span for span in encoded.offsets if span is not None]
    assert all(text[start:end] == text[start:end].strip() for start, end in spans if text[start:end].strip())
    assert "".join(text[start:end] for start, end in spans).replace(" ", "") == "3fivecat"


def test_bytes_of_one_character_share_its_span(byte_level: Tokens) -> None:
    assert byte_level.encode(["a龘"])[0].offsets == ((0, 1), (1, 2), (1, 2), (1, 2))


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return load(tiny_model("gpt2"), tiny_tokenizer(), check=False)


def test_too_long_and_empty_contents(adapter: Adapter) -> None:
    with pytest.raises(DataError, match="257 tokens, the model has 256 positions"):
        adapter.encode([Content.of("a"), Content.of("8" * 257)])
    with pytest.raises(DataError, match="is empty"):
        adapter.encode([Content.of("")])
    assert len(adapter.encode([Content.of("8" * 256)])[0].ids) == 256


def test_positions_end_where_the_model_says() -> None:
    limits = {"gpt2": 256, "mpt": 256, "bloom": None}
    assert {
        name: load(tiny_model(name), tiny_tokenizer(), check=False).max_positions for name in limits
    } == limits


def test_padding_sides(adapter: Adapter) -> None:
    encoded = adapter.encode([Content.of("888"), Content.of("8")])
    right, left = adapter.collate(encoded), adapter.collate(encoded, padding="left")
    assert right.mask.tolist() == [[True] * 3, [True, False, False]]
    assert left.mask.tolist() == [[True] * 3, [False, False, True]]
    assert left.position_ids.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert right.lengths == left.lengths == (3, 1)
    assert left.ids[1, 2] == right.ids[1, 0] == encoded[1].ids[0]
