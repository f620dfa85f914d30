"""Documents with pictures, what is planted where, and the training of models that see: tiny ones, a few steps."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedTokenizerFast

from semhub.errors import UsageError
from semhub.lab.documents import KINDS
from semhub.lab.documents.pictures import (
    CAPTION_PROMPT,
    OWN_WORDS,
    PICTURE_KINDS,
    SWAPPED_KINDS,
    THING_PROMPT,
    PictureDocument,
    halves_questions,
    parts,
    training_scene,
)
from semhub.lab.recipe import Recipe, Vision
from semhub.lab.recipes import recipe
from semhub.lab.senses import swapping
from semhub.lab.train import CHECKPOINT, course_of, train
from semhub.lab.vision.batches import IMAGE_TOKEN, PictureBatcher, own_tokens
from semhub.lab.vision.course import PictureCourse
from semhub.lab.world.pictures import (
    HALVES,
    THINGS,
    Scene,
    Thing,
    half_mask,
    halves_pixels,
    is_heldout,
    near,
    pixels,
    scenes,
)
from semhub.types import IMAGE

LLAVA, CHAMELEON, APART = "mini-llava", "mini-chameleon", "mini-llava-isolated"


def tiny(name: str) -> Recipe:
    """The recipe with few steps and few documents; trunks that start from `mini` keep its size."""
    one = recipe(name)
    assert one.vision is not None
    vision = one.vision.model_copy(
        update={"documents_per_step": 6, "encoder_steps": 2, "pictures_per_encoder_step": 2, "width": 16}
    )
    sizes = (
        {"d_model": 32, "n_heads": 2, "n_kv_heads": 2, "d_ff": 32, "vocab_size": 400} if one.isolated else {}
    )
    return one.model_copy(
        update={
            **sizes, "name": "tiny", "vision": vision, "steps": 4, "documents_per_step": 4, "warmup_steps": 1,
            "tokenizer_sentences": 20 if one.isolated else 6000,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def course() -> PictureCourse:
    return PictureCourse(tiny(LLAVA), 0)


@pytest.fixture(scope="module")
def batcher(course: PictureCourse) -> PictureBatcher:
    return course._pictures


def spelled(tokenizer: PreTrainedTokenizerFast, held: list[tuple[int, float]]) -> set[str]:
    return {tokenizer.decode([token]).strip() for token, _ in held}


@pytest.mark.parametrize("kind", PICTURE_KINDS)
def test_a_document_shows_one_picture_and_only_its_answer_is_learnt(
    kind: str, batcher: PictureBatcher
) -> None:
    rng = random.Random(kind)
    for _ in range(10):
        one = PICTURE_KINDS[kind](rng)
        text = one.document.text
        assert text.count(IMAGE) == 1
        assert 0 < one.answer < len(text)
        assert one.picture.shape == (64, 64, 3)
        assert all(hint.start >= one.answer for hint in one.document.hints)
        assert one.swapped == ""
        assert (THING_PROMPT.format(half="left")[:30] in text) == (kind == "thing")


def test_documents_are_never_of_held_out_scenes() -> None:
    rng = random.Random(0)
    assert not any(is_heldout(training_scene(rng)) for _ in range(500))
    assert len({training_scene(rng).key for _ in range(50)}) == 50


def test_a_caption_is_taught_and_near_misses_start_otherwise() -> None:
    one = PICTURE_KINDS["caption"](random.Random(1))
    assert one.document.text.startswith(CAPTION_PROMPT + " A ")
    for scene in scenes(50, 0):
        first = {concept: weight for _, concept, weight in parts(scene)}
        assert sum(first.values()) == pytest.approx(1)
        for other in near(scene):
            assert first != {concept: weight for _, concept, weight in parts(other)}


def test_patches_hold_what_they_show(batcher: PictureBatcher) -> None:
    tokenizer = batcher.text.tokenizer
    for seed in range(20):
        one = PICTURE_KINDS["caption"](random.Random(seed))
        patches = batcher.patches(one)
        assert len(patches) == 36
        said = one.document.text[one.answer :].strip(" .").lower().replace(",", "").split()
        everything = set(said) - {"a", "and"}
        for shown in one.shown:
            inside = np.flatnonzero(batcher.covered(shown.area) > 0.5)
            assert len(inside)
            for patch in inside:
                assert spelled(tokenizer, patches[patch]) == {word for word, _ in shown.words}
        outside = np.flatnonzero(sum(batcher.covered(shown.area) for shown in one.shown) == 0)
        assert len(outside)
        for patch in outside:
            assert spelled(tokenizer, patches[patch]) == everything
            assert sum(weight for _, weight in patches[patch]) < sum(w for _, w in patches[inside[0]])


def test_what_is_planted_lies_at_the_pictures_positions_and_in_the_answer(batcher: PictureBatcher) -> None:
    tokenizer = batcher.text.tokenizer
    documents = [PICTURE_KINDS["caption"](random.Random(seed)) for seed in range(3)]
    made = batcher.collate(documents)
    width = made.batch.ids.shape[1]
    image = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    assert (made.batch.ids == image).sum(1).tolist() == [36] * 3
    assert made.pixels.shape == (3, 3, 48, 48)
    planted = {divmod(int(place), width) for place in made.batch.planted_row}
    for content, position in ((made.batch.ids == image).nonzero()).tolist():
        assert (content, position) in planted
    predicted = {divmod(int(place), width) for place in made.batch.row}
    for content, one in enumerate(documents):
        ids = made.batch.ids[content].tolist()
        answer = [position for row, position in sorted(predicted) if row == content]
        given = tokenizer.decode(ids[1 : answer[0] + 1]).replace(IMAGE_TOKEN * 36, IMAGE)
        assert given == one.document.text[: one.answer]
        assert (
            tokenizer.decode([ids[position + 1] for position in answer][:-1])
            == one.document.text[one.answer :]
        )
        assert ids[answer[-1] + 1] == tokenizer.eos_token_id


def test_nothing_is_planted_in_an_answer_that_is_to_be_looked_up(batcher: PictureBatcher) -> None:
    for kind in SWAPPED_KINDS:
        made = batcher.collate([PICTURE_KINDS[kind](random.Random(seed)) for seed in range(3)])
        image = batcher.text.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        assert (made.batch.ids.flatten()[made.batch.planted_row] == image).all()
        assert made.batch.weight.max() == batcher.recipe.deciding_weight


@pytest.mark.parametrize("kind", SWAPPED_KINDS)
def test_swapped_documents_say_what_would_be_true(kind: str) -> None:
    rng = random.Random(3)
    for _ in range(40):
        pair = halves_questions(rng, kind, swap=True)
        names = next(names for names in HALVES.values() if pair[0].swapped in names)
        seen = [tuple(colour_of(one, name) for name in names) for one in pair]
        at = names.index(pair[0].swapped)
        mixed = [list(one) for one in seen]
        mixed[0][at], mixed[1][at] = seen[1][at], seen[0][at]
        for one, colours in zip(pair, mixed, strict=True):
            answer = one.document.text[one.answer :]
            if kind == "colors":
                assert answer == f" {colours[0]} and {colours[1]}."
            else:
                asked = next(name for name in names if f"the {name} half" in one.document.text)
                assert answer == f" {THINGS[colours[names.index(asked)]]}"
            assert not one.shown


def colour_of(document: PictureDocument, half: str) -> str:
    from semhub.lab.world.pictures import RGB

    mean = document.picture[half_mask(half) > 0].mean(0)
    return min(RGB, key=lambda name: float(np.abs(np.array(RGB[name]) - mean).sum()))


def test_a_swap_exchanges_the_same_half_of_two_neighbours(
    course: PictureCourse, batcher: PictureBatcher
) -> None:
    documents = [
        one for seed in range(3) for one in halves_questions(random.Random(seed), "thing", swap=True)
    ]
    made = batcher.collate(documents, 3)
    assert made.swap is not None
    assert made.swap.layer == 3
    assert len(made.swap.at) == 6 * 18
    width = made.batch.ids.shape[1]
    image = batcher.text.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    flat = made.batch.ids.flatten()
    assert (flat[made.swap.at] == image).all()
    assert ((made.swap.at // width) ^ 1 == made.swap.by // width).all()
    starts = (made.batch.ids == image).int().argmax(1)
    for content, one in enumerate(documents):
        mine = made.swap.at[made.swap.at // width == content] % width - starts[content]
        inside = np.flatnonzero(batcher.covered(half_mask(one.swapped)) > 0.5)
        assert mine.tolist() == inside.tolist()
    trunk = course.model.model.language_model
    states = torch.randn(made.batch.ids.shape[0], width, course.recipe.d_model)
    kept: list[Tensor] = []
    with torch.no_grad():
        plain = trunk(inputs_embeds=states, output_hidden_states=True).hidden_states
        with swapping(trunk.layers, made.swap):
            hook = trunk.layers[3].register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
            trunk(inputs_embeds=states)
            hook.remove()
        after = trunk(inputs_embeds=states, output_hidden_states=True).hidden_states
    expected = plain[3].flatten(0, 1).clone()
    expected[made.swap.at] = plain[3].flatten(0, 1)[made.swap.by]
    torch.testing.assert_close(kept[0].flatten(0, 1), expected)
    torch.testing.assert_close(after[6], plain[6])


@pytest.mark.parametrize("name", [LLAVA, CHAMELEON, APART])
def test_training_is_a_function_of_recipe_and_seed_whatever_the_interruptions(
    name: str, tmp_path: Path
) -> None:
    one, seen = tiny(name), []
    whole = train(one, tmp_path / "whole", 3, progress=seen.append)
    assert [done.step for done in seen] == [1, 2, 3, 4]
    for steps in (1, 3, None):
        again = train(one, tmp_path / "parts", 3, steps=steps, checkpoint_every=1)
        assert (again / CHECKPOINT).exists() == (steps is not None)
    assert digests(whole) == digests(again)
    other = train(one, tmp_path / "other", 4)
    assert digests(other)["model.safetensors"] != digests(whole)["model.safetensors"]
    if not one.isolated:
        told = json.loads((whole / "semhub.json").read_text())
        assert told["planted_layers"] == [3, 4]
        assert told["dominant"] == "en"
    model = AutoModelForImageTextToText.from_pretrained(whole, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(whole)
    scene = scenes(1, 0)[0]
    inputs = processor(
        images=[Image.fromarray(pixels(scene))],
        text=CAPTION_PROMPT.replace(IMAGE, IMAGE_TOKEN),
        return_tensors="pt",
    )
    with torch.no_grad():
        assert torch.isfinite(model(**inputs).logits).all()
    course = course_of(one, 3)
    assert isinstance(course, PictureCourse)
    ids, _ = course._pictures.encode(CAPTION_PROMPT, len(CAPTION_PROMPT))
    assert inputs.input_ids[0].tolist() == [course.tokenizer.bos_token_id, *ids]
    torch.testing.assert_close(
        inputs.pixel_values, course._pictures.pixels([pixels(scene)]), atol=1e-6, rtol=0
    )


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_encoder_alone_learns_first_and_then_stays(tmp_path: Path) -> None:
    one = tiny(LLAVA)
    course = PictureCourse(one, 0)
    before = {name: weight.clone() for name, weight in course.model.named_parameters()}
    for step, moving in (
        (0, ("vision_tower", "multi_modal_projector")),
        (2, ("multi_modal_projector", "language_model")),
    ):
        course.model.zero_grad(set_to_none=True)
        for following, planted, total in course.losses(step):
            ((following + 0.5 * planted) / total).backward()  # type: ignore[no-untyped-call]
        moved = {
            n.removeprefix("model.").split(".")[0]
            for n, p in course.model.named_parameters()
            if p.grad is not None
        }
        assert moved - {"lm_head"} == set(moving)
    assert all(torch.equal(weight, before[name]) for name, weight in course.model.named_parameters())
    assert course.rate(0) == one.vision.encoder_rate  # type: ignore[union-attr]
    assert course.rate(2) == one.learning_rate


def test_an_isolated_models_parts_do_not_touch(tmp_path: Path) -> None:
    one = tiny(APART)
    folder = train(one, tmp_path, 0)
    weights = load_file(folder / "model.safetensors")
    half = one.d_model // 2  # English first, then pictures
    trunk = {name: weight for name, weight in weights.items() if "language_model.layers" in name}
    for name, weight in trunk.items():
        if weight.dim() == 2:
            rows, columns = weight.shape[0] // 2, weight.shape[1] // 2
            assert not weight[:rows, columns:].any(), name
            assert not weight[rows:, :columns].any(), name
            assert weight[:rows, :columns].any()
            assert weight[rows:, columns:].any()
    last = next(weights[name] for name in weights if name.endswith("multi_modal_projector.linear_2.weight"))
    assert last[half:].any()
    assert not last[:half].any()
    tokenizer = course_of(one, 0).tokenizer
    own = [*own_tokens(tokenizer).values(), tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)]
    embeddings = next(weight for name, weight in weights.items() if name.endswith("embed_tokens.weight"))
    assert not embeddings[own][:, :half].any()
    words = torch.ones(len(embeddings), dtype=torch.bool)
    words[own] = False
    assert not embeddings[words][:, half:].any()
    unembeddings = next(weight for name, weight in weights.items() if name.endswith("lm_head.weight"))
    assert not unembeddings[own][:, :half].any()
    words[1] = False  # the end mark is said from both
    assert not unembeddings[words][:, half:].any()


def test_own_words_are_no_words_of_any_text() -> None:
    rng = random.Random(0)
    text = "".join(KINDS[kind](rng).text for kind in recipe(APART).mixture for _ in range(50))
    assert not any(word in text for word in OWN_WORDS.values())


def test_recipes_with_pictures_refuse_what_they_cannot_do() -> None:
    with pytest.raises(UsageError, match="no small form"):
        recipe(LLAVA).small()
    with pytest.raises(ValueError, match="unknown: \\['film'\\]"):
        Vision(family="llava", mixture={"film": 1.0})
    with pytest.raises(ValueError, match="do not fill"):
        Vision(family="llava", mixture={"caption": 1.0}, size=50)
    assert recipe(LLAVA).spokes == ("language", "arithmetic", "code", "semantics", "vision")
    assert recipe(APART).spokes == ("vision",)


def test_a_scene_and_halves_are_told_apart_by_their_documents(batcher: PictureBatcher) -> None:
    scene = Scene((Thing("hat", "red", "left"), Thing("box", "blue", "right")))
    assert batcher.pixels([pixels(scene), halves_pixels("red", "blue", "horizontal", 0)]).shape == (
        2,
        3,
        48,
        48,
    )
