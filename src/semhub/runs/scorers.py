"""What scores the texts of a run: the models named with `--scorer NAME=MODEL`, and what stands in without them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from semhub import models
from semhub.data import counts, languages, prompts
from semhub.data.sentiment import word_lists
from semhub.measures.textscores import (
    PERPLEXITY,
    Adherence,
    Classified,
    Perplexity,
    Relevance,
    Scorer,
    WordList,
    words_of,
)
from semhub.models.base import Adapter
from semhub.models.textmodels import Classifier, Encoder, load_classifier, load_encoder
from semhub.runs.config import SCORERS, RunConfig
from semhub.types import Request

Model = Classifier | Encoder | Adapter


def make_scorers(adapter: Adapter, config: RunConfig) -> list[Scorer]:
    """One for each score, with nothing counted yet: sentiment, perplexity, relevance (if a model is named), adherence.

    Raises ModelError for a model that cannot be read, UsageError for a classifier of something else.
    """
    found = _loaded(tuple(sorted(config.scorers.items())), config.device, config.dtype)
    classifier, other, encoder = (found.get(name) for name in SCORERS)
    scorers: list[Scorer] = []
    scorers.append(Classified(classifier) if isinstance(classifier, Classifier) else WordList(word_lists()))
    own = not isinstance(other, Adapter)
    scorers.append(Perplexity(other if isinstance(other, Adapter) else adapter, own, config.batch_tokens))
    if isinstance(encoder, Encoder):
        scorers.append(Relevance(encoder))
    known = _known_words(tuple(sorted(config.data.items())), config.seed)
    scorers.append(Adherence(languages.scripts(), known))
    return scorers


def describe_scorers(adapter: Adapter, config: RunConfig) -> list[dict[str, Any]]:
    """For the manifest: each score, what gives it, and the model's revision and weights."""
    found = _loaded(tuple(sorted(config.scorers.items())), config.device, config.dtype)
    out = []
    for one in make_scorers(adapter, config):
        name = "fluency" if one.measure == PERPLEXITY else one.measure
        model = found.get(name)
        facts = {"measure": one.measure, "scorer": one.name, "model": config.scorers.get(name, "")}
        if isinstance(model, Adapter):
            facts |= {"revision": model.revision, "weights_sha256": model.weights_sha256()}
        elif model is not None:
            read = model.text_model
            facts |= {"revision": read.revision, "weights_sha256": read.weights_sha256}
        out.append(facts)
    return out


@lru_cache(maxsize=1)
def _loaded(scorers: tuple[tuple[str, str], ...], device: str, dtype: str) -> dict[str, Model]:
    found: dict[str, Model] = {}
    for name, model in scorers:
        if name == "sentiment":
            found[name] = load_classifier(model, device=device, dtype=dtype)
        elif name == "relevance":
            found[name] = load_encoder(model, device=device, dtype=dtype)
        else:
            found[name] = models.load(model, device=device, dtype=dtype)
    return found


@lru_cache(maxsize=1)
def _known_words(data: tuple[tuple[str, str], ...], seed: int) -> dict[str, frozenset[str]]:
    """Language -> its words in the texts for token counts, and in the prompts."""
    request = Request(data=dict(data), seed=seed)
    texts: dict[str, Iterable[str]] = dict(counts.texts(request)[0])
    if "prompts" in request.data:
        for code, some in prompts.load(request.data["prompts"]).by_language.items():
            texts[code] = [*texts.get(code, ()), *(prompt.bare.text for prompt in some)]
    return {code: frozenset(word for text in some for word in words_of(text)) for code, some in texts.items()}
