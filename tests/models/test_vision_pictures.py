"""Which positions a picture fills, which of them show a part of it, and what is refused in one line."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pil
from tests.models.visionmodels import (
    FAMILIES,
    cached_vision_checkpoint,
    from_pixels,
    picture,
    vision_image_processor,
    vision_model,
    vision_tokenizer,
)

from semhub import pictures
from semhub.capture import capture_all
from semhub.errors import DataError, ModelError, UsageError
from semhub.lens import lens_input, read
from semhub.models import load, selfcheck
from semhub.models import sight as sights
from semhub.models.base import Encoded, UnknownGrid
from semhub.models.decoder import DecoderAdapter
from semhub.types import IMAGE, Area, Content, Image

DISCRETE = ("chameleon",)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def adapter(family: str) -> DecoderAdapter:
    return loaded(family)


def loaded(family: str, **options: Any) -> DecoderAdapter:
    found = load(str(cached_vision_checkpoint(family)), check=False, **options)
    assert isinstance(found, DecoderAdapter)
    return found


def mask_of(inside: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Pil.fromarray(np.where(inside, 255, 0).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def one_picture(adapter: DecoderAdapter, width: int, height: int, seed: int = 0) -> Encoded:
    return adapter.encode([Content.of("What is ", picture(width, height, seed), " it?\n")])[0]


def test_offsets_around_a_picture(adapter: DecoderAdapter) -> None:
    """Each character of the text and the picture's own lie at their place; what is added lies at none."""
    content = Content.of("What is in\n", picture(40, 28), "\nÁngel dijo ", picture(20, 20, 1), " sí")
    (found,) = adapter.encode([content])
    text = content.text
    for token, span in zip(found.ids, found.offsets, strict=True):
        if span is not None and text[span[0] : span[1]] != IMAGE:
            spelled = adapter.token_text(token)
            assert "⟨" in spelled or spelled.strip() == text[span[0] : span[1]].strip()
    held = {index for span in found.offsets if span for index in range(*span)}
    assert {i for i, letter in enumerate(text) if not letter.isspace()} <= held
    for shown, (at, image) in zip(found.pictures, content.images, strict=True):
        where = tuple(i for i, span in enumerate(found.offsets) if span == (at, at + 1))
        assert shown.positions == where == adapter.area(found, Area(at))
        assert (shown.at, shown.image, shown.size) == (at, image, pictures.size(image))
        assert shown.start == where[0]
        assert shown.end >= where[-1] + 1


def test_only_its_positions_change_with_a_picture(family: str, adapter: DecoderAdapter) -> None:
    one, other = one_picture(adapter, 40, 28), one_picture(adapter, 40, 28, seed=9)
    assert one.ids == other.ids
    states = [capture_all(adapter, [each], "all", layers=[0]).values[0] for each in (one, other)]
    changed = torch.nonzero((states[0] != states[1]).any(-1)).flatten().tolist()
    if family in DISCRETE:
        assert changed
        assert set(changed) <= set(one.pictures[0].positions)
    else:
        assert tuple(changed) == one.pictures[0].positions


@pytest.fixture(scope="module")
def local(family: str) -> DecoderAdapter:
    """With a tower whose patches do not read each other, so that a feature shows its own patch alone."""
    model = vision_model(family)
    mixing = ("out_proj", "attn.proj.", "projection_layer", "proj_out")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ("vis" in name or "vq" in name) and any(part in name for part in mixing):
                weight.zero_()
    processor = vision_image_processor(family)
    found = load(model, vision_tokenizer(family), image_processor=processor, check=False)
    assert isinstance(found, DecoderAdapter)
    return found


@pytest.mark.parametrize("size", [(48, 32), (24, 24), (20, 56)])
def test_each_cell_shows_its_place(family: str, local: DecoderAdapter, size: tuple[int, int]) -> None:
    """A spot painted into a plain picture changes the state of the cell that shows it more than any other's."""
    (found,) = local.encode([Content.of("What is ", picture(*size))])
    grid = local.grid(found, 8)
    assert grid is not None
    assert len(grid.position) == grid.rows * grid.columns
    assert set(grid.position) <= set(found.pictures[0].positions)
    if family not in DISCRETE:
        cells = range(len(grid.position))
        assert [nearest(local, family, size, grid, cell) for cell in cells] == list(cells)


def spot(family: str, size: tuple[int, int], grid: Any, cell: int) -> tuple[int, int, int, int]:
    """left, top, right, bottom of a cell in pixels; llava and chameleon show the middle square of a picture."""
    width, height = size
    left = top = 0
    if family in ("llava", "chameleon"):
        left, top = (width - min(size)) // 2, (height - min(size)) // 2
        width = height = min(size)
    row, column = divmod(cell, grid.columns)
    return (
        left + round(width * column / grid.columns),
        top + round(height * row / grid.rows),
        left + round(width * (column + 1) / grid.columns),
        top + round(height * (row + 1) / grid.rows),
    )


def nearest(adapter: DecoderAdapter, family: str, size: tuple[int, int], grid: Any, cell: int) -> int:
    """The cell whose state at layer 0 changes most when the place of `cell` is painted."""
    plain = Pil.new("RGB", size, (90, 120, 150))
    painted = plain.copy()
    painted.paste((250, 30, 10), spot(family, size, grid, cell))
    contents = [Content.of("What is ", from_pixels(one)) for one in (plain, painted)]
    states = capture_all(adapter, adapter.encode(contents), [list(grid.position)] * 2, layers=[0]).values[0]
    half = len(grid.position)
    return int((states[:half] - states[half:]).norm(dim=-1).argmax())


@pytest.mark.parametrize("size", [(48, 32), (24, 24), (20, 56)])
def test_an_area_is_what_lies_more_than_half_inside(
    family: str, adapter: DecoderAdapter, size: tuple[int, int]
) -> None:
    width, height = size
    found = one_picture(adapter, width, height)
    grid = adapter.grid(found, 8)
    assert grid is not None
    assert adapter.area(found, Area(8, mask_of(np.ones((height, width), bool)))) == grid.position
    assert adapter.area(found, Area(8, mask_of(np.zeros((height, width), bool)))) == ()
    for left, top, right, bottom in ((0, 0, 1, 0.5), (0, 0, 0.5, 1), (0.25, 0.25, 1, 1)):
        inside = np.zeros((height, width), bool)
        inside[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = (
            True
        )
        expected = []
        for cell, position in enumerate(grid.position):
            a, b, c, d = spot(family, size, grid, cell)
            share = inside[b:d, a:c].mean() if inside[b:d, a:c].size else 0.0
            if abs(share - 0.5) > 0.2:  # nearer ones may fall to either side when they are resampled
                expected.append((position, share > 0.5))
        chosen = set(adapter.area(found, Area(8, mask_of(inside))))
        assert [position in chosen for position, _ in expected] == [wanted for _, wanted in expected]


def test_masks_are_cropped_as_pictures_are() -> None:
    """llava by hand: 48 x 24 pixels, the middle 24 x 24 shown as 3 x 3 patches of 8; padding instead of a crop."""
    adapter = loaded("llava")
    found = one_picture(adapter, 48, 24)
    inside = np.zeros((24, 48), bool)
    inside[:, :12] = True  # all of it is cropped away
    positions = found.pictures[0].positions
    inside[:, :25] = True  # the picture begins at 12: 13 of 24 columns, 5 of the second patch's 8
    chosen = adapter.area(found, Area(8, mask_of(inside)))
    assert set(chosen) == {positions[i] for i in (0, 1, 3, 4, 6, 7)}
    model, tokenizer = vision_model("llava"), vision_tokenizer("llava")
    processor = vision_image_processor("llava")
    processor.do_pad = True
    padded = load(model, tokenizer, image_processor=processor, check=False)
    found = one_picture(padded, 48, 24)  # 12 rows above and below the picture are padding
    everywhere = padded.area(found, Area(8, mask_of(np.ones((24, 48), bool))))
    assert everywhere == found.pictures[0].positions[3:6]


def test_bad_areas(adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    found = one_picture(adapter, 40, 28)
    with pytest.raises(DataError, match="character 3 of the content is no picture"):
        adapter.area(found, Area(3))
    with pytest.raises(DataError, match="does not fit its picture"):
        adapter.area(found, Area(8, mask_of(np.ones((40, 28), bool))))
    with pytest.raises(DataError):
        adapter.area(found, Area(8, b"no picture"))
    (text,) = adapter.encode([Content.of("a")])
    with pytest.raises(DataError, match="no picture"):
        adapter.grid(text, 0)


def test_a_grid_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sights, "find_cells", lambda *_: None)
    adapter = loaded("llava")
    found = one_picture(adapter, 40, 28)
    assert adapter.grid(found, 8) is None
    assert adapter.area(found, Area(8)) == found.pictures[0].positions
    with pytest.raises(UnknownGrid, match="patch grid of llava is not known"):
        adapter.area(found, Area(8, mask_of(np.ones((28, 40), bool))))


def test_cutting_and_lengthening(adapter: DecoderAdapter) -> None:
    found = one_picture(adapter, 40, 28)
    shown = found.pictures[0]
    assert found.needed(shown.start) == max(shown.start, found.prefix)
    assert found.needed(shown.start + 1) == max(shown.end, found.prefix)
    assert found.beginning(shown.start).pictures == ()
    assert found.beginning(shown.end).pictures == (shown,)
    with pytest.raises(DataError, match="inside a picture"):
        found.beginning(shown.start + 1)
    longer = found.followed_by([5, 6])
    assert (longer.ids[-2:], longer.offsets[-2:]) == ((5, 6), (None, None))
    with pytest.raises(UsageError, match="without their pictures"):
        adapter.collate([Encoded(found.ids, found.offsets)])


def test_pictures_are_opened_only_for_their_pixels(
    adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Image] = []
    real = sights.open_picture

    def counting(image: Image) -> Pil.Image:
        opened.append(image)
        return real(image)

    monkeypatch.setattr(sights, "open_picture", counting)
    contents = [Content.of(picture(30 + i, 20, i)) for i in range(4)]
    encoded = adapter.encode(contents)
    assert not opened
    adapter.collate(encoded)
    adapter.collate(encoded[::-1])
    assert len(opened) == 4


def test_the_memory_of_pictures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = loaded("llava")
    assert adapter.viewing is not None
    monkeypatch.setattr(sights, "CACHE_BYTES", 3 * 3 * 24 * 24 * 4)
    for seed in range(9):
        adapter.collate(adapter.encode([Content.of(picture(24, 24, seed))]))
    assert len(adapter.viewing.sight._cache) == 3


def test_a_placeholder_in_the_text_is_refused(family: str, adapter: DecoderAdapter) -> None:
    placeholder = FAMILIES[family].image_token[1]
    with pytest.raises(DataError, match="stands for a picture"):
        adapter.encode([Content.of(f"What is {placeholder}?")])
    with pytest.raises(DataError, match="stands for a picture"):
        adapter.encode([Content.of(f"What is {placeholder}?", picture(24, 24))])


def test_pictures_that_cannot_be_shown(adapter: DecoderAdapter, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    for image in (Image(str(tmp_path / "missing.png")), Image(str(tmp_path / "bad.png"))):
        with pytest.raises(DataError) as caught:
            adapter.encode([Content.of("What?", image)])
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"has .* tokens, the model has 512 positions"):
        adapter.encode([Content.of(*[picture(64, 64)] * 130)])


def test_a_shape_that_a_processor_refuses() -> None:
    with pytest.raises(
        DataError, match=r"a picture of \(500, 2\) pixels is not taken by qwen2_vl: .*aspect ratio"
    ):
        loaded("qwen2_vl").encode([Content.of(picture(500, 2))])


def test_special_tokens_of_a_prompt(adapter: DecoderAdapter, family: str) -> None:
    """Without special tokens nothing stands before the text or after it; chameleon ends a turn, paligemma a prefix."""
    content = Content.of("a", picture(24, 24), "b")
    with_them, without = (adapter.encode([content], special)[0] for special in (True, False))
    assert without.offsets[0] == (0, 1)
    assert without.offsets[-1] == (2, 3)
    ends = {"chameleon": "<reserved08706>", "paligemma": "\n"}
    last = adapter.token_text(with_them.ids[-1])
    assert last == ends.get(family, "b")
    assert (with_them.offsets[-1] is None) == (family in ends)


def test_chameleon_never_says_a_picture_s_token() -> None:
    """The lens masks them before the softmax, in every tile, as the model does in its logits."""
    adapter = loaded("chameleon")
    vocabulary = vision_tokenizer("chameleon").get_vocab()
    named = sorted(index for token, index in vocabulary.items() if token.startswith("IMGIMG"))
    assert adapter.unembedding.masked is not None
    assert adapter.unembedding.masked.tolist() == named
    found = one_picture(adapter, 24, 24)
    states = capture_all(adapter, [found], "all").values
    ready = lens_input(adapter, states, range(adapter.n_layers + 1), "final_norm")
    out = read(adapter.unembedding, ready.flatten(0, 1), targets=torch.tensor([named[0], 30]), top_k=5)
    own = adapter.logits(adapter.collate([found]))[0].log_softmax(-1)
    last = out.logprob.view(adapter.n_layers + 1, -1, 2)[-1]
    torch.testing.assert_close(last[:, 1], own[:, 30], rtol=0, atol=1e-4)
    assert float(out.logprob[:, 0].max()) < -1e30
    assert not np.isin(out.top_ids.numpy(), named).any()
    plain = (ready[1] @ adapter.unembedding.weight.T).double()
    plain[:, named] = -torch.inf
    expected = plain.log_softmax(-1)[:, 30].float()
    torch.testing.assert_close(
        out.logprob.view(adapter.n_layers + 1, -1, 2)[1, :, 1], expected, rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtypes_of_seeing_models(family: str, dtype: str) -> None:
    adapter = loaded(family, dtype=dtype)
    assert adapter.dtype == getattr(torch, dtype)
    assert not [check.name for check in selfcheck.run(adapter) if not check.passed]


def test_a_seeing_model_in_memory(family: str, adapter: DecoderAdapter) -> None:
    """The settings that a folder's file would hold come from the model's configuration."""
    found = load(
        vision_model(family),
        vision_tokenizer(family),
        image_processor=vision_image_processor(family),
        check=False,
    )
    assert found.takes == {"text", "image"}
    assert one_picture(found, 40, 28) == one_picture(adapter, 40, 28)  # type: ignore[arg-type]


@pytest.mark.parametrize("other", ["aya_vision", "llava_onevision"])
def test_families_without_a_rule_of_their_own(other: str) -> None:
    """Tokens, pixels and positions come right from the library's processor; only the grid is not known."""
    adapter = loaded(other)
    assert not [check for check in selfcheck.run(adapter) if not check.passed]
    found = one_picture(adapter, 40, 28)
    assert adapter.area(found, Area(8)) == found.pictures[0].positions
    assert adapter.grid(found, 8) is None
    with pytest.raises(UnknownGrid, match=other):
        adapter.area(found, Area(8, mask_of(np.ones((28, 40), bool))))


def test_a_family_whose_processor_does_not_say() -> None:
    adapter = loaded("idefics2")
    assert not [check for check in selfcheck.run(adapter) if not check.passed]
    with pytest.raises(DataError, match="takes no pictures: ModelError: Idefics2Processor does not say"):
        adapter.encode([Content.of(picture(24, 24))])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(cached_vision_checkpoint("llava"), tmp_path / "model"))


def test_a_folder_without_an_image_processor_is_read_as_text(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    adapter = load(folder)
    assert adapter.takes == {"text"}
    with pytest.raises(DataError, match="takes no pictures: OSError"):
        adapter.encode([Content.of(picture(24, 24))])


def test_wrong_settings_fail_the_checks(folder: Path) -> None:
    settings = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps(settings | {"patch_size": 6}))
    with pytest.raises(ModelError, match="self-check picture_span"):
        load(folder)


def test_settings_without_a_file(folder: Path) -> None:
    (folder / "processor_config.json").unlink()
    assert one_picture(load(folder), 40, 28) == one_picture(loaded("llava"), 40, 28)  # type: ignore[arg-type]
