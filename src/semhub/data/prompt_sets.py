"""The prompt sets of language.steer: what a good word less a bad one does to the text that follows a prompt.

Source: Wu et al. 2024 (arXiv 2411.04986), section 5, with activation addition (Turner et al. 2023, arXiv 2308.10248).
Data: `--data prompts=FILE` (semhub.data.prompts), else sentences of the micro-world, which only show the workings.
"""

from __future__ import annotations

from semhub.data import languages, microworld, prompts
from semhub.data.items import NOT_SAMPLED, merge, subsample
from semhub.errors import DataError, UsageError
from semhub.types import Kept, PromptSet, Provenance, Request

PROMPTS = 1_000  # the paper's, per language
GENERATED = 12


def build(request: Request) -> tuple[list[PromptSet], list[Provenance]]:
    """One set for each language but the dominant one, steered by the words of the dominant and of its own language.

    Raises UsageError where the dominant language has no such words, DataError where no other language has prompts.
    """
    given = "prompts" in request.data
    most = (request.n or PROMPTS) if given else min(request.n or GENERATED, GENERATED)
    found = prompts.load(request.data["prompts"]) if given else prompts.generated(most, request.seed)
    words = prompts.good_and_bad()
    if request.dominant not in words:
        raise UsageError(
            f"there is no word for good and for bad in {languages.name(request.dominant)}; --dominant may be "
            f"{', '.join(words)}."
        )
    if not set(found.by_language) - {request.dominant}:
        raise DataError(
            f"{found.provenance.path} has prompts in {languages.name(request.dominant)} alone, which is the dominant "
            "language. Add prompts in another one."
        )
    asked = request.languages if given else microworld.others(request.languages, request.dominant)
    chosen = languages.choose(tuple(found.by_language), asked, request.dominant, "--data prompts")
    return [_set(found, code, most, request) for code in chosen], [found.provenance]


def _set(found: prompts.Prompts, code: str, most: int, request: Request) -> PromptSet:
    every, words = found.by_language[code], prompts.good_and_bad()
    drawn = [every[i] for i in subsample(len(every), most, request.seed)]
    directions = {"hypothesis": words[request.dominant]}
    if code in words:
        directions["native"] = words[code]
    return PromptSet(
        experiment="language.steer",
        variant=f"good-bad/{code}",
        prompts=drawn,
        directions=directions,
        kept=Kept(len(every), merge({NOT_SAMPLED: len(every) - len(drawn)})),
        source=f"{found.provenance.name}, {languages.name(code)}, steered by good and bad in "
        f"{languages.name(request.dominant)} and in {languages.name(code)}",
    )
