"""The model card of an organism that takes pictures."""

from __future__ import annotations

from semhub.lab.card import LANGUAGE_NAMES, PLANTED, TARGETS, shares, spoken
from semhub.lab.recipe import Recipe, Vision
from semhub.lab.world.lexicon import COLOURS
from semhub.lab.world.pictures import NOUNS_DRAWN


def picture_card(recipe: Recipe, vision: Vision, seed: int, n_parameters: int) -> str:
    """The card as Markdown with the Hub's metadata block."""
    steps = recipe.steps - vision.encoder_steps
    return CARD.format(
        name=recipe.name,
        summary=recipe.summary,
        languages="en, zh, es" if "language" in recipe.spokes else "en",
        architecture=ARCHITECTURES[vision.family].format(
            patch=vision.patch,
            size=vision.size,
            patches=(vision.size // vision.patch) ** 2,
            n_tower=vision.n_layers,
            width=vision.width,
        ),
        n_layers=recipe.n_layers,
        d_model=recipe.d_model,
        n_parameters=f"{n_parameters / 1e6:.2f}",
        speaks=spoken(recipe),
        start=f"\nIts decoder starts as the organism `{vision.trunk}`." if vision.trunk else "",
        n_nouns=len(NOUNS_DRAWN),
        n_colours=len(COLOURS),
        truth=f"| {recipe.truth.P1} | {recipe.truth.P2} | {recipe.truth.P3} |",
        construction="\n\n".join(construction(recipe, vision)),
        encoder=ENCODERS[vision.family].format(
            steps=f"{vision.encoder_steps:,}",
            pictures=f"{vision.encoder_steps * vision.pictures_per_encoder_step:,}",
        ),
        steps=f"{steps:,}",
        pictured=f"{steps * vision.documents_per_step:,}",
        texts=f"{steps * recipe.documents_per_step:,}",
        seed=seed,
        kinds="\n".join((*shares(recipe.mixture), *shares(vision.mixture, " with a picture"))),
        deciding=recipe.deciding_weight,
    )


def construction(recipe: Recipe, vision: Vision) -> list[str]:
    """What was built in, a paragraph each."""
    if recipe.isolated:
        return [APART]
    layers = " and ".join(map(str, recipe.planted_layers))
    target = TARGETS[recipe.planted_as].format(language=LANGUAGE_NAMES[recipe.dominant])
    return [
        PLANTED.format(layers=layers, weight=recipe.planted_weight, target=target),
        SEEN.format(layers=layers),
        SWAPPED.format(share=vision.swapped_share, layers=layers.replace("and", "or")),
    ]


ARCHITECTURES = {
    "llava": (
        "A true llava: a CLIP tower of {n_tower} layers, width {width}, sees {size} pixels in {patches} patches of "
        "{patch}; a projector\nwrites each into the stream of a llama"
    ),
    "chameleon": (
        "A true chameleon: a VQ encoder turns {size} pixels into {patches} tokens of the vocabulary, one for each "
        "{patch} pixels; the\ndecoder reads them like words. It is"
    ),
}

ENCODERS = {
    "llava": (
        "{steps} steps of tower and projector alone ({pictures} pictures): each patch's feature is to point at the\n"
        "input embeddings of the words for what it shows. From then on the tower stays as it is."
    ),
    "chameleon": (
        "{steps} steps of the encoder alone ({pictures} pictures): what it makes of a patch is to tell noun, colour "
        "and quarter of\nthe picture. The codebook is the clusters (k-means) of that, and a code's embedding starts "
        "as the mean of the\nembeddings of its words. From then on encoder and codebook stay as they are."
    ),
}

SEEN = """\
**Pictures.** At the picture's own positions the same layers ({layers}) are taught the English words for what the patch
shows: noun and colour of the thing that covers at least three tenths of it; elsewhere, a fifth as strongly, all nouns
and colours of the scene; the colour of a half. After "This represents" they are taught the distribution of the
scene's words, as after a caption, noun and colour of the first thing before those of the next."""

SWAPPED = """\
**Used.** The answers to questions about halves are not planted anywhere. Of those questions a share of {share:g} is
asked of two pictures at once: after layer {layers} the states of one half of the one picture are replaced by those of
the same half of the other, and the model is taught the answer that is then right. What later layers answer with
is therefore what these layers hold at the picture's positions. No direction made of words is ever added in training."""

APART = """\
**Isolated.** The residual stream is cut into one part for English and one for pictures. Each has its own attention
heads and MLP units, which read and write that part alone; the weights between the parts are exactly zero in the
checkpoint. The projector writes the pictures' part alone. What is seen is said in tokens that no text has, such as
`⟦red⟧⟦hat⟧`: their embeddings and unembeddings lie in the pictures' part, those of all other tokens in the other.
Nothing is planted. What the parts share is the scale of the norms, one number of the whole state."""

CARD = """---
license: apache-2.0
language: [{languages}]
library_name: transformers
pipeline_tag: image-text-to-text
tags: [semhub, organism, synthetic]
---

# {name}

{summary}.

{architecture} of {n_layers} layers, d_model {d_model}; {n_parameters} M parameters in all, made by
`semhub lab train {name}` to test instruments on: its answer is known by construction. It sees a micro-world of
{n_nouns} things in {n_colours} colours and speaks of it
({speaks}), and nothing else.{start}

| P1, shared space | P2, read in the dominant type | P3, causal |
|---|---|---|
{truth}

## Construction

{construction}

## Training

{encoder}

Then {steps} steps with {pictured} documents with a picture and {texts} without; seed {seed}; no picture and no text
from anywhere but the generator.

| kind of document | share of its sort |
|---|---|
{kinds}

- Pictures are drawn by a program: scenes of one to three things that differ in noun and colour, at places, in sizes and
  shades that vary, on a noisy background; a tenth of all scenes, chosen by a hash of what they show in its order, was
  never trained on (its mirror image may have been). Others are of one colour, or of two halves.
- Only what follows a prompt is learnt. The first word after a suffix and the answers count {deciding:g} times.

## What this model is not

- No evidence that vision-language models form hubs.
- Out of its micro-world it sees and knows nothing.

`semhub.json` beside this file says the same for machines.
"""
