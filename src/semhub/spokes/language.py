"""The language spoke: other languages against the dominant one, on generated sentences or on real texts.

Source of the experiments: Wu et al. 2024, arXiv 2411.04986. Data: `--data pairs|flores|gale` (similarity),
`paragraphs` with `cedict` (lens), `paragraphs` (trend); without them sentences of the micro-world.
"""

from __future__ import annotations

from collections.abc import Callable

from semhub.data import (
    cedict,
    continuations,
    language_steer,
    languages,
    microworld,
    overlap,
    paragraphs,
    prompt_sets,
    real,
    segment,
)  # fmt: skip
from semhub.data.items import NOT_SAMPLED, Paragraph, Parallel, merge, subsample
from semhub.data.negatives import hard_negatives
from semhub.errors import UsageError
from semhub.types import (
    CaseSet,
    Content,
    Experiment,
    Kept,
    LensCase,
    LensSet,
    Pair,
    PairSet,
    Provenance,
    Request,
    SteerSet,
    Text,
    TextSet,
)  # fmt: skip

_Sides = tuple[str, str, tuple[str, ...]]  # a, b and the negatives of b

NAME = "language"
GENERATED = 1_000
SENTENCES = 10_000
PARAGRAPHS = 1_000

REPEATED = "repeats an earlier text"
NOT_CHINESE = "not a Chinese word"
NOT_LISTED = "not in the dictionary"
NO_GLOSS = "no gloss of one word"
AT_START = "word at the start of the text"


def similarity(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Four pair sets for each language: all pairs and the zero-overlap subset, bare and continued."""
    sources = real.aligned(request)
    n = request.n or SENTENCES
    if not sources:
        generated = microworld.parallel(request.n or GENERATED, request.seed)
        sources = dict.fromkeys(microworld.others(request.languages, request.dominant), generated)
    sets: list[CaseSet] = []
    for code, texts in sources.items():
        sets.extend(_pair_sets(texts, code, request.dominant, n, request.seed))
    return sets, list({id(texts): texts.provenance for texts in sources.values()}.values())


def _pair_sets(texts: Parallel, code: str, dominant: str, n: int, seed: int) -> list[PairSet]:
    near = texts.negatives.get(dominant) or hard_negatives(texts.texts[dominant], dominant, seed)
    drawn = subsample(len(texts.ids), n, seed)
    seen: set[str] = set()
    indices = []
    for i in drawn:
        both = {texts.texts[code][i], texts.texts[dominant][i]}
        if not both & seen:
            indices.append(i)
        seen |= both
    dropped = merge(
        texts.kept.dropped, {NOT_SAMPLED: len(texts.ids) - len(drawn), REPEATED: len(drawn) - len(indices)}
    )
    free, reasons = [], []
    for i in indices:
        a, b = texts.texts[code][i], texts.texts[dominant][i]
        reason = overlap.shared(a, b)
        if not reason and not (overlap.strip_punctuation(a, code) and overlap.strip_punctuation(b, dominant)):
            reason = overlap.NO_WORDS
        if reason:
            reasons.append(reason)
        else:
            free.append(i)
    fewer = merge(dropped, {reason: reasons.count(reason) for reason in sorted(set(reasons))})
    forms: dict[str, Callable[[str, str], str]] = {
        "bare": continuations.bare,
        "continued": continuations.continued,
    }
    plain = {i: (texts.texts[code][i], texts.texts[dominant][i], near[i]) for i in indices}
    stripped = {i: _strip(*plain[i], code, dominant) for i in free}
    sets = []
    for subset, sides, counts in (("all", plain, dropped), ("zero_overlap", stripped, fewer)):
        for form, write in forms.items():
            pairs = [
                Pair(
                    case_id=texts.ids[i],
                    cluster_id=texts.clusters[i] if texts.clusters else texts.ids[i],
                    a=Content.of(write(a, code)),
                    b=Content.of(write(b, dominant)),
                    negatives=tuple(Content.of(write(one, dominant)) for one in others),
                )
                for i, (a, b, others) in sides.items()
            ]
            sets.append(
                PairSet(
                    experiment="language.similarity",
                    variant=f"{code}/{subset}/{form}",
                    pairs=pairs,
                    kept=Kept(texts.kept.given, counts),
                    source=f"{texts.name}, {languages.name(code)} and {languages.name(dominant)}",
                    deciding=subset == "zero_overlap" and form == "continued",
                )
            )
    return sets


def _strip(a: str, b: str, others: tuple[str, ...], code: str, dominant: str) -> _Sides:
    """Both sides and the negatives without punctuation; a negative must still differ from b, and from a in
    every word, for otherwise it would test overlap and not meaning.
    """
    bare = overlap.strip_punctuation(b, dominant)
    near = [overlap.strip_punctuation(one, dominant) for one in others if not overlap.shared(a, one)]
    return (
        overlap.strip_punctuation(a, code),
        bare,
        tuple(one for one in dict.fromkeys(near) if one not in ("", bare)),
    )


def lens(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Cases before each translatable word: of Chinese paragraphs with CC-CEDICT, else of generated sentences.

    CC-CEDICT translates into English, so with it English is the dominant side whatever the request says.
    Raises UsageError when only one of the two is there.
    """
    if "cedict" in request.data and request.languages and "zh" not in request.languages:
        raise UsageError("--data cedict serves Chinese text. Add zh to --languages or leave cedict out.")
    texts, provenance = real.running(request, only=("zh",)) if "cedict" in request.data else ({}, [])
    if "cedict" in request.data:
        if "zh" not in texts:
            raise UsageError(
                "language.lens has --data cedict and no Chinese text. Add --data paragraphs=FILE."
            )
        dictionary = cedict.load(request.data["cedict"])
        return list(_dictionary_sets(texts["zh"], dictionary, request)), [*provenance, dictionary.provenance]
    if "paragraphs" in request.data and "zh" in real.running(request)[0]:
        raise UsageError(
            "language.lens has Chinese paragraphs and no dictionary. Add --data cedict=cedict_ts.u8."
        )
    sets: list[CaseSet] = []
    for code in microworld.others(request.languages, request.dominant):
        cases, kept = microworld.lens_cases(request.n or GENERATED, request.seed, code, request.dominant)
        sets.append(
            LensSet(
                experiment="language.lens",
                variant=code,
                cases=cases,
                kept=kept,
                source=f"generated sentences, {languages.name(code)}",
                dominant_language=request.dominant,
                surface_language=code,
                deciding=True,
                special_tokens=False,
            )
        )
    return sets, [microworld.provenance()]


def _dictionary_sets(texts: list[Paragraph], dictionary: cedict.Cedict, request: Request) -> list[LensSet]:
    drawn = [texts[i] for i in subsample(len(texts), request.n or PARAGRAPHS, request.seed)]
    one: list[LensCase] = []
    best: list[LensCase] = []
    dropped: dict[str, int] = {}
    dropped_best: dict[str, int] = {}
    given = 0
    for paragraph in drawn:
        text = paragraphs.cut(paragraph.text)
        content = Content((Text(text),))
        before = ""
        for start, end in segment.segments(text):
            word = text[start:end]
            chinese = overlap.has_chinese(word)
            gloss = dictionary.first_word(word) if chinese else ""
            echo, before = before, gloss or ("" if chinese else before)
            given += 1
            single = dictionary.single_words(word) if chinese else ()
            reason = (
                NOT_CHINESE if not chinese
                else NOT_LISTED if word not in dictionary.glosses
                else AT_START if not start
                else ""
            )  # fmt: skip
            words = {"surface": (word,)} | ({"echo": (echo,)} if echo else {})
            case_id = f"{paragraph.id}:{start}"
            for cases, candidates, counts in ((one, (gloss,), dropped), (best, single, dropped_best)):
                why = reason or ("" if candidates and candidates[0] else NO_GLOSS)
                if why:
                    counts[why] = counts.get(why, 0) + 1
                else:
                    scored = {"dominant": candidates, **words}
                    cases.append(LensCase(case_id, paragraph.id, content, start, scored, next_word=word))
    source = f"{len(drawn)} of {len(texts)} paragraphs, Chinese, words by jieba, glosses by CC-CEDICT"
    return [
        LensSet(
            experiment="language.lens",
            variant=variant,
            cases=cases,
            kept=Kept(given, counts),
            source=f"{source} ({how})",
            dominant_language="en",
            surface_language="zh",
            deciding=variant == "zh",
            special_tokens=False,
        )
        for variant, cases, counts, how in (
            ("zh", one, dropped, "the first gloss of one word"),
            ("zh/best_gloss", best, dropped_best, "the best of all glosses, as in the paper"),
        )
    ]


def trend(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """One set of texts for each input language, the dominant one first."""
    texts, provenance = real.running(request)
    n = request.n or SENTENCES
    if not texts:
        others = microworld.others(request.languages, request.dominant)
        generated = microworld.texts(request.n or GENERATED, request.seed)
        texts = {
            code: [Paragraph(f"micro-world:{i}", code, text) for i, text in enumerate(generated[code])]
            for code in (request.dominant, *others)
        }
        provenance = [microworld.provenance()]
    chosen = languages.choose(tuple(texts), request.languages, request.dominant, "the text given with --data")
    sets: list[CaseSet] = []
    for code in (request.dominant, *chosen):
        if code not in texts:
            continue
        drawn = [texts[code][i] for i in subsample(len(texts[code]), n, request.seed)]
        sets.append(
            TextSet(
                experiment="language.trend",
                variant=code,
                texts=[(item.id, Content.of(paragraphs.cut(item.text))) for item in drawn],
                kept=Kept(len(texts[code]), merge({NOT_SAMPLED: len(texts[code]) - len(drawn)})),
                source=f"{drawn[0].id.rsplit(':', 1)[0]}, {languages.name(code)}",
            )
        )
    return sets, provenance


def steer(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Two sets for each language: a sentence steered by one word's change in the dominant language, which decides,
    and prompts steered by good and bad, whose continuations are scored.

    Of the first, generated sentences only: the difference needs sentences that differ in a single word. The second
    takes `--data prompts`.
    """
    continued, provenance = prompt_sets.build(request)
    known = request.languages
    if "prompts" in request.data and known:
        known = tuple(code for code in known if code in microworld.LANGUAGES) or (request.dominant,)
    sets: list[CaseSet] = []
    for code in microworld.others(known, request.dominant):
        cases, kept = language_steer.cases(request.n or GENERATED, request.seed, code, request.dominant)
        sets.append(
            SteerSet(
                experiment="language.steer",
                variant=f"words/{code}",
                cases=cases,
                kept=kept,
                source=f"generated sentences, {languages.name(code)}, steered in {languages.name(request.dominant)}",
                deciding=True,
            )
        )
    return [*sets, *continued], list(dict.fromkeys([microworld.provenance(), *provenance]))


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        id="language.similarity",
        spoke=NAME,
        prediction="P1",
        title="Sentences of equal meaning in two languages",
        question=(
            "Is a sentence's state closer to that of its translation into the dominant language than to "
            "those of other sentences, where the two share no word and no digit?"
        ),
        if_false=(
            "Translations would be no closer than unrelated sentences: the score would stay inside the "
            "band of shuffled pairs, hard negatives would lie as close, and untrained copies of the model"
            " would do as well."
        ),
        build=similarity,
        variants={
            "all": "every pair",
            "zero_overlap": "pairs that share no word and no digit, without punctuation",
            **continuations.FORMS,
        },
    ),
    Experiment(
        id="language.lens",
        spoke=NAME,
        prediction="P2",
        title="The next word, read in the dominant language",
        question=(
            "While the model reads text in another language, is the coming word readable in the dominant "
            "language at intermediate layers, before its own word takes over at the output?"
        ),
        if_false=(
            "The coming word's own form would lead at every layer, or its translation would be no more "
            "probable than the translations of the other words."
        ),
        build=lens,
        variants={"best_gloss": "the best of all glosses of a word, as in the paper"},
    ),
    Experiment(
        id="language.trend",
        spoke=NAME,
        prediction="P2",
        title="The languages the layers speak",
        question=(
            "How much of the lens's probability goes to each language at each layer, for texts in several"
            " languages?"
        ),
        if_false="At every layer most of the probability would be on the language of the text.",
        build=trend,
    ),
    Experiment(
        id="language.steer",
        spoke=NAME,
        prediction="P3",
        title="A word changed in the dominant language",
        question=(
            "At the end of a sentence in another language, does the difference of two sentences in the dominant "
            "language that differ in one word move the output towards that word in the other language?"
        ),
        if_false=(
            "The other language's word would gain no more than with differences of other states of the same size, "
            "with the change of another word, or with another sentence's change, or the text would fall apart."
        ),
        build=steer,
        variants={
            "words": "one word of a sentence is changed",
            "good-bad": "the paper's: the direction from bad to good while a review is continued",
        },
    ),
)
