"""Against the library alone: its full processor and its model, called with none of the code under test.

Where a family's processor needs torchvision for its video half (qwen, smolvlm, internvl), its documented rule and its
image processor stand in: n = rows x columns of merged patches; tiles, then the whole picture.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pil
from tests.models.visionmodels import (
    FAMILIES,
    cached_vision_checkpoint,
    picture,
    vision_image_processor,
    vision_tokenizer,
)
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from semhub.capture import capture_all
from semhub.models import load
from semhub.models.decoder import DecoderAdapter
from semhub.types import Content, Image

WHOLE = ("llava", "llava_next", "chameleon", "gemma3", "paligemma", "idefics3")  # processors that load here
PLACEHOLDER = {"gemma3": "<start_of_image>", "internvl": "<IMG_CONTEXT>"}
SIZES = ((40, 28), (20, 56), (64, 30))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def adapter(family: str) -> DecoderAdapter:
    loaded = load(str(cached_vision_checkpoint(family)), check=False)
    assert isinstance(loaded, DecoderAdapter)
    assert not loaded.blind
    return loaded


@pytest.fixture(scope="module")
def bare(family: str) -> Any:
    return AutoModelForImageTextToText.from_pretrained(
        cached_vision_checkpoint(family), dtype=torch.float32
    ).eval()


def opened(image: Image) -> Pil.Image:
    return Pil.open(io.BytesIO(image.data)).convert("RGB")


def contents(family: str) -> list[Content]:
    a, b, c = (picture(*size, seed=seed) for seed, size in enumerate(SIZES))
    found = [
        Content.of("USER: What is in the image?\n", a, " ASSISTANT:"),
        Content.of(b, " This represents"),
        Content.of(c),
    ]
    return [*found, Content.of("one", a, "two\n", b, "\nthree")]


def by_library(family: str, content: Content) -> dict[str, Tensor]:
    """input_ids, pixel values and all else of one content, as the family's documentation says to get them."""
    images = [opened(image) for _, image in content.images]
    if family in WHOLE:
        processor = AutoProcessor.from_pretrained(cached_vision_checkpoint(family))
        text = content.text.replace("\N{OBJECT REPLACEMENT CHARACTER}", PLACEHOLDER.get(family, "<image>"))
        # PaliGemma's processor writes <s> itself and turns it off in its tokenizer, which this tokenizer ignores.
        options: dict[str, Any] = {"add_special_tokens": family != "paligemma"}
        nested = family in ("gemma3", "idefics3")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = processor(
                images=[images] if nested else images, text=[text], return_tensors="pt", **options
            )
        return {name: value for name, value in batch.items() if name != "labels"}
    return by_rule(family, content, images)


def by_rule(family: str, content: Content, images: list[Pil.Image]) -> dict[str, Tensor]:
    pixels = vision_image_processor(family)
    options = {"return_row_col_info": True} if family == "smolvlm" else {}
    batch = (
        pixels([images], return_tensors="pt", **options)
        if family == "smolvlm"
        else pixels(images, return_tensors="pt")
    )
    written = []
    for index in range(len(images)):
        if family.startswith("qwen"):
            _, tall, wide = batch["image_grid_thw"][index].tolist()
            written.append("<|vision_start|>" + "<|image_pad|>" * (tall * wide // 4) + "<|vision_end|>")
        elif family == "internvl":
            tiles = int(batch["num_patches"][index])
            written.append("<img>" + "<IMG_CONTEXT>" * (4 * tiles) + "</img>")
        else:
            rows, columns = batch["rows"][0][index], batch["cols"][0][index]
            whole = "<fake_token_around_image><global-img>" + "<image>" * 4 + "<fake_token_around_image>"
            tiles = "".join(
                "".join(
                    f"<fake_token_around_image><row_{i + 1}_col_{j + 1}>" + "<image>" * 4
                    for j in range(columns)
                )
                + "\n"
                for i in range(rows)
            )
            written.append(tiles + ("\n" if rows else "") + whole)
    parts = content.text.split("\N{OBJECT REPLACEMENT CHARACTER}")
    text = "".join(part + mark for part, mark in zip(parts, [*written, ""], strict=True))
    tokenizer = vision_tokenizer(family)
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    found = {name: value for name, value in batch.items() if name not in ("num_patches", "rows", "cols")}
    found["input_ids"] = ids
    if family.startswith("qwen"):
        found["mm_token_type_ids"] = (ids == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
    return found


@pytest.mark.parametrize("index", range(4))
def test_tokens_and_pixels_are_the_library_s(family: str, adapter: DecoderAdapter, index: int) -> None:
    content = contents(family)[index]
    expected = by_library(family, content)
    found = adapter.encode([content])[0]
    assert list(found.ids) == expected["input_ids"][0].tolist()
    arguments = adapter._arguments(adapter.collate([found]))
    for name in ("pixel_values", "image_sizes", "image_grid_thw", "pixel_attention_mask"):
        if name in expected:
            shape = expected[name].shape[1:] if family in ("idefics3", "smolvlm") else expected[name].shape
            wanted, given = expected[name], arguments[name]
            if family in (
                "idefics3",
                "smolvlm",
            ):  # pictures in a row of their own, with empty ones after them
                keep = given.flatten(2).abs().sum(-1) > 0
                wanted, given = wanted.flatten(0, 1), given[keep]
                assert given.shape[1:] == shape[1:]
            torch.testing.assert_close(given.double(), wanted.double(), rtol=0, atol=0)


@pytest.mark.parametrize("index", range(4))
def test_states_and_logits_are_the_model_s(
    family: str, adapter: DecoderAdapter, bare: Any, index: int
) -> None:
    """Layers, and the lens at the last one, of batches with pictures of other sizes, against single calls."""
    chosen = contents(family)
    encoded = adapter.encode([*chosen, Content.of("a b"), Content.of("河水")])
    batch = by_library(family, chosen[index])
    with torch.no_grad():
        out = bare(**batch, output_hidden_states=True, use_cache=False)
    states = torch.stack([layer[0] for layer in out.hidden_states[:-1]])
    found = capture_all(adapter, encoded, "all", batch_tokens=100_000)
    rows = found.values[:, found.content == index]
    torch.testing.assert_close(rows[:-1], states, rtol=1e-4, atol=1e-4 * float(states.abs().max()))
    lens = adapter.unembedding.logits(adapter.final_norm(rows[-1])).log_softmax(-1)
    own = out.logits[0].log_softmax(-1)
    torch.testing.assert_close(lens, own, rtol=0, atol=3e-4)
    inputs = adapter.collate(encoded, "left")
    left = adapter.logits(inputs)[index, -len(encoded[index].ids) :].log_softmax(-1)
    torch.testing.assert_close(left, own, rtol=0, atol=3e-4)


def test_text_alone_is_read_as_the_library_reads_it(family: str, adapter: DecoderAdapter, bare: Any) -> None:
    content = Content.of("three plus five equals eight")
    found = adapter.encode([content])[0]
    assert list(found.ids) == vision_tokenizer(family)(content.text)["input_ids"]
    given: dict[str, Any] = {"input_ids": torch.tensor([found.ids])}
    if family == "paligemma":  # a text without a picture is read in order
        given["token_type_ids"] = torch.ones_like(given["input_ids"])
    with torch.no_grad():
        expected = bare(**given).logits[0]
    torch.testing.assert_close(adapter.logits(adapter.collate([found]))[0], expected, rtol=0, atol=1e-5)


def test_pixels_of_a_known_picture() -> None:
    """llava by hand: no resizing, values scaled and normalised; none of the library's code."""
    adapter = load(str(cached_vision_checkpoint("llava")), check=False)
    values = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Pil.fromarray(values).save(buffer, "PNG")
    encoded = adapter.encode([Content.of(Image(data=buffer.getvalue()))])
    assert isinstance(adapter, DecoderAdapter)
    found = adapter._arguments(adapter.collate(encoded))["pixel_values"][0]
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    expected = ((values / 255 - mean) / std).transpose(2, 0, 1)
    torch.testing.assert_close(found.double(), torch.tensor(expected), rtol=0, atol=1e-5)
