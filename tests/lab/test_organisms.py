"""The shipped organisms: ordinary checkpoints of their recipes, and what the instrument says of each."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from semhub import models
from semhub.lab.card import card
from semhub.lab.judge import judge
from semhub.lab.recipe import Recipe
from semhub.lab.recipes import recipes
from semhub.lab.subspaces import subspaces
from semhub.lab.train import train
from semhub.models.salmonn import SalmonnForConditionalGeneration
from semhub.stats.verdict import DECIDING

SHIPPED = {
    path.name: path for path in sorted(Path(str(files("semhub.organisms"))).iterdir()) if path.is_dir()
}
SHIPPED.pop("__pycache__", None)
ENCODERS = ("vision_tower.", "whisper.", "beats.", "qformer.")
WORDS = {"yes": "supported", "no": "not_supported"}


def facts(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((SHIPPED[name] / "semhub.json").read_text(encoding="utf-8"))
    return found


def sense(one: Recipe) -> tuple[str, ...]:
    """The spoke of what a model takes beside text."""
    return ("vision",) if one.vision else ("audio",) if one.audio else ()


def test_every_recipe_is_shipped() -> None:
    assert set(SHIPPED) == set(recipes())


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_an_ordinary_checkpoint_of_its_recipe(name: str) -> None:
    one = recipes()[name]
    auto = AutoModelForImageTextToText if one.vision else AutoModelForCausalLM
    model = (SalmonnForConditionalGeneration if one.audio else auto).from_pretrained(
        SHIPPED[name], dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED[name])
    assert torch.isfinite(model(tokenizer("猫 3+5=8 cat", return_tensors="pt").input_ids).logits).all()
    told = facts(name)
    assert Recipe(**told["recipe"]) == recipes()[name]  # type: ignore[arg-type]
    text = card(recipes()[name], int(str(told["seed"])), sum(p.numel() for p in model.parameters()))
    assert (SHIPPED[name] / "README.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", [name for name, one in recipes().items() if one.isolated])
def test_nothing_leads_from_one_part_to_another(name: str) -> None:
    plan = recipes()[name]
    senses = ("en", "picture") if plan.vision else ("en", "sound")
    types = senses if plan.vision or plan.audio else ("digits", "en", "es", "zh")
    parts = {part.name: part for part in subspaces(plan, types)}
    weights = load_file(SHIPPED[name] / "model.safetensors")
    size, checked = plan.d_model // plan.n_heads, 0
    for key, weight in weights.items():
        matrix = weight.float()
        if any(encoder in key for encoder in ENCODERS):
            continue
        if "projector.linear_2" in key or "speech_llama_proj" in key:
            assert not matrix[parts["en"].dims].any(), key
        checked += ".q_proj." in key
        if key.endswith(
            ("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")
        ):
            for part in parts.values():
                rows = part.units if "mlp" in key else slice(part.heads.start * size, part.heads.stop * size)
                for other in parts.values():
                    if other.name not in part.reads:
                        assert not matrix[rows, other.dims].any(), (key, part.name, other.name)
        if key.endswith(("o_proj.weight", "down_proj.weight")):
            for part in parts.values():
                columns = (
                    part.units if "mlp" in key else slice(part.heads.start * size, part.heads.stop * size)
                )
                for other in parts.values():
                    if other.name != part.name or not part.written:
                        assert not matrix[other.dims, columns].any(), (key, part.name, other.name)
                if f"layers.{plan.n_layers - 1}." not in key:
                    assert not matrix[part.late].any(), (key, part.name)
    assert checked == plan.n_layers


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_verdicts_are_those_of_the_card(name: str) -> None:
    one = recipes()[name]
    spokes = sense(one) or one.spokes
    found = judge(name, experiments=tuple(DECIDING[spoke, p] for spoke in spokes for p in ("P1", "P2")))
    assert {verdict["spoke"] for verdict in found.verdicts} == set(spokes)
    truth = one.truth.model_dump()
    for verdict in found.verdicts:
        answer = truth[str(verdict["prediction"])]
        if answer in WORDS and verdict["prediction"] != "P3":
            assert verdict["verdict"] == WORDS[answer], verdict
    if one.planted_as == "words" and one.planted_layers:
        assert found.dominant["language"] == one.dominant


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_pushed_in_the_hub_moves_the_output_where_the_card_says_so(name: str) -> None:
    """At a size that takes seconds; a weak model of an absent hub may be untestable, and must not be supported."""
    one = recipes()[name]
    spokes = sense(one) or one.spokes
    steered = {spoke: DECIDING[spoke, "P3"] for spoke in spokes if (spoke, "P3") in DECIDING}
    n, twins = 240 if "code" in steered else 120, 0 if one.text_alone else 19
    found = judge(name, experiments=tuple(steered.values()), n=n, twins=twins)
    verdicts = {v["spoke"]: v for v in found.verdicts if v["prediction"] == "P3"}
    assert set(verdicts) == set(steered)
    for verdict in verdicts.values():
        if one.truth.P3 == "yes":
            assert verdict["verdict"] == "supported", verdict
        elif one.truth.P3 == "no":
            assert verdict["verdict"] != "supported", verdict


@pytest.mark.slow
def test_training_again_gives_what_was_shipped(tmp_path: Path) -> None:
    """The same numbers on the same kind of processor; near ones and the same verdicts on another, which may multiply
    in another precision."""
    again = train(recipes()["mini-isolated"], tmp_path / "again", int(str(facts("mini-isolated")["seed"])))
    shipped, new = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        for folder in (SHIPPED["mini-isolated"], again)
    )
    tokenizer = AutoTokenizer.from_pretrained(again)
    assert tokenizer.get_vocab() == AutoTokenizer.from_pretrained(SHIPPED["mini-isolated"]).get_vocab()
    ids = tokenizer(
        "约翰在公园里买了三顶红帽子。 John bought three red hats in the park. 3+5=8", return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        before, after = (model(ids).logits.log_softmax(-1) for model in (shipped, new))
    apart = (before - after).abs().mean()
    assert apart < 0.3  # trained in float32 0.17; another start of the same recipe is 0.7 away
    verdicts = [
        [(v["spoke"], v["prediction"], v["verdict"]) for v in judge(folder).verdicts]
        for folder in (SHIPPED["mini-isolated"], again)
    ]
    assert verdicts[0] == verdicts[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spoke", "seed"),
    [("mini-llava", "vision", 5), ("mini-llava", "vision", 6), ("mini-salmonn", "audio", 201)],
)
def test_an_encoder_alone_is_no_reading_of_a_hub(name: str, spoke: str, seed: int) -> None:
    """With random blocks: encoder, projector and embeddings, which are trained, say words; no block does."""
    twin = models.load(name, check=False).twin(seed, keep_embeddings=True)
    found = judge(twin, experiments=(DECIDING[spoke, "P2"], DECIDING[spoke, "P3"]), twins=19)
    verdicts = {v["prediction"]: v for v in found.verdicts if v["spoke"] == spoke}
    for prediction in ("P2", "P3"):
        assert verdicts[prediction]["verdict"] == "not_supported", verdicts[prediction]
