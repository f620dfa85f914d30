"""The lab's tokenizer: a byte-level BPE of its own, trained on words of the micro-world.

Merges are learnt inside words only, so Chinese, which is written without spaces, still falls into words; rare
forms stay in several pieces. Numbers of one or two digits are one token; number words, hyphen included, too.
Recipes with facts, programs or logical forms have a tokenizer that knows their words too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from semhub.data.continuations import arithmetic, suffix
from semhub.data.numbers import OPERATORS, spell
from semhub.lab.world import LANGUAGES, forms, meanings, render
from semhub.lab.world.facts import FACTS, state
from semhub.lab.world.lexicon import (
    NAMES,
    NEGATION,
    NOUNS,
    NUMBERS,
    PARAMETERS,
    PLACES,
    PROPERTIES,
    ROLES,
    VERBS,
    fact_lexicon,
)
from semhub.lab.world.programs import call, loop

START, END = "<|start|>", "<|end|>"
# A word keeps its hyphens ("forty-two") and takes the space before it; at most two digits form one piece.
PIECES = r" ?\p{L}+(?:-\p{L}+)*|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+|\s+"
# In programs every sign stands alone: the token that opens a call or a list is not the quote after it.
PROGRAM_PIECES = r" ?\p{L}+(?:-\p{L}+)*|\p{N}{1,2}| ?[^\s\p{L}\p{N}]|\s+"


def train_tokenizer(
    vocab_size: int, seed: int, n_sentences: int, kinds: Collection[str] = ()
) -> PreTrainedTokenizerFast:
    """A tokenizer with `vocab_size` tokens, `<|start|>` first of every encoding. Deterministic in `seed`.

    kinds: of documents; those of facts, programs and forms add their words, others change nothing. With all three,
    about 2,360 tokens hold every word.
    """
    tokenizer = Tokenizer(models.BPE())
    pattern = PROGRAM_PIECES if _has(kinds, "program") else PIECES
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = chain(_corpus(seed, n_sentences), _further(seed, n_sentences, kinds))
    tokenizer.train_from_iterator(corpus, trainer)
    start = tokenizer.token_to_id(START)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, start)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=END, model_max_length=1024
    )


def _corpus(seed: int, n_sentences: int) -> Iterator[str]:
    for meaning in meanings(n_sentences, seed, "train"):
        yield render(meaning, "en").text
        yield render(meaning, "es").text
        sentence, at = render(meaning, "zh"), 0
        for word in sentence.words:
            yield from sentence.text[at : word.start]
            yield word.text
            at = word.end
        yield sentence.text[at:]
    for language in LANGUAGES:
        yield from [suffix(language)] * n_sentences
    for number in range(100):
        for form in (str(number), spell(number), f" {spell(number)}"):
            yield from [form] * (n_sentences // 10)
    yield from [" plus", " times", arithmetic("words"), " to"] * n_sentences
    for spoken in english_vocabulary():
        yield from [f" {spoken}"] * (n_sentences // 10)


def _has(kinds: Collection[str], name: str) -> bool:
    """Whether there are kinds of that name, `name/...` or `described/name`."""
    return any(kind.split("/")[0] == name or kind == f"described/{name}" for kind in kinds)


def _further(seed: int, n_sentences: int, kinds: Collection[str]) -> Iterator[str]:
    spoken: list[str] = []
    if _has(kinds, "fact") or _has(kinds, "fact-shared"):
        spoken += [words["en"] for words in fact_lexicon().values()]
        yield from _facts(max(1, n_sentences // 20))
    if _has(kinds, "program"):
        parameters = [name for names in PARAMETERS.values() for name in names]
        spoken += [*parameters, "and", "times", "start", "end"]
        for meaning in meanings(n_sentences, seed, "train"):
            yield call(meaning).text
            yield loop(meaning, keywords=True).text
            yield suffix("program")
        for bare in ("def", "not", "for", *parameters, *NAMES, *PROPERTIES, *NOUNS, *PLACES, *VERBS):
            yield from [bare] * (n_sentences // 10)
    if any(kind.endswith("/words_zh") for kind in kinds):
        chinese = [spell(number, "zh") for number in range(100)]
        chinese += [*OPERATORS["zh"].values(), arithmetic("words", "zh")]
        for word in chinese:
            yield from [word] * (n_sentences // 10)
    if _has(kinds, "form"):
        spoken += [*ROLES, "and"]
        for meaning in meanings(n_sentences, seed, "train"):
            yield forms.form(meaning).text
            yield forms.sentence(meaning).text
    for word in spoken:
        yield from [f" {word}"] * (n_sentences // 10)


def _facts(times: int) -> Iterator[str]:
    for fact in FACTS * times:
        yield state(fact, "en").text
        yield state(fact, "es").text
        stated, at = state(fact, "zh"), 0
        for word in stated.words:
            yield from stated.text[at : word.start]
            yield word.text
            at = word.end


def english_vocabulary() -> list[str]:
    """Every English form of a content word: what the planted hub speaks, all of them whole tokens."""
    nouns = [form for noun in NOUNS.values() for form in (noun.en, noun.en_plural)]
    verbs = [form for verb in VERBS.values() for form in (verb.en, verb.en_past)]
    numbers = [concept for concept, _, _ in NUMBERS.values()]
    return [*nouns, *verbs, *numbers, *NAMES, *PROPERTIES, *PLACES, NEGATION["en"]]
