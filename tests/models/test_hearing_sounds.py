"""Which positions a sound fills, which part of it each carries, and what is refused in one line."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from tests.models.soundmodels import (
    FAMILIES,
    HEARING,
    RATE,
    cached_sound_checkpoint,
    noise,
    sound,
    sound_extractor,
    sound_model,
    sound_tokenizer,
)
from tests.models.visionmodels import picture
from tests.tiny import cached_checkpoint
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from semhub.capture import capture_all
from semhub.errors import DataError, ModelError, SelfCheckError, UsageError
from semhub.models import hearing as hearings
from semhub.models import load, selfcheck
from semhub.models.base import Encoded
from semhub.models.decoder import DecoderAdapter
from semhub.models.ears import Ear
from semhub.models.tokens import Tokens
from semhub.models.written import Piece, write_apart, write_out
from semhub.sounds import wav
from semhub.types import SOUND, Area, Content, Sound

MIXING = ("self_attn.out_proj", "pos_conv")  # where an encoder's positions read each other


@pytest.fixture(scope="module", params=HEARING)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def adapter(family: str) -> DecoderAdapter:
    return loaded(family)


def loaded(family: str, **options: Any) -> DecoderAdapter:
    found = load(str(cached_sound_checkpoint(family)), check=False, **options)
    assert isinstance(found, DecoderAdapter)
    return found


def in_memory(family: str, model: Any) -> DecoderAdapter:
    extractor: Any = sound_extractor(family)
    if family == "salmonn":
        from semhub.models.salmonn_ear import SalmonnEar

        extractor = SalmonnEar(extractor, model.config)
    found = load(model, sound_tokenizer(family), feature_extractor=extractor, check=False)
    assert isinstance(found, DecoderAdapter)
    return found


def one_sound(adapter: DecoderAdapter, seconds: float, seed: int = 0) -> Encoded:
    return adapter.encode([Content.of("What is ", sound(seconds, seed), " it?\n")])[0]


def test_offsets_around_a_sound(adapter: DecoderAdapter) -> None:
    """Each character of the text and the sound's own lie at their place; what is added lies at none."""
    content = Content.of("What is in\n", sound(1.1), "\nÁngel dijo ", sound(0.4, 1), sound(0.6, 2), " sí")
    (found,) = adapter.encode([content])
    text = content.text
    for token, span in zip(found.ids, found.offsets, strict=True):
        if span is not None and text[span[0] : span[1]] != SOUND:
            spelled = adapter.token_text(token)
            assert "⟨" in spelled or spelled.strip() == text[span[0] : span[1]].strip()
    held = {index for span in found.offsets if span for index in range(*span)}
    assert {i for i, letter in enumerate(text) if not letter.isspace()} <= held
    for heard, (at, one) in zip(found.sounds, content.sounds, strict=True):
        where = tuple(i for i, span in enumerate(found.offsets) if span == (at, at + 1))
        assert (
            heard.positions == where == adapter.area(found, Area(at)) == tuple(range(heard.start, heard.end))
        )
        assert (heard.at, heard.sound) == (at, one)
        assert adapter.times(found, at) == heard.seconds
        assert len(heard.seconds) == len(where)


def test_only_its_positions_change_with_a_sound(adapter: DecoderAdapter) -> None:
    one, other = one_sound(adapter, 0.9), one_sound(adapter, 0.9, seed=9)
    assert one.ids == other.ids
    states = [capture_all(adapter, [each], "all", layers=[0]).values[0] for each in (one, other)]
    changed = torch.nonzero((states[0] != states[1]).any(-1)).flatten().tolist()
    assert tuple(changed) == one.sounds[0].positions


def test_each_position_carries_its_window(family: str) -> None:
    """A burst changes the state of the position whose window it lies in more than any other's.

    With an encoder whose positions do not read each other, so that a feature carries its own window alone.
    """
    model = sound_model(family)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ("audio" in name or "whisper" in name or "beats" in name) and any(m in name for m in MIXING):
                weight.zero_()
    adapter = in_memory(family, model)
    plain = noise(2.9)
    longest = min(2.9, HEARING[family].longest)
    (found,) = adapter.encode([Content.of(Sound(data=wav(plain, RATE)))])
    times = adapter.times(found, 0)
    assert times is not None
    inside = [index for index, (_, end) in enumerate(times) if end <= longest]
    assert times[inside[-1]][1] > longest - 0.4
    for index in inside[:: max(1, len(inside) // 9)]:
        start, end = times[
            index
        ]  # spectra are named by their middles: a window's own lie a little early in it
        middle = round((start + 0.375 * (end - start)) * RATE)
        burst = plain.copy()
        burst[middle - 60 : middle + 60] += 0.5 * np.sin(2 * np.pi * 2000 * np.arange(120) / RATE)
        (other,) = adapter.encode([Content.of(Sound(data=wav(burst, RATE)))])
        states = [capture_all(adapter, [one], "all", layers=[0]).values[0] for one in (found, other)]
        moved = (states[0] - states[1]).norm(dim=-1)[list(found.sounds[0].positions)]
        assert int(moved[: len(inside)].argmax()) == index


@pytest.mark.parametrize(
    ("family", "seconds", "count", "last"),
    [
        ("qwen2_audio", 0.5, 12, (0.44, 0.48)),  # 50 frames -> 25 -> 12
        ("qwen2_audio", 2.0, 50, (1.96, 2.0)),
        ("qwen2_audio", 9.0, 50, (1.96, 2.0)),  # cut to its window
        ("voxtral", 0.5, 25, (1.92, 2.0)),  # filled up to a whole chunk
        ("voxtral", 2.1, 50, (3.92, 4.0)),
        ("audioflamingo3", 0.5, 12, (0.44, 0.48)),
        ("audioflamingo3", 2.5, 62, (2.44, 2.48)),  # two whole windows and a half
        ("audioflamingo3", 9.0, 75, (2.96, 3.0)),  # cut to three windows
        ("qwen2_5_omni", 0.5, 12, (0.44, 0.48)),
        ("qwen2_5_omni", 9.0, 75, (2.96, 3.0)),
        ("salmonn", 0.5, 8, (2.38, 2.72)),
        ("salmonn", 9.0, 8, (2.38, 2.72)),
    ],
)
def test_how_many_positions(family: str, seconds: float, count: int, last: tuple[float, float]) -> None:
    adapter = loaded(family)
    found = one_sound(adapter, seconds)
    times = adapter.times(found, 8)
    assert times is not None
    assert len(times) == len(found.sounds[0].positions) == count
    assert times[0][0] == 0.0
    assert times[-1] == pytest.approx(last)
    if seconds == 9.0:
        assert found.ids == one_sound(adapter, HEARING[family].longest).ids


def test_other_rates_and_channels(adapter: DecoderAdapter, tmp_path: Path) -> None:
    """A file of another rate is as long in positions as it is in seconds."""
    path = tmp_path / "clip.flac"
    soundfile.write(path, np.stack([np.repeat(noise(1.2), 2)] * 2, 1), 2 * RATE)
    (found,) = adapter.encode([Content.of(Sound(str(path)))])
    assert len(found.sounds[0].positions) == len(one_sound(adapter, 1.2).sounds[0].positions)


def test_bad_areas(adapter: DecoderAdapter) -> None:
    found = one_sound(adapter, 0.7)
    with pytest.raises(DataError, match="character 3 of the content is no picture and no sound"):
        adapter.area(found, Area(3))
    with pytest.raises(DataError, match="is a sound, and a mask is of a picture"):
        adapter.area(found, Area(8, b"mask"))
    with pytest.raises(DataError, match="no picture"):
        adapter.grid(found, 8)
    with pytest.raises(DataError, match="character 0 of the content is no sound"):
        adapter.times(found, 0)


def test_windows_that_are_not_known(adapter: DecoderAdapter) -> None:
    found = one_sound(adapter, 0.7)
    unknown = replace(found, sounds=tuple(replace(heard, seconds=()) for heard in found.sounds))
    assert adapter.times(unknown, 8) is None


def test_cutting_and_lengthening(adapter: DecoderAdapter) -> None:
    found = one_sound(adapter, 0.7)
    heard = found.sounds[0]
    assert found.whole_until == heard.end
    assert found.needed(heard.start) == heard.start
    assert found.needed(heard.start + 1) == heard.end
    assert found.beginning(heard.start).sounds == ()
    assert found.beginning(heard.end).sounds == (heard,)
    with pytest.raises(DataError, match="inside a sound"):
        found.beginning(heard.start + 1)
    longer = found.followed_by([5, 6])
    assert (longer.ids[-2:], longer.offsets[-2:], longer.sounds) == ((5, 6), (None, None), (heard,))
    with pytest.raises(UsageError, match="without their sounds"):
        adapter.collate([Encoded(found.ids, found.offsets)])


def test_sounds_are_read_once_for_what_is_made_of_them(
    adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = adapter.hearing.ear.features  # type: ignore[union-attr]
    monkeypatch.setattr(adapter.hearing.ear, "features", lambda s: made.append(len(s)) or real(s))  # type: ignore[union-attr]
    contents = [Content.of(sound(0.4 + i / 10, 40 + i)) for i in range(4)]
    encoded = adapter.encode(contents)
    assert not made
    adapter.collate(encoded)
    adapter.collate(encoded[::-1])
    assert made == [6400, 8000, 9600, 11200]


def test_the_memory_of_sounds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = loaded("qwen2_audio")
    assert adapter.hearing is not None
    monkeypatch.setattr(hearings, "CACHE_BYTES", 3 * (8 * 200 * 4 + 200 * 8))
    for seed in range(9):
        adapter.collate(adapter.encode([Content.of(sound(0.5, seed))]))
    assert len(adapter.hearing._cache) == 3


def test_a_placeholder_in_the_text_is_refused(family: str, adapter: DecoderAdapter) -> None:
    placeholder = HEARING[family].placeholder
    for content in (Content.of(f"a {placeholder}?"), Content.of(f"a {placeholder}?", sound(0.5))):
        with pytest.raises(DataError, match="stands for a sound: take it out"):
            adapter.encode([content])


def test_sounds_that_cannot_be_heard(adapter: DecoderAdapter, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"not a sound")
    for one in (Sound(str(tmp_path / "missing.wav")), Sound(str(tmp_path / "bad.wav"))):
        with pytest.raises(DataError) as caught:
            adapter.encode([Content.of("What?", one)])
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"has .* tokens, the model has 512 positions"):
        adapter.encode([Content.of(*[sound(0.9)] * 130)])


@pytest.mark.parametrize("family", ["qwen2_audio", "audioflamingo3", "qwen2_5_omni"])
def test_a_sound_that_is_too_short(family: str) -> None:
    adapter = loaded(family)
    with pytest.raises(DataError, match=r"a sound of 0\.01 seconds is too short for this model"):
        adapter.encode([Content.of("What?", sound(0.01))])
    shortest = 0.05
    if family == "qwen2_audio":  # a lone placeholder that the model would take for one to be repeated
        with pytest.raises(DataError, match=r"0\.05 seconds is too short"):
            one_sound(adapter, shortest)
        shortest = 0.1
    assert len(one_sound(adapter, shortest).sounds[0].positions) == (2 if family == "qwen2_audio" else 1)


def test_short_sounds_of_a_batch(adapter: DecoderAdapter) -> None:
    """A lone placeholder, and two: the model reads them as in a batch with others."""
    contents = [Content.of("a", sound(0.1)), Content.of(sound(0.1, 1), "b"), Content.of(sound(1.9, 2))]
    encoded = adapter.encode(contents)
    together = adapter.logits(adapter.collate(encoded))
    for row, one in enumerate(encoded):
        alone = adapter.logits(adapter.collate([one]))[0]
        torch.testing.assert_close(together[row, : len(one.ids)], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("padding", ["right", "left"])
def test_rows_that_begin_with_a_sound(adapter: DecoderAdapter, padding: str) -> None:
    """Without special tokens a row's first token may stand for a sound, and padding does not."""
    contents = [Content.of(sound(0.3)), Content.of(sound(1.2, 1), " and more text")]
    encoded = adapter.encode(contents, special_tokens=False)
    together = adapter.logits(adapter.collate(encoded, padding))
    for row, one in enumerate(encoded):
        length = len(one.ids)
        found = together[row, :length] if padding == "right" else together[row, -length:]
        alone = adapter.logits(adapter.collate([one]))[0]
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-4)


def test_special_tokens_of_a_prompt(adapter: DecoderAdapter) -> None:
    content = Content.of("a", sound(0.5), "b")
    with_them, without = (adapter.encode([content], special)[0] for special in (True, False))
    assert with_them.ids == (1, *without.ids)
    assert (without.offsets[0], without.offsets[-1]) == ((0, 1), (2, 3))
    (lone,) = adapter.encode([Content.of(sound(0.5))])
    assert lone.ids[0] == 1
    assert lone.ids.count(1) == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtypes_of_hearing_models(family: str, dtype: str) -> None:
    adapter = loaded(family, dtype=dtype)
    assert adapter.dtype == getattr(torch, dtype)
    assert not [check.name for check in selfcheck.run(adapter) if not check.passed]


def test_a_hearing_model_in_memory(family: str, adapter: DecoderAdapter) -> None:
    found = in_memory(family, sound_model(family))
    assert found.takes == {"text", "audio"}
    if family != "audioflamingo3":  # whose length is a setting of the processor, which has no file here
        assert one_sound(found, 5.0) == one_sound(adapter, 5.0)
    assert one_sound(found, 0.7) == one_sound(adapter, 0.7)


def test_in_memory_without_a_feature_extractor(family: str) -> None:
    found = load(sound_model(family), sound_tokenizer(family), check=False)
    assert found.takes == {"text"}
    with pytest.raises(DataError, match=r"takes no sounds: no feature extractor was given: load\(model"):
        found.encode([Content.of(sound(0.5))])


def test_a_text_model_takes_no_sounds() -> None:
    adapter = load(str(cached_checkpoint("llama")), check=False)
    with pytest.raises(DataError, match=r"llama: this model takes no sounds\.$"):
        adapter.encode([Content.of("a", sound(0.5))])


def test_pictures_and_sounds_in_one_content() -> None:
    adapter = loaded("qwen2_5_omni")
    assert adapter.takes == {"text", "image", "audio"}
    with pytest.raises(DataError, match="both pictures and sounds"):
        adapter.encode([Content.of(picture(24, 24), sound(0.5))])
    with pytest.raises(DataError, match="takes no pictures"):
        loaded("voxtral").encode([Content.of(picture(24, 24))])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(cached_sound_checkpoint("qwen2_audio"), tmp_path / "model"))


@pytest.mark.parametrize("family", HEARING)
def test_a_folder_without_a_feature_extractor_is_read_as_text(family: str, tmp_path: Path) -> None:
    folder = shutil.copytree(cached_sound_checkpoint(family), tmp_path / "model")
    (folder / "preprocessor_config.json").unlink()
    adapter = load(folder)
    assert adapter.takes == {"text"}
    with pytest.raises(DataError, match=r"takes no sounds: (OSError|ModelError): ") as caught:
        adapter.encode([Content.of(sound(0.5))])
    assert "\n" not in str(caught.value)


def test_wrong_settings_fail_the_checks(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"chunk_length": 3, "n_samples": 48_000, "nb_max_frames": 300}))
    with pytest.raises(SelfCheckError, match="self-check sound_span"):
        load(folder)


def test_settings_without_a_file(folder: Path) -> None:
    (folder / "processor_config.json").unlink()
    assert one_sound(loaded("qwen2_audio"), 0.7) == one_sound(load(folder), 0.7)  # type: ignore[arg-type]


def test_the_listening_part_of_a_whole_omni(tmp_path: Path) -> None:
    """The published checkpoint: weights under `thinker.`, beside those that speak."""
    folder = shutil.copytree(cached_sound_checkpoint("qwen2_5_omni"), tmp_path / "omni")
    config = json.loads((folder / "config.json").read_text())
    whole = {"model_type": "qwen2_5_omni", "architectures": ["Qwen2_5OmniModel"], "thinker_config": config}
    (folder / "config.json").write_text(json.dumps(whole))
    weights = load_file(folder / "model.safetensors")
    renamed = {f"thinker.{name}": value for name, value in weights.items()}
    renamed["talker.model.norm.weight"] = torch.ones(3)
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    adapter = load(folder)
    assert adapter.takes == {"text", "image", "audio"}
    assert adapter.weights_sha256() == loaded("qwen2_5_omni").weights_sha256()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_without_its_encoder(family: str, tmp_path: Path) -> None:
    folder = shutil.copytree(cached_sound_checkpoint(family), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "conv1" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks \d+ tensors of .*conv1"):
        load(folder)


def test_where_salmonn_s_parts_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A YAML file or a folder with `salmonn.yaml` goes to the reader of the published files."""
    from semhub.models import salmonn_files

    given: list[tuple[Path, Any]] = []

    def read(path: Path, arguments: dict[str, Any]) -> Any:
        given.append((path, arguments["dtype"]))
        model = sound_model("salmonn")
        from semhub.models.salmonn_ear import SalmonnEar

        return model, sound_tokenizer("salmonn"), SalmonnEar(sound_extractor("salmonn"), model.config)

    monkeypatch.setattr(salmonn_files, "read_salmonn", read)
    (tmp_path / "salmonn.yaml").write_text("whisper: w\n")
    for model in (tmp_path, tmp_path / "salmonn.yaml"):
        adapter = load(model, dtype="float64", check=False)
        assert adapter.takes == {"text", "audio"}
        assert adapter.model_id == str(model)
        assert given.pop() == (tmp_path / "salmonn.yaml", torch.float64)
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="or the YAML file that says where SALMONN's parts lie"):
        load(tmp_path / "model.bin")


def test_an_ear_must_say_how_long_a_sound_is(adapter: DecoderAdapter) -> None:
    assert adapter.hearing is not None
    ear = adapter.hearing.ear
    assert isinstance(ear, Ear)
    assert (ear.rate, ear.layout(RATE).count > 0) == (RATE, True)


@pytest.mark.parametrize("word", ["Yes", "No"])
def test_words_that_were_added_to_a_tokenizer_are_found(word: str) -> None:
    """` Yes` and ` No` as added tokens are single tokens of the word."""
    tokenizer = copy.deepcopy(sound_tokenizer("salmonn"))
    tokenizer.add_tokens([AddedToken(f" {one}", normalized=False, special=False) for one in ("Yes", "No")])
    tokens = Tokens(tokenizer, rows=len(tokenizer))
    (form,) = tokens.word_forms(word)
    assert tokens.text(form) == f" {word}"
    (encoded,) = tokens.encode([f"Answer {word}, please"], special_tokens=False)
    assert encoded.offsets[encoded.ids.index(form)] == (7, 7 + len(word))


def test_only_ears_that_say_so_have_their_pieces_tokenized_apart(
    family: str, adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "write_out" if family == "salmonn" else "write_apart"
    monkeypatch.setattr(hearings, other, lambda *_: pytest.fail(other))
    assert one_sound(adapter, 0.5).sounds


def test_pieces_that_are_tokenized_apart() -> None:
    """Each piece gets the mark of a text's beginning, as with the slow tokenizer of a llama."""
    words = ("<unk>", "<s>", "</s>", "[PAD]", "a", "\u2581a", "b", "\u2581b")
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokens = Tokens(
        PreTrainedTokenizerFast(
            tokenizer_object=backend, pad_token="[PAD]", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
        ),
        rows=20,
    )
    runs = [([Piece("a", 0)], 1, 2), ([Piece("b", 2)], 3, 0)]
    apart = write_apart(tokens, runs, 3, True)
    assert apart.ids == (1, 5, 3, 3, 7)
    assert apart.offsets == [None, (0, 1), None, None, (2, 3)]
    assert apart.held == {1: [2, 3]}
    assert write_apart(tokens, runs, 3, False).ids == (5, 3, 3, 7)
    assert write_apart(tokens, [([], 0, 1), ([], 1, 0)], 3, True).ids == (1, 3)
    together = write_out(tokens, [Piece("a", 0), Piece("[PAD][PAD]", 1, stands=True), Piece("b", 2)], 3, True)
    assert together.ids == (1, 5, 3, 3, 6, 2)
    assert together.held == {1: [2, 3]}
