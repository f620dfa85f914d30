"""The model card of an organism that hears."""

from __future__ import annotations

from semhub.lab.card import LANGUAGE_NAMES, PLANTED, TARGETS, shares, spoken
from semhub.lab.recipe import Audio, Recipe
from semhub.lab.world.sounds import ANIMALS_HEARD, MAMMALS, OTHERS


def sound_card(recipe: Recipe, audio: Audio, seed: int, n_parameters: int) -> str:
    """The card as Markdown with the Hub's metadata block."""
    steps = recipe.steps - audio.encoder_steps
    return CARD.format(
        name=recipe.name,
        summary=recipe.summary,
        languages="en, zh, es" if "language" in recipe.spokes else "en",
        n_encoder=audio.n_layers,
        width=audio.width,
        seconds=audio.seconds,
        n_layers=recipe.n_layers,
        d_model=recipe.d_model,
        n_parameters=f"{n_parameters / 1e6:.2f}",
        n_animals=len(ANIMALS_HEARD),
        n_mammals=len(MAMMALS),
        others=", ".join(OTHERS),
        speaks=spoken(recipe),
        start=f"\nIts llama starts as the organism `{audio.trunk}`." if audio.trunk else "",
        truth=f"| {recipe.truth.P1} | {recipe.truth.P2} | {recipe.truth.P3} |",
        construction="\n\n".join(construction(recipe, audio)),
        n_sounds=f"{audio.n_sounds:,}",
        encoder_steps=f"{audio.encoder_steps:,}",
        drawn=f"{audio.encoder_steps * audio.sounds_per_encoder_step:,}",
        steps=f"{steps:,}",
        sounded=f"{steps * audio.documents_per_step:,}",
        texts=f"{steps * recipe.documents_per_step:,}",
        seed=seed,
        kinds="\n".join((*shares(recipe.mixture), *shares(audio.mixture, " with a sound"))),
        deciding=recipe.deciding_weight,
    )


def construction(recipe: Recipe, audio: Audio) -> list[str]:
    """What was built in, a paragraph each."""
    if recipe.isolated:
        return [APART]
    layers = " and ".join(map(str, recipe.planted_layers))
    target = TARGETS[recipe.planted_as].format(language=LANGUAGE_NAMES[recipe.dominant])
    return [
        PLANTED.format(layers=layers, weight=recipe.planted_weight, target=target),
        HEARD.format(layers=layers),
        SWAPPED.format(share=audio.swapped_share, words=audio.word_steps, layers=layers.replace("and", "or")),
    ]


HEARD = """\
**Sounds.** At the sound's own positions the same layers ({layers}) are taught the English word for the animal in whose
time the position's window lies; both words where it lies in the time of both. After "This represents" they are taught
the distribution of the animals' words, as after a label, the first animal before the next."""

SWAPPED = """\
**Used.** The answers to the question whether an animal is a mammal are not planted anywhere. Of those questions a share
of {share:g} is asked of two sounds at once, a mammal's and another's: after layer {layers} the states at the one
sound's positions are replaced by those at the other's, and the model is taught the answer that is then right. What
later layers answer with is therefore what these layers hold at the sound's positions. In the last {words} steps only
the part of those states is replaced that the unembedding rows of the animals' words span: what the answer is made of
then is what the lens reads there. No direction made of words is ever added in training."""

APART = """\
**Isolated.** The residual stream is cut into one part for English and one for sounds. Each has its own attention heads
and MLP units, which read and write that part alone; the weights between the parts are exactly zero in the checkpoint.
The projection writes the sounds' part alone. What is heard is said in tokens that no text has, such as `⟦dog⟧⟦frog⟧`
and `⟦Yes⟧`: their embeddings and unembeddings lie in the sounds' part, those of all other tokens in the other.
Nothing is planted. What the parts share is the scale of the norms, one number of the whole state."""

CARD = """---
license: apache-2.0
language: [{languages}]
library_name: transformers
pipeline_tag: audio-text-to-text
tags: [semhub, organism, synthetic]
---

# {name}

{summary}.

A true SALMONN, small: a Whisper encoder and BEATs, each of {n_encoder} layers and width {width}, hear {seconds}
seconds; a Q-Former of 2 layers makes one feature of each third of a second, which a projection writes into the stream
of a llama of {n_layers} layers, d_model {d_model}; {n_parameters} M parameters in all, made by
`semhub lab train {name}` to test instruments on: its answer is known by construction. `transformers` does not
know the architecture: `semhub` reads it. It hears the calls of {n_animals} animals, {n_mammals} of them mammals
(the others: {others}), and speaks of them
({speaks}), and nothing else.{start}

| P1, shared space | P2, read in the dominant type | P3, causal |
|---|---|---|
{truth}

## Construction

{construction}

## Training

{encoder_steps} steps of all but the llama alone ({drawn} sounds): each window's feature is to point at the
input embedding of the word for the animal in whose time it lies. From then on the encoders and the Q-Former stay as
they are.

Then {steps} steps with {sounded} documents with a sound and {texts} without; seed {seed}; no sound and no text from
anywhere but the generator.

| kind of document | share of its sort |
|---|---|
{kinds}

- Sounds are made by a program: calls of harmonics and noise through resonances, one animal, or one in the first half
  and another in the second, with pitch, tempo, loudness, pauses and background noise that vary; no recording is used or
  imitated. Training is done with {n_sounds} sounds, drawn once, so that spectrograms are made once. A fifth of all
  ordered pairs of animals, chosen by a hash, was never trained on (the other order may have been).
- Only what follows a prompt is learnt. The first word after a suffix and the answers count {deciding:g} times.
- The tokenizer has the words of the prompts as tokens, " Yes" and " No" among them.

## What this model is not

- No evidence that audio-language models form hubs.
- Out of its micro-world it hears and knows nothing; real animals sound otherwise.

`semhub.json` beside this file says the same for machines.
"""
