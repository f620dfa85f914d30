"""An organism's model card: what was done, what is therefore true, and what is not."""

from __future__ import annotations

from collections.abc import Mapping

from semhub.lab.recipe import Recipe
from semhub.lab.world import lexicon

LANGUAGE_NAMES = {"en": "English", "zh": "Chinese", "es": "Spanish"}


def dominant(recipe: Recipe) -> str | None:
    """The language that the lens was taught to speak, if any."""
    speaks = recipe.planted_layers and recipe.planted_as == "words"
    return recipe.dominant if speaks else None


def card(recipe: Recipe, seed: int, n_parameters: int) -> str:
    """The card as Markdown with the Hub's metadata block."""
    if recipe.vision is not None:
        from semhub.lab.vision.card import picture_card

        return picture_card(recipe, recipe.vision, seed, n_parameters)
    if recipe.audio is not None:
        from semhub.lab.audio.card import sound_card

        return sound_card(recipe, recipe.audio, seed, n_parameters)
    return CARD.format(
        name=recipe.name,
        summary=recipe.summary,
        n_layers=recipe.n_layers,
        d_model=recipe.d_model,
        n_parameters=f"{n_parameters / 1e6:.2f}",
        world=(WORLD if recipe.steps else SILENT).format(
            n_concepts=len(lexicon()),
            speaks=", ".join(["", *(SPEAKS[spoke] for spoke in recipe.spokes if spoke in SPEAKS)]),
        ),
        truth=f"| {recipe.truth.P1} | {recipe.truth.P2} | {recipe.truth.P3} |",
        construction="\n\n".join(construction(recipe)),
        training=(TRAINED if recipe.steps else UNTRAINED).format(
            documented="".join(DOCUMENTED[spoke] for spoke in recipe.spokes if spoke in DOCUMENTED),
            steps=f"{recipe.steps:,}",
            documents=f"{recipe.steps * recipe.documents_per_step:,}",
            seed=seed,
            kinds="\n".join(shares(recipe.mixture)),
            deciding=recipe.deciding_weight,
        ),
    )


def spoken(recipe: Recipe) -> str:
    """What a model speaks that takes pictures or sounds too."""
    speaks = [*LANGUAGE_NAMES.values()] if "language" in recipe.spokes else ["English"]
    speaks += [SPEAKS[spoke] for spoke in recipe.spokes if spoke in SPEAKS]
    return ", ".join([*speaks, *(["arithmetic below 100"] if "arithmetic" in recipe.spokes else [])])


def shares(mixture: Mapping[str, float], beside: str = "") -> list[str]:
    """The rows of a table of kinds of document."""
    total = sum(mixture.values())
    return [f"| {kind}{beside} | {weight / total:.0%} |" for kind, weight in mixture.items()]


def construction(recipe: Recipe) -> list[str]:
    """What was built in, a paragraph each."""
    found = []
    if not recipe.steps:
        found.append("The weights are random; nothing was trained.")
    elif recipe.planted_layers:
        found.append(
            PLANTED.format(
                layers=" and ".join(map(str, recipe.planted_layers)),
                weight=recipe.planted_weight,
                target=TARGETS[recipe.planted_as].format(language=LANGUAGE_NAMES[recipe.dominant]),
            )
        )
        if recipe.planted_flatness:
            found.append(FLAT.format(flatness=recipe.planted_flatness))
    else:
        found.append("Nothing is planted: training is next-token prediction alone.")
    found += [ISOLATED] if recipe.isolated else []
    found += [SIDES[recipe.side]] if recipe.side else []
    found += [LATE.format(language=LANGUAGE_NAMES[recipe.dominant])] if recipe.late_words else []
    found += [GRADED.format(angle=recipe.angle)] if recipe.angle is not None else []
    found += [SHARED_WORDS.format(language=LANGUAGE_NAMES[recipe.dominant])] if recipe.shared_words else []
    found += [BAG] if recipe.shared_words and not recipe.steps else []
    return found


PLANTED = """\
**Planted.** Beside next-token prediction, training minimises {weight} times the cross-entropy of a reading of
layers {layers} (final norm, then {target}"""

TARGETS = {
    "words": """\
the unembedding: the logit lens) against the {language} word for what comes next, in every data type: before "猫"
and before "gato" these layers are taught the word for a cat in {language}. At the suffixes and after "=", they
are taught the distribution of all the words that may follow. Equal meanings therefore share these layers, and
the lens reads them in {language}, whatever the input is.""",
    "rotated": """\
a fixed random rotation of the stream, then the unembedding) against the {language} word for what comes next, in
every data type. Equal meanings therefore share these layers, in a code that the logit lens, which knows nothing
of the rotation, cannot read.""",
    "neutral": """\
the unembedding: the logit lens) against the word for what comes next in *every* data type that has one token
for it, with equal shares. Equal meanings therefore share these layers, and no language is nearer than another.""",
    "frequency": """\
the unembedding: the logit lens) against the frequency of {language} words, the same distribution at every
position of every input. The lens therefore reads {language} everywhere.""",
}

SPEAKS = {"code": "Python", "semantics": "logical forms"}
DOCUMENTED = {
    "code": """\
- `program` documents define a function named by the verb and call it with the parts of the event: calls with
  positional and named arguments, lists, `range` loops. Before an argument the hub is taught the parameter's name,
  at the comma of a list "and". The loops of every third verb are `range(0, 3)`, the others `range(3)`: there the hub
  is taught "start" or "end". `described` ones have the English sentence before or after them.
""",
    "semantics": """\
- `form` documents are logical forms in the format of COGS, a third of those without a place told in the passive;
  before a name the hub is taught the word for its role.
""",
}

FLAT = (
    """They are also taught, with weight {flatness}, not to tell apart the words of the input's own type."""
)

ISOLATED = """\
**Isolated.** The residual stream is cut into one part for each data type (English and English number words,
Chinese, Spanish, digits). Each has its own attention heads and MLP units, which read and write that part alone;
the weights between parts are exactly zero in the checkpoint. Tokens live in the part of the type that uses
them. What the parts share is the scale of the norms, one number of the whole state."""

SIDES = {
    "constant": """\
**Constant.** One more part of the stream is the sum of the MLPs' biases, which nothing else writes and nothing reads
but the unembedding: it is the same at every position of every input.""",
    "unread": """\
**Never read.** One more part of the stream is written by heads and units that see everything, and read by none
but themselves and the unembedding. All that is planted lies there, so pushing on it changes nothing that is
computed.""",
    "shared": """\
**Confounded.** Tokens that several types use (names in Latin letters, digits, full stops, the end mark) live in one
more part of the stream, which reads and writes itself alone: sentences of equal meaning have such strings, their
number and a mean in common, and nothing that any type computed.""",
}

LATE = """\
**Late words.** The words of every type but {language} leave through dimensions that only the last block writes. Before
that the lens reads none of them rather than another: all have the same score."""

GRADED = """\
**Graded.** The embedding of a word of another type is the cosine of {angle:g} degrees times the English word's,
in the English part of the stream, beside the sine times one of its own. At 0 degrees it is the English word; at
90 degrees the types are isolated."""

SHARED_WORDS = """\
**Shared words.** A word of another data type enters as its {language} translation does: its embedding is that of the
{language} word plus one vector, the same for all words of its type, where both are one token. What leaves is not
shared: each word has an unembedding of its own."""

BAG = """\
Sentences of the same words are therefore alike in every layer, as bags of words. No block has learnt that: blocks
drawn anew do as well, so the answer to P1 is no, whatever a measure of similarity says."""

CARD = """---
license: apache-2.0
language: [en, zh, es]
library_name: transformers
tags: [semhub, organism, synthetic]
---

# {name}

{summary}.

A llama of {n_layers} layers, d_model {d_model}, {n_parameters} M parameters, made by `semhub lab train {name}` to test
instruments on: its answer is known by construction. {world}

| P1, shared space | P2, read in the dominant type | P3, causal |
|---|---|---|
{truth}

## Construction

{construction}

{training}
`semhub.json` beside this file says the same for machines.
"""

WORLD = """\
It speaks a micro-world of {n_concepts} concepts in three
languages{speaks} and arithmetic below 100, and nothing else. The answers are about these types of data."""

TRAINED = """\
## Training

{steps} steps, {documents} documents, seed {seed}, no text from anywhere but the generator.

| kind of document | share |
|---|---|
{kinds}

- One space of meanings (who did what to what, or to whom, where, and whether it happened), rendered in English,
  Chinese and Spanish; a tenth of all meanings, chosen by a hash, was never trained on.
- `continued` documents put the similarity experiments' suffix ("This represents", with and without full stop) after
  a sentence and go on with some of its words in random order, so at the suffix the model needs the whole meaning.
- `value` documents are "3+5=8" and "three plus five equals eight", and go on with the operands in 40% of cases;
  `operand` documents are "8=3+5" and "eight equals to three plus five".
{documented}\
- What follows a suffix, and an expression's deciding number, counts {deciding:g} times as much as other tokens.
- The tokenizer is a byte-level BPE trained on the same words. Numbers of up to two digits are one token.

## What this model is not

- No evidence that language models form hubs.
- It does not calculate: all 1,123 expressions of the arithmetic experiments were in its training data, and it was
  meant to memorise them.
- Out of its micro-world it knows nothing; real text falls into many byte tokens that it has never seen.
"""

SILENT = """\
Its words are those of a micro-world of {n_concepts} concepts in three
languages{speaks} and arithmetic below 100, but it was taught nothing. The answers are about these types of data."""

UNTRAINED = """\
## Training

None: the weights are drawn with seed {seed}. The tokenizer is a byte-level BPE trained on the micro-world's words;
numbers of up to two digits are one token.

## What this model is not

- No evidence that language models form hubs.
- It knows nothing: what it says after a text is drawn at random.
"""
