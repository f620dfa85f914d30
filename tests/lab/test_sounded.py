"""Documents with sounds, what is planted where, and the training of models that hear: tiny ones, a few steps."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from semhub import models, sounds
from semhub.errors import UsageError
from semhub.lab.audio.batches import FEATURE, SoundBatcher, own_tokens
from semhub.lab.audio.course import SoundCourse
from semhub.lab.documents import KINDS
from semhub.lab.documents.sounds import (
    ALONE_KINDS,
    ASKED_PROMPT,
    MAMMAL_PROMPT,
    OWN_WORDS,
    SOUND_KINDS,
    SoundDocument,
    swapped_questions,
)
from semhub.lab.recipe import Audio, Recipe, Vision
from semhub.lab.recipes import recipe
from semhub.lab.senses import Swap, swapping, with_words
from semhub.lab.train import CHECKPOINT, course_of, train
from semhub.lab.world.sounds import ANIMALS_HEARD, RATE, draw_events, held_out, is_mammal, label, one, pair
from semhub.models.salmonn import SalmonnForConditionalGeneration
from semhub.models.salmonn_ear import SalmonnEar
from semhub.types import SOUND, Area, Content, Sound

HUB, APART = "mini-salmonn", "mini-salmonn-isolated"
N_SOUNDS = 60


def tiny(name: str) -> Recipe:
    """The recipe with few steps, sounds and documents; what starts from `mini` keeps its llama's size."""
    made = recipe(name)
    assert made.audio is not None
    audio = made.audio.model_copy(
        update={
            "documents_per_step": 8, "encoder_steps": 2, "sounds_per_encoder_step": 2, "width": 16, "n_layers": 1,
            "n_sounds": N_SOUNDS, "word_steps": min(1, made.audio.word_steps),
        }
    )  # fmt: skip
    sizes = {"d_model": 32, "n_heads": 2, "n_kv_heads": 2, "d_ff": 32, "vocab_size": 400}
    return made.model_copy(
        update={
            **(sizes if made.isolated else {}), "name": "tiny", "audio": audio, "steps": 4, "warmup_steps": 1,
            "documents_per_step": 4, "tokenizer_sentences": 20 if made.isolated else 6000,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def course() -> SoundCourse:
    return SoundCourse(tiny(HUB), 0)


@pytest.fixture(scope="module")
def batcher(course: SoundCourse) -> SoundBatcher:
    return course._sounds


def events_for(kind: str, rng: random.Random) -> tuple[str, ...]:
    while True:
        events = draw_events(rng, "train")
        if len(events) == 1 or kind not in ALONE_KINDS:
            return events


@pytest.mark.parametrize("kind", SOUND_KINDS)
def test_a_document_has_one_sound_and_only_its_answer_is_learnt(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(20):
        events = events_for(kind, rng)
        made = SOUND_KINDS[kind](rng, events)
        text = made.document.text
        assert text.count(SOUND) == 1
        assert 0 < made.answer < len(text)
        assert SOUND in text[: made.answer]
        assert all(hint.start >= made.answer for hint in made.document.hints)
        assert made.heard == events
        assert not made.swapped
        if kind == "heard":
            assert text == f"{ASKED_PROMPT} {label(events)}."
        if kind == "mammal":
            assert text == MAMMAL_PROMPT + (" Yes" if is_mammal(events[0]) else " No")


def test_labels_as_text_are_of_the_training_split() -> None:
    rng = random.Random(0)
    for _ in range(300):
        text = KINDS["label/en"](rng).text.strip(".")
        animals = tuple(part.split()[1] for part in text.split(" and then "))
        assert label(animals) == text
        assert not held_out(animals)
    continued = [KINDS["continued-label/en"](rng) for _ in range(50)]
    assert all(" This represents " in document.text for document in continued)
    first = {word: share for hint in continued[0].hints if hint.deciding for word, share in hint.words}
    assert sum(first.values()) == pytest.approx(1)


def test_training_sounds_are_of_the_training_split_and_drawn_by_class(batcher: SoundBatcher) -> None:
    heard = batcher.heard
    assert len(heard.events) == N_SOUNDS
    assert not any(map(held_out, heard.events))
    rng = random.Random(0)
    alone = [heard.events[heard.alone(rng)] for _ in range(300)]
    assert all(len(events) == 1 for events in alone)
    assert 0.4 < sum(is_mammal(events[0]) for events in alone) / len(alone) < 0.6
    taken = heard.taken([3, 1])
    assert taken["input_features"].shape == (2, 80, 300)
    assert taken["input_features"].dtype == torch.float32
    assert torch.equal(taken["filter_banks"][1], heard.features["filter_banks"][1].float())


def test_windows_hold_the_animal_in_whose_time_they_lie(batcher: SoundBatcher) -> None:
    tokenizer = batcher.text.tokenizer
    for sound, events in enumerate(batcher.heard.events):
        told = [
            {tokenizer.decode([token]).strip(): w for token, w in held} for held in batcher.windows(sound)
        ]
        assert len(told) == 8
        assert all(sum(held.values()) == pytest.approx(0.5) for held in told)
        assert set(told[0]) == {events[0]}
        assert set(told[7]) == {events[-1]}
        assert set(told[4]) == set(events)  # from 1.36 to 1.70 seconds


def test_what_is_planted_lies_at_the_sounds_positions_and_in_the_answer(batcher: SoundBatcher) -> None:
    tokenizer = batcher.text.tokenizer
    feature = tokenizer.convert_tokens_to_ids(FEATURE)
    drawn = [(at, SOUND_KINDS["heard"](random.Random(at), batcher.heard.events[at])) for at in range(3)]
    made = batcher.collate(drawn)
    width = made.batch.ids.shape[1]
    assert made.sounds.tolist() == [0, 1, 2]
    assert (made.batch.ids == feature).sum(1).tolist() == [8] * 3
    planted = {divmod(int(place), width) for place in made.batch.planted_row}
    assert {(content, at) for content, at in (made.batch.ids == feature).nonzero().tolist()} <= planted
    predicted = {divmod(int(place), width) for place in made.batch.row}
    for content, (_, document) in enumerate(drawn):
        ids = made.batch.ids[content].tolist()
        answer = [position for row, position in sorted(predicted) if row == content]
        assert (
            tokenizer.decode([ids[at + 1] for at in answer][:-1]) == document.document.text[document.answer :]
        )
        assert ids[answer[-1] + 1] == tokenizer.eos_token_id
        given = {at for row, at in planted if row == content and at < answer[0] and ids[at] != feature}
        assert not given
    asked = [
        (at, SOUND_KINDS["mammal"](random.Random(at), (batcher.heard.events[at][0],))) for at in range(3)
    ]
    looked_up = batcher.collate(asked)
    assert (looked_up.batch.ids.flatten()[looked_up.batch.planted_row] == feature).all()
    assert looked_up.batch.weight.max() == batcher.recipe.deciding_weight


def test_swapped_questions_say_what_would_be_true() -> None:
    rng = random.Random(0)
    first, second = swapped_questions(rng, ("dog",), ("frog",))
    assert (first.heard, second.heard) == (("dog",), ("frog",))
    assert first.document.text.endswith(": No")
    assert second.document.text.endswith(": Yes")
    assert first.swapped


def test_a_swap_exchanges_the_sounds_of_two_neighbours(course: SoundCourse, batcher: SoundBatcher) -> None:
    rng = random.Random(0)
    drawn = [one for _ in range(2) for one in batcher._swapped(rng)]
    made = batcher.collate(drawn, 3)
    assert made.swap is not None
    width = made.batch.ids.shape[1]
    feature = batcher.text.tokenizer.convert_tokens_to_ids(FEATURE)
    assert (made.batch.ids.flatten()[made.swap.at] == feature).all()
    assert ((made.swap.at // width) ^ 1 == made.swap.by // width).all()
    assert len(made.swap.at) == 4 * 8
    assert not len(made.batch.planted_row)
    llama = course.model.model.language_model
    states, kept = torch.randn(4, width, course.recipe.d_model), list[Tensor]()
    with torch.no_grad():
        plain = llama(inputs_embeds=states, output_hidden_states=True).hidden_states
        with swapping(llama.layers, Swap(3, made.swap.at, made.swap.by)):
            hook = llama.layers[3].register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
            llama(inputs_embeds=states)
            hook.remove()
    expected = plain[3].flatten(0, 1).clone()
    expected[made.swap.at] = plain[3].flatten(0, 1)[made.swap.by]
    torch.testing.assert_close(kept[0].flatten(0, 1), expected)


def test_of_a_swap_by_words_only_what_their_rows_span_is_exchanged(
    course: SoundCourse, batcher: SoundBatcher
) -> None:
    drawn, span = batcher._swapped(random.Random(0)), course._salmonn._span()
    made = batcher.collate(drawn, 3)
    assert made.swap is not None
    llama, kept = course.model.model.language_model, list[Tensor]()
    states = torch.randn(2, made.batch.ids.shape[1], course.recipe.d_model)
    with torch.no_grad():
        plain = llama(inputs_embeds=states, output_hidden_states=True).hidden_states[3].flatten(0, 1)
        with swapping(llama.layers, replace(made.swap, span=span)):
            hook = llama.layers[3].register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
            llama(inputs_embeds=states)
            hook.remove()
    after = kept[0].flatten(0, 1)
    words = [batcher.text.held(((animal, 1.0),))[0][0] for animal in ANIMALS_HEARD]
    rows = course.model.get_output_embeddings().weight.detach()[words]
    at, by = made.swap.at, made.swap.by
    torch.testing.assert_close(
        after[at] @ rows.T, plain[by] @ rows.T, atol=1e-4, rtol=1e-3
    )  # what the words read
    other = torch.eye(len(span)) - span @ span.T
    torch.testing.assert_close(after[at] @ other, plain[at] @ other, atol=1e-4, rtol=1e-3)
    rest = torch.ones(len(plain), dtype=torch.bool)
    rest[at] = False
    assert torch.equal(after[rest], plain[rest])


def test_swaps_are_by_words_in_the_last_steps(course: SoundCourse, batcher: SoundBatcher) -> None:
    made = course.recipe.model_copy(update={"steps": 40})
    audio = course.audio.model_copy(update={"word_steps": 20})
    longer = SoundBatcher(made, audio, batcher.text, course._salmonn.ear, 0)
    longer.heard = batcher.heard
    told = {step: [one.by_words for one in longer.step(step) if one.swap] for step in range(2, 40)}
    assert {words for step in range(2, 20) for words in told[step]} == {False}
    assert {words for step in range(20, 40) for words in told[step]} == {True}
    last = course.recipe.steps
    rates = [course.rate(step) for step in range(last)]
    assert rates == [course.audio.encoder_rate, pytest.approx(rates[1]), rates[2], course.audio.word_rate]


def test_a_step_has_as_many_documents_as_the_recipe_says(batcher: SoundBatcher) -> None:
    for step in range(5):
        made = batcher.step(step)
        assert sum(len(one.sounds) for one in made) == 8
        again = batcher.step(step)
        assert all(torch.equal(a.batch.ids, b.batch.ids) for a, b in zip(made, again, strict=True))
    assert any(one.swap is not None for step in range(5) for one in batcher.step(step))


@pytest.mark.parametrize("name", [HUB, APART])
def test_training_is_a_function_of_recipe_and_seed_whatever_the_interruptions(
    name: str, tmp_path: Path
) -> None:
    made, seen = tiny(name), []
    whole = train(made, tmp_path / "whole", 3, progress=seen.append)
    assert [done.step for done in seen] == [1, 2, 3, 4]
    for steps in (1, 3, None):
        again = train(made, tmp_path / "parts", 3, steps=steps, checkpoint_every=1)
        assert (again / CHECKPOINT).exists() == (steps is not None)
    assert digests(whole) == digests(again)
    told = json.loads((whole / "semhub.json").read_text())
    assert Recipe(**told["recipe"]) == made
    assert "vision" not in told["recipe"]
    heard_again(made, whole)


def heard_again(made: Recipe, folder: Path) -> None:
    """What was trained on is what the adapter gives the model, token for token and feature for feature."""
    adapter = models.load(str(folder), check=False)
    assert "audio" in adapter.takes
    scene = pair("dog", "frog", random.Random(0))
    content = Content.of(
        "USER: ", Sound(data=sounds.wav(scene.samples, RATE)), MAMMAL_PROMPT.partition(SOUND)[2]
    )
    encoded = adapter.encode([content])[0]
    course = course_of(made, 3)
    assert isinstance(course, SoundCourse)
    ids, _ = course._sounds.encode(MAMMAL_PROMPT, len(MAMMAL_PROMPT))
    assert list(encoded.ids) == [course.tokenizer.bos_token_id, *ids]
    assert len(adapter.area(encoded, Area(len("USER: ")))) == 8
    words = ("Yes", "No") if not made.isolated else ()
    assert all(adapter.word_forms(word) for word in words)
    model = SalmonnForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    ear = SalmonnEar.read(folder, model.config)
    with torch.no_grad():
        found = model(input_ids=torch.tensor([encoded.ids]), **ear.features(scene.samples))
    assert torch.isfinite(found.logits).all()


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_encoder_alone_learns_first_and_then_stays() -> None:
    made = tiny(HUB)
    course = SoundCourse(made, 0)
    encoder = {"whisper", "beats", "ln_speech", "ln_audio", "qformer", "speech_query_tokens"}
    for step, moving in (
        (0, encoder | {"speech_llama_proj"}),
        (2, {"speech_llama_proj", "language_model"}),
    ):
        course.model.zero_grad(set_to_none=True)
        for following, planted, total in course.losses(step):
            ((following + 0.5 * planted) / total).backward()  # type: ignore[no-untyped-call]
        moved = {
            name.removeprefix("model.").split(".")[0]
            for name, parameter in course.model.named_parameters()
            if parameter.grad is not None
        }
        assert moved - {"lm_head"} == moving
    assert made.audio is not None
    assert course.rate(0) == made.audio.encoder_rate
    assert course.rate(2) == made.learning_rate


def test_what_is_made_of_a_sound_once_is_what_the_model_makes_of_it(course: SoundCourse) -> None:
    salmonn, heard = course._salmonn, course._sounds.heard
    salmonn.settle(heard)
    assert salmonn._read is not None
    with torch.no_grad():
        kept = salmonn.model.model.speech_llama_proj(salmonn._read[[4, 2]])
        torch.testing.assert_close(kept, salmonn.model.model.sound_features(**heard.taken([4, 2])))


def test_an_isolated_models_parts_do_not_touch(tmp_path: Path) -> None:
    made = tiny(APART)
    weights = load_file(train(made, tmp_path, 0) / "model.safetensors")
    half = made.d_model // 2  # English first, then sounds
    for name, weight in weights.items():
        if "language_model.layers" in name and weight.dim() == 2:
            rows, columns = weight.shape[0] // 2, weight.shape[1] // 2
            assert not weight[:rows, columns:].any(), name
            assert not weight[rows:, :columns].any(), name
            assert weight[:rows, :columns].any()
            assert weight[rows:, columns:].any()
    written = weights["model.speech_llama_proj.weight"]
    assert written[half:].any()
    assert not written[:half].any()
    assert not weights["model.speech_llama_proj.bias"][:half].any()
    tokenizer = course_of(made, 0).tokenizer
    own = [*own_tokens(tokenizer).values(), tokenizer.convert_tokens_to_ids(FEATURE)]
    embeddings = weights["model.language_model.embed_tokens.weight"]
    words = torch.ones(len(embeddings), dtype=torch.bool)
    words[own] = False
    assert not embeddings[own][:, :half].any()
    assert not embeddings[words][:, half:].any()
    assert not weights["lm_head.weight"][own][:, :half].any()
    words[tokenizer.eos_token_id] = False  # said from both
    assert not weights["lm_head.weight"][words][:, half:].any()


def test_own_words_are_no_words_of_any_text() -> None:
    rng = random.Random(0)
    text = "".join(KINDS[kind](rng).text for kind in recipe(APART).mixture for _ in range(50))
    assert not any(word in text for word in OWN_WORDS.values())


def test_words_become_tokens_and_the_rest_stays(course: SoundCourse) -> None:
    known = models.load("mini", check=False)
    mine: PreTrainedTokenizerFast = course.tokenizer
    for word in (" Yes", " No", " then", " mammal", "USER"):
        assert len(mine.encode(word, add_special_tokens=False)) == 1
    for text in (
        "Alice gave John three red hats in the park.",
        "约翰买了三顶红帽子。",
        "37+5=42",
        "El perro.",
    ):
        assert mine.encode(text) == list(known.encode([Content.of(text)])[0].ids)
    again = with_words(mine.backend_tokenizer, [" Yes"])
    assert again.to_str() == mine.backend_tokenizer.to_str()


def test_recipes_with_sounds_refuse_what_they_cannot_do() -> None:
    with pytest.raises(UsageError, match="takes sounds"):
        recipe(HUB).small()
    with pytest.raises(ValueError, match="unknown: \\['song'\\]"):
        Audio(mixture={"song": 1.0})
    with pytest.raises(ValueError, match="not both"):
        Recipe(
            name="both", summary="", mixture={"sentence/en": 1.0}, audio=Audio(mixture={"heard": 1.0}),
            vision=Vision(family="llava", mixture={"caption": 1.0}),
        )  # fmt: skip
    assert recipe(HUB).spokes == ("language", "arithmetic", "code", "semantics", "audio")
    assert recipe(APART).spokes == ("audio",)
    assert "audio" not in recipe("mini").told()


def test_one_document_for_one_sound() -> None:
    made: SoundDocument = SOUND_KINDS["heard"](random.Random(0), ("dog",))
    assert made.heard == ("dog",)
    assert one("dog", random.Random(0)).label == "a dog"
