"""Which of the user's data sets serve an experiment, and in which languages."""

from __future__ import annotations

from semhub.data import flores, gale, languages, pairs, paragraphs
from semhub.data.items import Paragraph, Parallel
from semhub.errors import DataError, UsageError
from semhub.types import Provenance, Request

ALIGNED = {"pairs": pairs.load, "flores": flores.load, "gale": gale.load}


def aligned(request: Request) -> dict[str, Parallel]:
    """Spoke language -> the aligned texts that hold it beside the dominant language; empty without such data.

    Raises UsageError when two data sets hold one language, or one asked for is in none.
    """
    dominant = request.dominant
    found: dict[str, tuple[str, Parallel]] = {}
    for name in (name for name in ALIGNED if name in request.data):
        # FLORES folders hold 200 languages: only the asked-for ones are read, where it has them.
        asked = request.languages if sum(other in request.data for other in ALIGNED) == 1 else ()
        texts = ALIGNED[name](request.data[name], dominant, asked)
        if dominant not in texts.texts:
            raise DataError(
                f"{request.data[name]} has {', '.join(texts.texts)}, not {dominant}. Give --dominant."
            )
        for code in texts.texts:
            if code == dominant or (request.languages and code not in request.languages):
                continue
            if code in found:
                raise UsageError(
                    f"--data {found[code][0]} and --data {name} both hold {code}. Give one of them."
                )
            found[code] = (name, texts)
    if not found and not any(name in request.data for name in ALIGNED):
        return {}
    chosen = languages.choose(tuple(found), request.languages, dominant, "the data given with --data")
    return {code: found[code][1] for code in chosen}


def running(
    request: Request, only: tuple[str, ...] = ()
) -> tuple[dict[str, list[Paragraph]], list[Provenance]]:
    """Language -> paragraphs, each language from the first of `paragraphs`, `pairs`, `flores`, `gale` that
    has it.

    only: these languages; without it the dominant one and the request's. Empty without such data.
    """
    wanted = only or ((request.dominant, *request.languages) if request.languages else ())
    texts: dict[str, list[Paragraph]] = {}
    provenance: list[Provenance] = []
    if "paragraphs" in request.data:
        loaded = paragraphs.load(request.data["paragraphs"], wanted, request.n or 10_000)
        for item in loaded.items:
            texts.setdefault(item.language, []).append(item)
        provenance.append(loaded.provenance)
    for name in (name for name in ALIGNED if name in request.data):
        sides = ALIGNED[name](request.data[name], request.dominant, () if only else request.languages)
        new = [code for code in sides.texts if code not in texts and (not wanted or code in wanted)]
        for code in new:
            texts[code] = [
                Paragraph(i, code, text) for i, text in zip(sides.ids, sides.texts[code], strict=True)
            ]
        if new:
            provenance.append(sides.provenance)
    return texts, provenance
