"""What scores the texts of a run: the models that are named, and what stands in without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.models.test_textmodels import SIZE, bert, saved
from transformers import BertConfig, BertModel

from engine import one_line, semhub
from semhub.errors import UsageError
from semhub.models.base import Adapter
from semhub.runs import prompts
from semhub.runs.config import RunConfig, make_config
from semhub.runs.scorers import describe_scorers, make_scorers
from semhub.types import Content, Kept, Prompt, PromptSet
from tiny import cached_checkpoint


def test_without_models(adapter: Adapter, counts: Path) -> None:
    config = RunConfig(data={"counts": str(counts)})
    found = make_scorers(adapter, config)
    assert [one.measure for one in found] == ["sentiment", "perplexity", "adherence"]
    assert "no model" in found[0].name
    assert "the model itself" in found[1].name
    facts = describe_scorers(adapter, config)
    assert json.dumps(facts)
    assert [one["model"] for one in facts] == ["", "", ""]


def test_with_models(adapter: Adapter, counts: Path, tmp_path: Path) -> None:
    scorers = {
        "sentiment": bert(tmp_path / "classifier"),
        "fluency": str(cached_checkpoint("gpt2")),
        "relevance": saved(BertModel(BertConfig(**SIZE)), tmp_path / "encoder"),
    }
    config = RunConfig(data={"counts": str(counts)}, scorers=scorers, device="cpu", dominant="en")
    facts = describe_scorers(adapter, config)
    assert [one["measure"] for one in facts] == ["sentiment", "perplexity", "relevance", "adherence"]
    assert [one["model"] for one in facts] == [*scorers.values(), ""]
    assert all(len(one["weights_sha256"]) == 64 for one in facts[:3])
    some = [
        Prompt(f"p{i}", f"p{i}", Content.of(text), "es", Content.of(text))
        for i, text in enumerate(
            ["El río estaba frío", "la casa es grande", "\x00\u202e <s>", "Ángel dijo: ¿sí?"]
        )
    ]
    directions = {"hypothesis": ("boat", "home")}
    one = PromptSet(
        "language.steer", "good-bad/es", some, directions, Kept(4), "made", new_tokens=6, n_seeds=1
    )
    rows, kept, _ = prompts.measure(adapter, one, config, lambda _: None)
    assert not kept.dropped
    assert set(rows["measure"]) == {"sentiment", "perplexity", "relevance", "adherence"}
    within = rows[rows["measure"].isin(["sentiment", "relevance"])]["value"]
    assert within.between(-1, 1).all()
    assert within.nunique() > 4


def test_a_classifier_of_something_else_is_refused(adapter: Adapter, tmp_path: Path) -> None:
    folder = bert(tmp_path / "b", id2label={0: "joy", 1: "fear"}, label2id={"joy": 0, "fear": 1})
    with pytest.raises(UsageError, match="joy, fear"):
        make_scorers(adapter, RunConfig(scorers={"sentiment": folder}, device="cpu"))


@pytest.mark.parametrize("scorers", [{"tone": "x"}, {"sentiment": " "}])
def test_unknown_scorers_are_a_usage_error(scorers: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="--scorer"):
        make_config({"scorers": scorers})


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["tone=x"], "sentiment, fluency, relevance"),
        (["sentiment"], "write NAME=MODEL"),
        (["sentiment="], "write NAME=MODEL"),
        (["fluency=a", "fluency=b"], "given twice"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    given: list[str], what: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = [part for one in given for part in ("--scorer", one)]
    one_line(semhub(capfd, "run", "mini", *options, "--out", tmp_path / "run"), 2, "--scorer", what)
