"""The shipped organisms: ordinary checkpoints of their recipes, and what the instrument says of each."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from semhub.lab.card import card
from semhub.lab.judge import judge
from semhub.lab.recipe import Recipe
from semhub.lab.recipes import recipes
from semhub.lab.subspaces import subspaces

SHIPPED = {
    path.name: path for path in sorted(Path(str(files("semhub.organisms"))).iterdir()) if path.is_dir()
}
SHIPPED.pop("__pycache__", None)
WORDS = {"yes": "supported", "no": "not_supported"}


def facts(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((SHIPPED[name] / "semhub.json").read_text(encoding="utf-8"))
    return found


def test_every_recipe_is_shipped() -> None:
    assert set(SHIPPED) == set(recipes())


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_an_ordinary_checkpoint_of_its_recipe(name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(SHIPPED[name], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED[name])
    assert torch.isfinite(model(tokenizer("猫 3+5=8 cat", return_tensors="pt").input_ids).logits).all()
    told = facts(name)
    assert Recipe(**told["recipe"]) == recipes()[name]  # type: ignore[arg-type]
    text = card(recipes()[name], int(str(told["seed"])), sum(p.numel() for p in model.parameters()))
    assert (SHIPPED[name] / "README.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", [name for name, one in recipes().items() if one.isolated])
def test_nothing_leads_from_one_part_to_another(name: str) -> None:
    plan = recipes()[name]
    parts = {part.name: part for part in subspaces(plan, ("digits", "en", "es", "zh"))}
    weights = load_file(SHIPPED[name] / "model.safetensors")
    for key, weight in weights.items():
        matrix = weight.float()
        if key.endswith(
            ("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")
        ):
            for part in parts.values():
                rows = part.units if "mlp" in key else slice(part.heads.start * 16, part.heads.stop * 16)
                for other in parts.values():
                    if other.name not in part.reads:
                        assert not matrix[rows, other.dims].any(), (key, part.name, other.name)
        if key.endswith(("o_proj.weight", "down_proj.weight")):
            for part in parts.values():
                columns = part.units if "mlp" in key else slice(part.heads.start * 16, part.heads.stop * 16)
                for other in parts.values():
                    if other.name != part.name or not part.written:
                        assert not matrix[other.dims, columns].any(), (key, part.name, other.name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_verdicts_are_those_of_the_card(name: str) -> None:
    found = judge(name)
    truth = recipes()[name].truth.model_dump()
    for verdict in found.verdicts:
        answer = truth[str(verdict["prediction"])]
        if answer in WORDS and verdict["prediction"] != "P3":
            assert verdict["verdict"] == WORDS[answer], verdict
    if recipes()[name].planted_as == "words" and recipes()[name].planted_layers:
        assert found.dominant["language"] == recipes()[name].dominant
