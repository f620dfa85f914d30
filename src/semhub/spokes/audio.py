"""The audio spoke: sounds against labels, the words for what is heard, and whether an animal is a mammal.

Source of the experiments: Wu et al. 2024, arXiv 2411.04986. Data: `--data vggsound`, `esc50` or `sounds`; without it
generated sounds of animals. Labels and questions are in English.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from semhub.data import animals, captioned, esc50, microsounds, sounds, vggsound
from semhub.data.animals import Animal
from semhub.data.continuations import FORMS, suffix
from semhub.data.items import merge
from semhub.data.labelled import Clip, Clips
from semhub.errors import UsageError
from semhub.types import (
    Area,
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
    RowDifference,
    SteerCase,
    SteerSet,
)  # fmt: skip

NAME = "audio"
CLIPS = 1_000  # the paper's
GENERATED = 400
GENERATED_ALONE = 120
LOADERS = {"vggsound": vggsound.load, "esc50": esc50.load, "sounds": sounds.load}
HEARD = ("USER: ", " What can be heard?\nASSISTANT:")
MAMMAL = ("USER: ", " Is this animal a mammal? Answer Yes or No.\nASSISTANT:")
ANSWER_TOKENS = 4
ANSWERS = {True: "Yes", False: "No"}

SAME_LABEL = "repeats an earlier label"
NO_WORD = "label without a word that means something by itself"
NO_CONTROL = "every other label shares a word with it"
NO_ANIMAL = "label that names no animal"
SEVERAL_ANIMALS = "label that names several animals"


def similarity(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Sound (a) against label (b): alone, after a question, and both continued. Near misses stand in for b.

    `all` has one clip of each label: clips of one label have the same b, so that with the paper's 1,000 clips of 309
    labels the right label would be among the wrong ones too, and which of its copies is nearest a matter of chance.
    `clips` is the paper's way, all of them, where labels repeat: labels are its clusters, and its groups, so that
    `different_result` is the cosine with other labels alone. It carries no verdict.
    """
    data = _load(request, microsounds.distinct, GENERATED)
    first = {one.label: one for one in reversed(data.items)}
    chosen = [one for one in data.items if first[one.label] is one]
    kept = Kept(data.kept.given, merge(data.kept.dropped, {SAME_LABEL: len(data.items) - len(chosen)}))
    end = suffix(request.dominant)
    sets: list[CaseSet] = [
        _pairs("all/bare", chosen, ("", ""), "", kept, data),
        _pairs("all/asked", chosen, HEARD, "", kept, data),
        _pairs("all/continued", chosen, ("", end), end, kept, data),
    ]
    if len(chosen) < len(data.items):
        sets.append(_pairs("clips/bare", data.items, ("", ""), "", data.kept, data))
    return sets, [data.provenance]


def _pairs(
    variant: str, chosen: Sequence[Clip], around: tuple[str, str], after: str, kept: Kept, data: Clips
) -> PairSet:
    repeated = len({one.label for one in chosen}) < len(chosen)
    pairs = [
        Pair(
            case_id=one.id,
            cluster_id=one.label,
            a=_around(one, around),
            b=Content.of(one.label + after),
            negatives=tuple(
                Content.of(near + after) for near in captioned.distinct(one.negatives, one.label)
            ),
            group=one.label if repeated else "",
        )
        for one in chosen
    ]
    return PairSet(
        experiment="audio.similarity",
        variant=variant,
        pairs=pairs,
        kept=kept,
        source=data.source,
        deciding=variant == "all/continued",
    )


def _around(one: Clip, around: tuple[str, str]) -> Content:
    return Content.of(*(part for part in (around[0], one.sound, around[1]) if part))


def lens(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Over the whole sound: each word of its label against a word of a label that shares none with it.

    Counted are words; a clip that could not be used counts as one. Takes of one recording are a cluster.
    """
    data = _load(request, microsounds.pairs, GENERATED)
    labels = {one.label: one.words for one in data.items if one.words}
    dropped: Counter[str] = Counter(data.kept.dropped)
    cases: list[LensCase] = []
    for one in data.items:
        if not one.words:
            dropped[NO_WORD] += 1
            continue
        others = [label for label, words in labels.items() if not set(words) & set(one.words)]
        if not others:
            dropped[NO_CONTROL] += len(one.words)
            continue
        rng, content = random.Random(f"other label:{request.seed}:{one.id}"), _around(one, HEARD)
        for word in one.words:
            control = rng.choice(labels[rng.choice(others)])
            cases.append(
                LensCase(
                    case_id=f"{one.id}:{word}",
                    cluster_id=one.cluster,
                    content=content,
                    at=len(content.text),
                    words={"dominant": (word,), "control": (control,)},
                    area=Area(len(HEARD[0])),
                )
            )
    kept = Kept(len(cases) + sum(dropped.values()), merge(dropped))
    return [LensSet("audio.lens", "words", cases, kept, data.source, request.dominant, "", deciding=True)], [
        data.provenance
    ]


def steer(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """At the sound of an animal, the difference of the words for another, of the other class, and for it.

    Both the new animal and that of the wrong concept, another one of the old class, are drawn once for each clip: from
    the animals that the data set's clips have, those with a common word if there are any, else from all common ones.
    """
    if request.dominant != "en":
        raise UsageError(
            f"the mammal question is in English, not in {request.dominant!r}. Give --dominant en."
        )
    data = _load(request, microsounds.alone, GENERATED_ALONE)
    known = list(dict.fromkeys(one.animals[0] for one in data.items if len(one.animals) == 1))
    dropped: Counter[str] = Counter(data.kept.dropped)
    cases = []
    for one in data.items:
        if len(one.animals) != 1:
            dropped[SEVERAL_ANIMALS if one.animals else NO_ANIMAL] += 1
            continue
        (old,) = one.animals
        rng = random.Random(f"new animal:{request.seed}:{one.id}")
        new = rng.choice(_drawable(known, not old.mammal, but=old))
        wrong = rng.choice(_drawable(known, old.mammal, but=old))
        content = _around(one, MAMMAL)
        cases.append(
            SteerCase(
                case_id=f"{one.id}:{old.word}={new.word}",
                cluster_id=one.cluster,
                content=content,
                at=len(content.text),
                directions={
                    "hypothesis": RowDifference(new.word, old.word),
                    "wrong_concept": RowDifference(wrong.word, old.word),
                },
                new=(ANSWERS[new.mammal],),
                old=(ANSWERS[old.mammal],),
                area=Area(len(MAMMAL[0])),
            )
        )
    kept = Kept(data.kept.given, merge(dropped))
    return [
        SteerSet(
            experiment="audio.steer",
            variant="mammal",
            cases=cases,
            kept=kept,
            source=data.source,
            deciding=True,
            readings={"": animals.parse_answer},
            new_tokens=ANSWER_TOKENS,
        )
    ], [data.provenance]


def _drawable(known: Sequence[Animal], mammal: bool, but: Animal) -> list[Animal]:
    able = [one for one in known if one.mammal == mammal and one != but]
    return (
        [one for one in able if animals.is_common(one)]
        or able
        or [one for one in animals.common(mammal) if one != but]
    )


def _load(request: Request, generated: Callable[[int, int], Clips], n: int) -> Clips:
    """The clips asked for, else `n` generated ones.

    Raises UsageError for two data sets at once, or a dominant language in which there are no labels.
    """
    given = [name for name in LOADERS if name in request.data]
    if len(given) > 1:
        raise UsageError(f"the audio spoke has --data {' and --data '.join(given)}. Give one of them.")
    if request.dominant != "en" and given != ["sounds"]:
        raise UsageError(
            f"sounds have labels in English only, none in {request.dominant!r}. "
            "Give --dominant en, or --data sounds with labels in it."
        )
    if given:
        return LOADERS[given[0]](request.data[given[0]], request.n or CLIPS, request.seed)
    return generated(request.n or n, request.seed)


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        id="audio.similarity",
        spoke=NAME,
        prediction="P1",
        title="Sounds and their labels",
        question=(
            "Is a sound's state closer to that of its label than to those of other labels, also of labels that name "
            "another animal or instrument, or the same animals in another order?"
        ),
        if_false=(
            "A sound would be no closer to its label than to any other, or as close to one that names another animal "
            "or the two in another order, or copies of the model with random blocks would do as well."
        ),
        build=similarity,
        variants={
            "all": "one clip of each label",
            "clips": "every clip, also where several have one label",
            "asked": "the sound and a question after it, the label alone",
            **FORMS,
        },
        needs="audio",
    ),
    Experiment(
        id="audio.lens",
        spoke=NAME,
        prediction="P2",
        title="A sound, read as the words of its label",
        question=(
            "Over the positions of a sound, are the words of its label more readable at intermediate layers than those "
            "of another label?"
        ),
        if_false=(
            "The words of the sound's own label would be no more probable, against their averages, than those of the "
            "other label."
        ),
        build=lens,
        variants={"words": "each word of a label"},
        needs="audio",
    ),
    Experiment(
        id="audio.steer",
        spoke=NAME,
        prediction="P3",
        title="Another animal, and whether it is a mammal",
        question=(
            "Where the model takes in the sound of an animal, does adding the difference between the words for another "
            "animal and for it change whether the model says that it is a mammal?"
        ),
        if_false=(
            "The answer would change no more than with differences of other states of the same size, or with the word "
            "for an animal of the same class, or the text would fall apart."
        ),
        build=steer,
        variants={"mammal": "is this animal a mammal, Yes or No"},
        needs="audio",
    ),
)
