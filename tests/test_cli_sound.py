"""`semhub lens` and `semhub.lens` with sounds, on tiny random checkpoints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.models.soundmodels import cached_sound_checkpoint
from tests.models.visionmodels import cached_vision_checkpoint

import semhub as public
from engine import one_line, semhub
from semhub import models
from semhub.marked import content_of
from semhub.models.base import Adapter
from semhub.pictures import mask_png
from semhub.sounds import wav
from semhub.types import IMAGE, SOUND, Content, Image, Sound
from tiny import cached_checkpoint

Capture = pytest.CaptureFixture[str]
TEXT = "USER: <audio> What can be heard? ASSISTANT:"
FAMILY = "qwen2_audio"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


def clip(seconds: float = 1.0, rate: int = 16_000) -> bytes:
    """A rising tone."""
    t = np.arange(round(seconds * rate)) / rate
    return wav((0.4 * np.sin(2 * np.pi * (300 + 900 * t) * t)).astype(np.float32), rate)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sounds") / "rising.wav"
    path.write_bytes(clip())
    return path


@pytest.fixture(scope="module")
def model() -> Adapter:
    return public.load(str(cached_sound_checkpoint(FAMILY)))


def test_a_sound_in_the_terminal(capfd: Capture, file: Path) -> None:
    answer = semhub(capfd, "lens", cached_sound_checkpoint(FAMILY), TEXT, "--audio", file)
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0].startswith("USER: ⟨sound⟩ What can be heard?")
    assert max(map(len, lines)) <= 80
    assert re.search(r"^sound: \d+ positions, 1 s", answer.out, flags=re.MULTILINE)
    before, after = answer.out.split("\ntext:\n")
    assert re.search(r"^ layer +–0\.04 s ", before, flags=re.MULTILINE), "windows are heads of columns"
    assert re.search(r"^ +layer +.*:", after, flags=re.MULTILINE)


def test_a_sound_as_json_and_as_a_page(capfd: Capture, file: Path, tmp_path: Path) -> None:
    path, page = cached_sound_checkpoint(FAMILY), tmp_path / "grid.html"
    found = json.loads(semhub(capfd, "lens", path, "?", "--audio", file, "--top-k", 2, "--json").out)
    (sound,) = found["sounds"]
    n = len(sound["positions"])
    assert found["title"] == f"{SOUND}?", "a sound comes first where the text does not say"
    assert np.shape(sound["top"]) == np.shape(sound["p"]) == (len(found["layers"]), n, 2)
    assert np.shape(sound["times"]) == (n, 2)
    assert sound["clip"]["seconds"] == sound["clip"]["played"] == 1.0
    assert sound["clip"]["spectrogram"]["uri"].startswith("data:image/png;base64,")
    assert not set(sound["positions"]) & set(found["positions"])
    answer = semhub(capfd, "lens", path, TEXT, "--audio", file, "--html", page)
    assert answer.out.strip() == f"grid: {page}"
    assert page.read_text(encoding="utf-8").count("<audio controls") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["<audio> x"], "the text says <audio> once and no sound is given: one --audio"),
        (["<audio> <audio>", "--audio", "{file}"], "the text says <audio> twice and 1 sound is given"),
        (["<audio>", "--audio", "{file}", "--audio", "{file}"], "once and 2 sounds are given"),
        (["<image> <audio>", "--audio", "{file}"], "the text says <image> once and no picture is given"),
        (["x", "--audio", "/nothing/here.wav"], "'/nothing/here.wav' cannot be read: No such file"),
        (["x", "--audio", "{broken}"], "no sound that can be read"),
        (["x", "--audio", "{empty}"], "is empty"),
        (["x", "--audio", "{half}"], "is cut off"),
    ],
)
def test_what_is_wrong_with_sounds_is_told_before_a_model_is_loaded(
    arguments: list[str],
    words: str,
    file: Path,
    tmp_path: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "load", None)
    names = {"file": file, **{name: tmp_path / f"{name}.wav" for name in ("broken", "empty", "half")}}
    names["broken"].write_bytes(b"no sound at all")
    names["empty"].write_bytes(b"")
    names["half"].write_bytes(clip()[:-9000])
    given = [one.format(**names) for one in arguments]
    one_line(semhub(capfd, "lens", "mini", *given), 2, words)


def test_a_model_of_text_or_of_pictures_takes_no_sound(file: Path, capfd: Capture) -> None:
    for path in (cached_checkpoint("llama"), cached_vision_checkpoint("llava")):
        answer = semhub(capfd, "lens", path, "x", "--audio", file)
        one_line(answer, 2, "takes no sounds", "audio-language model")


def test_what_is_not_heard_is_said(capfd: Capture, tmp_path: Path) -> None:
    (tmp_path / "long.wav").write_bytes(clip(40.0))
    answer = semhub(capfd, "lens", cached_sound_checkpoint(FAMILY), TEXT, "--audio", tmp_path / "long.wav")
    assert answer.status == 0
    assert re.search(r"positions, 40 s; they carry the first \d+(\.\d+)? s", " ".join(answer.out.split()))


def test_steering_takes_no_sounds(model: Adapter, capfd: Capture) -> None:
    with pytest.raises(public.UsageError, match="the text says <audio>: only texts are taken here"):
        public.patch(model, "<audio> a", "b", layer=1)
    options = ["--words", "--add", "a", "--sub", "b", "--layer", "1", "--strength", "1"]
    answer = semhub(capfd, "steer", cached_sound_checkpoint(FAMILY), "<audio> a", *options)
    one_line(answer, 2, "<audio>", "only texts")


def test_samples_are_given_as_a_file() -> None:
    with pytest.raises(public.UsageError, match=r"not ndarray: samples are given as semhub\.sounds\.wav"):
        content_of("x", None, [np.zeros(8)])  # type: ignore[list-item]


def test_without_sounds_python_reads_the_text_as_it_is() -> None:
    model = public.load(str(cached_checkpoint("llama")))
    assert "".join(public.lens(model, "<audio>").data["tokens"]).endswith("<audio>")
    with pytest.raises(public.UsageError, match="no sound is given"):
        public.lens(model, "<audio>", sounds=[])


def test_pictures_and_sounds_stand_where_the_text_says() -> None:
    picture, sound = Image(data=mask_png(np.ones((4, 4), bool))), Sound(data=clip())
    both = content_of("a <audio> b <image> c", [picture], [sound.data])
    assert both == Content.of("a ", sound, " b ", picture, " c")
    assert content_of("a <audio> b", [picture], [sound]).text == f"{IMAGE}a {SOUND} b"
    assert content_of("a <audio> b <image>", None, [sound]).text == f"a {SOUND} b <image>"
    assert content_of("a", [picture], [sound]).text == f"{IMAGE}{SOUND}a"
    assert content_of("", [], [sound]) == Content.of(sound)


def test_the_frame_has_every_position_once(model: Adapter, file: Path) -> None:
    grid = public.lens(model, TEXT, sounds=[file], top_k=3)
    frame = grid.to_frame()
    n = frame["position"].max() + 1
    assert len(frame) == (model.n_layers + 1) * n * 3
    assert not frame.duplicated(["layer", "position", "rank"]).any()
    first = frame[frame["sound"].notna() & (frame["rank"] == 0) & (frame["layer"] == 0)]
    np.testing.assert_allclose(first[["start", "end"]].to_numpy(), grid.data["sounds"][0]["times"])
    assert set(first["input_token"]) == {SOUND}
    assert frame.loc[frame["input_token"] != SOUND, "start"].isna().all()
    assert "image" not in frame
    assert grid.html() == grid._repr_html_()


def test_the_last_layer_over_a_sound_is_the_models_own_output(model: Adapter) -> None:
    (encoded,) = model.encode([Content.of("USER: ", Sound(data=clip()), " x")])
    own = model.logits(model.collate([encoded]))[0].float().log_softmax(-1)
    frame = public.lens(model, "USER: <audio> x", sounds=[clip()], top_k=1).to_frame()
    last = frame[frame["layer"] == model.n_layers].sort_values("position")
    best = own[:, : model.n_tokens].max(-1)
    assert list(last["position"]) == list(range(len(encoded.ids)))
    np.testing.assert_allclose(last["p"], best.values.exp().numpy(), atol=1e-5)
    assert list(last["token"]) == [model.token_text(int(i)) for i in best.indices]


def test_several_sounds_stand_in_order(model: Adapter) -> None:
    grid = public.lens(model, "a <audio> b <audio>", sounds=[clip(0.5), Sound(data=clip(1.5, 8000))])
    assert [one["at"] for one in grid.data["sounds"]] == [2, 6]
    assert [one["clip"]["seconds"] for one in grid.data["sounds"]] == [0.5, 1.5]
    assert set(grid.to_frame()["sound"].dropna()) == {0, 1}


def test_times_that_are_not_known(model: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(model), "times", lambda *_: None)
    grid = public.lens(model, TEXT, sounds=[clip()])
    assert grid.to_frame()["start"].isna().all()
    assert "without a time axis" in grid.html()


def test_pairs_may_hold_sounds(model: Adapter) -> None:
    rows = public.similarity(model, [(Sound(data=clip()), "a dog"), (Sound(data=clip(0.5)), "a frog")])
    assert set(rows["measure"]) >= {"cosine", "paper_score"}


def test_own_pairs_of_sounds_must_beat_twins_that_keep_the_encoder(model: Adapter) -> None:
    rows = [{"a": Sound(data=clip(0.3 + 0.02 * i)), "b": f"the number {i}"} for i in range(32)]
    found = public.test(model, pd.DataFrame(rows), twins=1)
    names = [check["name"] for check in found["checks"]]
    assert "beats its twins (trained encoder and embeddings only)" in names
    texts = [{"a": f"a {i}", "b": f"the number {i}"} for i in range(32)]
    named = [check["name"] for check in public.test(model, pd.DataFrame(texts), twins=1)["checks"]]
    assert "beats its twins (trained embeddings only)" in named
