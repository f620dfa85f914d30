"""The lab's tokenizer: a byte-level BPE of its own, trained on words of the micro-world.

Merges are learnt inside words only, so Chinese, which is written without spaces, still falls into words; rare
forms stay in several pieces. Numbers of one or two digits are one token; number words, hyphen included, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from semhub.data.continuations import arithmetic, suffix
from semhub.data.numbers import spell
from semhub.lab.world import LANGUAGES, meanings, render
from semhub.lab.world.lexicon import NAMES, NEGATION, NOUNS, NUMBERS, PLACES, PROPERTIES, VERBS

START, END = "<|start|>", "<|end|>"
# A word keeps its hyphens ("forty-two") and takes the space before it; at most two digits form one piece.
PIECES = r" ?\p{L}+(?:-\p{L}+)*|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+|\s+"


def train_tokenizer(vocab_size: int, seed: int, n_sentences: int) -> PreTrainedTokenizerFast:
    """A tokenizer with `vocab_size` tokens, `<|start|>` first of every encoding. Deterministic in `seed`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
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
    tokenizer.train_from_iterator(_corpus(seed, n_sentences), trainer)
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


def english_vocabulary() -> list[str]:
    """Every English form of a content word: what the planted hub speaks, all of them whole tokens."""
    nouns = [form for noun in NOUNS.values() for form in (noun.en, noun.en_plural)]
    verbs = [form for verb in VERBS.values() for form in (verb.en, verb.en_past)]
    numbers = [concept for concept, _, _ in NUMBERS.values()]
    return [*nouns, *verbs, *numbers, *NAMES, *PROPERTIES, *PLACES, NEGATION["en"]]
