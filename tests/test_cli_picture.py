"""`semhub lens` and `semhub.lens` with pictures, on tiny random checkpoints."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pil
from tests.models.visionmodels import cached_vision_checkpoint

import semhub as public
from engine import one_line, semhub
from semhub import models
from semhub.models.base import Adapter
from semhub.runs.embed import covered
from semhub.types import IMAGE, Content, Image
from tiny import cached_checkpoint

Capture = pytest.CaptureFixture[str]
TEXT = "USER: <image> What is it? ASSISTANT:"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


def png(width: int = 60, height: int = 60) -> bytes:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 255
    out = io.BytesIO()
    Pil.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "halves.png"
    path.write_bytes(png())
    return path


@pytest.fixture(scope="module")
def model() -> Adapter:
    return public.load(str(cached_vision_checkpoint("llava")))


def test_a_picture_in_the_terminal(capfd: Capture, file: Path) -> None:
    answer = semhub(capfd, "lens", cached_vision_checkpoint("llava"), TEXT, "--image", file)
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0].startswith("USER: ⟨picture⟩ What is it?")
    assert max(map(len, lines)) <= 80
    assert "picture: 3 rows x 3 columns of patches" in answer.out
    before, after = answer.out.split("\ntext:\n")
    assert re.search(r"^ +layer +row +0 ", before, flags=re.MULTILINE)
    assert re.search(r"^ +layer +<s> ", after, flags=re.MULTILINE)


def test_a_picture_as_json_and_as_a_page(capfd: Capture, file: Path, tmp_path: Path) -> None:
    path, page = cached_vision_checkpoint("llava"), tmp_path / "grid.html"
    found = json.loads(semhub(capfd, "lens", path, "?", "--image", file, "--top-k", 2, "--json").out)
    (picture,) = found["pictures"]
    assert found["title"] == f"{IMAGE}?", "a picture comes first where the text does not say"
    assert (picture["rows"], picture["columns"], picture["at"]) == (3, 3, 0)
    assert np.shape(picture["top"]) == np.shape(picture["p"]) == (len(found["layers"]), 9, 2)
    assert picture["picture"]["width"] == picture["picture"]["height"] == 60
    assert picture["box"] == [0, 0, 1, 1]
    assert not set(picture["positions"]) & set(found["positions"])
    answer = semhub(capfd, "lens", path, TEXT, "--image", file, "--html", page)
    assert answer.out.strip() == f"grid: {page}"
    assert page.read_text(encoding="utf-8").count("<image href=") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["<image> x"], "the text says <image> once and no picture is given"),
        (["<image> <image>", "--image", "{file}"], "the text says <image> twice and 1 picture is given"),
        (["<image>", "--image", "{file}", "--image", "{file}"], "once and 2 pictures are given"),
        (["x", "--image", "/nothing/here.png"], "'/nothing/here.png' cannot be read: No such file"),
        (["x", "--image", "{broken}"], "no picture that can be read"),
        (["x", "--image", "{empty}"], "is empty"),
    ],
)
def test_what_is_wrong_with_pictures_is_told_before_a_model_is_loaded(
    arguments: list[str],
    words: str,
    file: Path,
    tmp_path: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "load", None)
    names = {"file": file, "broken": tmp_path / "broken.png", "empty": tmp_path / "empty.png"}
    names["broken"].write_bytes(b"no picture")
    names["empty"].write_bytes(b"")
    given = [one.format(**names) for one in arguments]
    one_line(semhub(capfd, "lens", "mini", *given), 2, words)


def test_half_a_file_is_one_line(tmp_path: Path, capfd: Capture) -> None:
    half = tmp_path / "half.png"
    half.write_bytes(png(400, 400)[:-300])
    one_line(
        semhub(capfd, "lens", cached_vision_checkpoint("llava"), "x", "--image", half),
        2,
        "half.png",
        "broken",
    )


def test_a_model_of_text_takes_no_picture(file: Path, capfd: Capture) -> None:
    answer = semhub(capfd, "lens", cached_checkpoint("llama"), "x", "--image", file)
    one_line(answer, 2, "takes no pictures", "vision-language model")


def test_without_pictures_python_reads_the_text_as_it_is() -> None:
    model = public.load(str(cached_checkpoint("llama")))
    grid = public.lens(model, "<image>")
    assert "".join(grid.data["tokens"]).endswith("<image>")
    assert list(grid.to_frame().columns) == [
        "layer",
        "position",
        "input_token",
        "rank",
        "token",
        "p",
        "language",
    ]
    with pytest.raises(public.UsageError, match="no picture is given"):
        public.lens(model, "<image>", images=[])


def test_the_frame_has_every_position_once(model: Adapter, file: Path) -> None:
    grid = public.lens(model, TEXT, images=[file], top_k=3)
    frame = grid.to_frame()
    n = frame["position"].max() + 1
    assert len(frame) == (model.n_layers + 1) * n * 3
    assert not frame.duplicated(["layer", "position", "rank"]).any()
    patches = frame[frame["image"].notna() & (frame["rank"] == 0) & (frame["layer"] == 0)]
    assert list(zip(patches["row"], patches["column"], strict=True)) == [(i // 3, i % 3) for i in range(9)]
    assert set(patches["input_token"]) == {IMAGE}
    assert frame.loc[frame["input_token"] != IMAGE, "row"].isna().all()
    assert grid.html() == grid._repr_html_()


def test_the_last_layer_over_a_picture_is_the_models_own_output(model: Adapter) -> None:
    content = Content.of("USER: ", Image(data=png()), " x")
    (encoded,) = model.encode([content])
    own = model.logits(model.collate([encoded]))[0].float().log_softmax(-1)
    frame = public.lens(model, "USER: <image> x", images=[png()], top_k=1).to_frame()
    last = frame[frame["layer"] == model.n_layers].sort_values("position")
    best = own[:, : model.n_tokens].max(-1)
    assert list(last["position"]) == list(range(len(encoded.ids)))
    np.testing.assert_allclose(last["p"], best.values.exp().numpy(), atol=1e-5)
    assert list(last["token"]) == [model.token_text(int(i)) for i in best.indices]


def test_several_pictures_stand_in_order(model: Adapter) -> None:
    grid = public.lens(model, "a <image> b <image>", images=[png(60, 60), Image(data=png(90, 60))])
    assert [one["at"] for one in grid.data["pictures"]] == [2, 6]
    assert [one["picture"]["width"] for one in grid.data["pictures"]] == [60, 90]
    assert set(grid.to_frame()["image"].dropna()) == {0, 1}


@pytest.mark.parametrize(
    ("family", "shape", "box"),
    [
        ("llava", (90, 60), (1 / 6, 0, 5 / 6, 1)),  # the middle square
        ("llava", (60, 120), (0, 0.25, 1, 0.75)),
        ("qwen2_vl", (90, 60), (0, 0, 1, 1)),
    ],
)
def test_what_the_patches_cover_is_found(family: str, shape: tuple[int, int], box: tuple[float, ...]) -> None:
    adapter = public.load(str(cached_vision_checkpoint(family)))
    (encoded,) = adapter.encode([Content.of(Image(data=png(*shape)), "x")])
    np.testing.assert_allclose(covered(adapter, encoded, 0, shape), box, atol=0.02)


def test_a_grid_that_is_not_known(model: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(model), "grid", lambda *_: None)
    grid = public.lens(model, TEXT, images=[png()])
    frame = grid.to_frame()
    assert frame["row"].isna().all()
    assert (frame["image"] == 0).sum() == 9 * 5 * (model.n_layers + 1)
    assert "patch grid is not known" in grid.html()


def test_pairs_may_hold_pictures(model: Adapter) -> None:
    rows = public.similarity(model, [(Image(data=png()), "red and blue"), (Image(data=png(90)), "three")])
    assert set(rows["measure"]) >= {"cosine", "paper_score"}
