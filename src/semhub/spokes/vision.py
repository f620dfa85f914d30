"""The vision spoke: pictures against captions, the words for what they show, and the colour of a half.

Source of the experiments: Wu et al. 2024, arXiv 2411.04986. Data: `--data coco` or `images`; without it, and for
colours always, generated pictures. The questions are in English whatever the dominant language is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from semhub.data import captioned, coco, images, micropictures, picture_steer
from semhub.data.captioned import Picture, Pictures
from semhub.data.continuations import FORMS, suffix
from semhub.data.items import NOT_SAMPLED, merge, subsample
from semhub.data.terms import terms
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
    SteerSet,
)  # fmt: skip

NAME = "vision"
GENERATED = 400
PICTURES = 1_000
LOADERS = ("coco", "images")
WHAT = "What is in the image?\n"
DESCRIBE = (f"USER: {WHAT}", " ASSISTANT:")
COLOUR = ("USER: What is the color in the image?", "\n ASSISTANT:")
SOLID = ("red", "green", "blue", "black")  # the paper's four pictures
WHITE = "white"
N_SHADES = 70

SAME_CAPTION = "repeats an earlier caption"
NO_NOUN = "caption without a noun"
NO_CONTROL = "no other caption has another noun"
SEVERAL = "of several words"
HYPHEN = "label with a hyphen"
NO_MASK = "no mask"


def similarity(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Picture (a) against caption (b): alone, after a question, and both continued. Near misses stand in for b."""
    data = _load(request)
    chosen: list[Picture] = []
    seen: set[str] = set()
    for one in data.items:
        if one.caption not in seen:
            seen.add(one.caption)
            chosen.append(one)
    dropped = merge(data.kept.dropped, {SAME_CAPTION: len(data.items) - len(chosen)})
    end = suffix(request.dominant)
    sets: list[CaseSet] = []
    for form, before, after in (("bare", "", ""), ("asked", WHAT, ""), ("continued", "", end)):
        pairs = [
            Pair(
                case_id=one.id,
                cluster_id=one.id,
                a=_around(one, before, after),
                b=Content.of(one.caption + after),
                negatives=tuple(
                    Content.of(near + after) for near in captioned.distinct(one.negatives, one.caption)
                ),
            )
            for one in chosen
        ]
        sets.append(
            PairSet(
                experiment="vision.similarity",
                variant=f"all/{form}",
                pairs=pairs,
                kept=Kept(data.kept.given, dropped),
                source=data.source,
                deciding=form == "continued",
            )
        )
    return sets, [data.provenance]


def _around(one: Picture, before: str, after: str) -> Content:
    return Content.of(*(part for part in (before, one.image, after) if part))


def lens_color(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Pictures of one colour: its word against white. `paper` has its four, `shades` many of all colours but white.

    Raises UsageError for a dominant language without words for the colours.
    """
    words = terms(NAME, request.dominant)
    others = [colour for colour in picture_steer.things() if colour != WHITE]
    most = request.n or N_SHADES
    given = {"paper": list(SOLID), "shades": [others[i % len(others)] for i in range(most)]}
    sets: list[CaseSet] = []
    every: list[list[LensCase]] = []
    for variant, colours in given.items():
        drawn = subsample(len(colours), most, request.seed)
        cases = [
            _lens_case(
                f"{variant}:{i}:{colours[i]}",
                Content.of(
                    COLOUR[0], micropictures.plain(colours[i], f"{variant}:{request.seed}:{i}"), COLOUR[1]
                ),
                Area(len(COLOUR[0])),
                words[colours[i]],
                words[WHITE],
            )
            for i in drawn
        ]
        every.append(cases)
        kept = Kept(len(colours), merge({NOT_SAMPLED: len(colours) - len(drawn)}))
        sets.append(
            _lens_set("vision.lens_color", variant, cases, kept, "generated pictures of one colour", request)
        )
    return sets, [_generated([case.content for cases in every for case in cases])]


def lens_caption(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Over the whole picture: each noun of its caption against one of the caption whose nouns overlap it least.

    Counted are nouns; a picture that could not be used counts as one.
    """
    data = _load(request)
    nouns = [tuple(noun for noun in one.nouns if " " not in noun) for one in data.items]
    dropped: Counter[str] = Counter(data.kept.dropped)
    cases: list[LensCase] = []
    for i, one in enumerate(data.items):
        dropped[f"noun {SEVERAL}"] += len(one.nouns) - len(nouns[i])
        if not one.nouns:
            dropped[NO_NOUN] += 1
            continue
        controls = _least_overlapping(nouns, i, random.Random(f"mismatched:{request.seed}:{one.id}"))
        if not controls:
            dropped[NO_CONTROL] += len(nouns[i])
            continue
        content = _around(one, *DESCRIBE)
        for k, noun in enumerate(nouns[i]):
            control = controls[k % len(controls)]
            cases.append(
                _lens_case(f"{one.id}:{noun}", content, Area(len(DESCRIBE[0])), noun, control, one.id)
            )
    kept = Kept(len(cases) + sum(dropped.values()), merge(dropped))
    return [_lens_set("vision.lens_caption", "nouns", cases, kept, data.source, request, deciding=True)], [
        data.provenance
    ]


def _least_overlapping(nouns: Sequence[tuple[str, ...]], i: int, rng: random.Random) -> tuple[str, ...]:
    """The nouns that i lacks of the item that shares the fewest with it, drawn at random from all such items."""
    own = set(nouns[i])
    shared = {j: len(own & set(other)) for j, other in enumerate(nouns) if set(other) - own}
    if not shared:
        return ()
    fewest = min(shared.values())
    chosen = rng.choice([j for j, count in shared.items() if count == fewest])
    return tuple(noun for noun in nouns[chosen] if noun not in own)


def lens_segment(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Over each category's area: its label against a label, drawn at random, of something that is not there.

    Counted are areas; a picture that could not be used, or has no masks, counts as one.
    """
    data = _load(request, areas=True)
    dropped: Counter[str] = Counter(data.kept.dropped)
    dropped.update(why for _, why in data.wrong)
    labels = [label for label in data.labels if not _unfit(label)]
    cases: list[LensCase] = []
    without = {picture for picture, _ in data.wrong}
    for one in data.items:
        if not one.areas and one.id not in without:
            dropped[NO_MASK] += 1
        content, there = _around(one, *DESCRIBE), {label for label, _ in one.areas}
        absent = [label for label in labels if label not in there]
        for label, mask in one.areas:
            why = _unfit(label) or ("" if absent else NO_CONTROL)
            if why:
                dropped[why] += 1
                continue
            control = random.Random(f"other label:{request.seed}:{one.id}:{label}").choice(absent)
            area = Area(len(DESCRIBE[0]), mask)
            cases.append(_lens_case(f"{one.id}:{label}", content, area, label, control, one.id))
    kept = Kept(len(cases) + sum(dropped.values()), merge(dropped))
    return [_lens_set("vision.lens_segment", "segments", cases, kept, data.source, request)], [
        data.provenance
    ]


def _unfit(label: str) -> str:
    return HYPHEN if "-" in label else f"label {SEVERAL}" if len(label.split()) != 1 else ""


def _lens_case(
    case_id: str, content: Content, area: Area, word: str, control: str, cluster: str = ""
) -> LensCase:
    words = {"dominant": (word,), "control": (control,)}
    return LensCase(case_id, cluster or case_id, content, len(content.text), words, area=area)


def _lens_set(
    experiment: str, variant: str, cases: list[LensCase], kept: Kept, source: str, request: Request,
    deciding: bool = False,
) -> LensSet:  # fmt: skip
    return LensSet(experiment, variant, cases, kept, source, request.dominant, "", deciding)


def steer(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """A half of a picture made another colour inside: `two_colors` is the paper's, `thing` asks for a consequence.

    Raises UsageError for a dominant language without words for the colours.
    """
    paper, paper_kept = picture_steer.two_colors(request.n, request.seed, request.dominant)
    cases, kept = picture_steer.thing(request.n, request.seed, request.dominant)
    source = "generated pictures of two coloured halves"
    return [
        SteerSet(
            experiment="vision.steer",
            variant="two_colors",
            cases=paper,
            kept=paper_kept,
            source=source,
            readings={"": picture_steer.parse_colors, "authors": picture_steer.parse_authors},
            new_tokens=picture_steer.TWO_TOKENS,
            how="replace",
            onward=True,
        ),
        SteerSet(
            experiment="vision.steer",
            variant="thing",
            cases=cases,
            kept=kept,
            source=source,
            deciding=True,
            readings={"": picture_steer.parse_thing},
            new_tokens=picture_steer.THING_TOKENS,
        ),
    ], [_generated([case.content for case in (*paper, *cases)])]


def _generated(contents: Sequence[Content]) -> Provenance:
    return micropictures.provenance(image for content in contents for _, image in content.images)


def _load(request: Request, areas: bool = False) -> Pictures:
    """The pictures asked for. Raises UsageError for two data sets at once, or captions in another language."""
    given = [name for name in LOADERS if name in request.data]
    if len(given) > 1:
        raise UsageError(f"the vision spoke has --data {' and --data '.join(given)}. Give one of them.")
    if not given:
        return micropictures.load(request.n or GENERATED, request.seed, request.dominant, areas)
    spec, n = request.data[given[0]], request.n or PICTURES
    if given[0] == "images":
        return images.load(spec, n, request.seed, request.dominant)
    if request.dominant != "en":
        raise UsageError(
            f"COCO has captions and labels in English only, none in {request.dominant!r}. "
            "Give --dominant en, or leave --data coco out."
        )
    return (coco.load_areas if areas else coco.load)(spec, n, request.seed)


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        id="vision.similarity",
        spoke=NAME,
        prediction="P1",
        title="Pictures and their captions",
        question=(
            "Is a picture's state closer to that of its caption than to those of other captions, also of captions "
            "that differ from it in one colour, in one thing, or in the order of its colours?"
        ),
        if_false=(
            "A picture would be no closer to its caption than to any other, or as close to one that tells of another "
            "colour or thing, or copies of the model with random blocks would do as well. Near misses are pooled; a "
            "bag of the picture's words tells those of another colour or thing."
        ),
        build=similarity,
        variants={
            "all": "every picture",
            "asked": "the picture after a question, the caption alone",
            **FORMS,
        },
        needs="image",
    ),
    Experiment(
        id="vision.lens_color",
        spoke=NAME,
        prediction="P2",
        title="A plain picture, read as its colour's word",
        question=(
            "Where the model takes in a picture of one colour, is the colour's word the most probable one, or at "
            "least more probable than white?"
        ),
        if_false=(
            "The colour's word would hardly ever be the first one at a position of the picture, and no more often "
            "than white is."
        ),
        build=lens_color,
        variants={
            "paper": "the paper's four colors",
            "shades": "many shades of all colors but white",
        },
        needs="image",
    ),
    Experiment(
        id="vision.lens_caption",
        spoke=NAME,
        prediction="P2",
        title="A picture, read as the nouns of its caption",
        question=(
            "Over the positions of a picture, are the nouns of its caption more readable at intermediate layers than "
            "those of a caption that has least in common with it?"
        ),
        if_false=(
            "The nouns of the picture's own caption would be no more probable, against their averages, than those of "
            "the other picture's."
        ),
        build=lens_caption,
        variants={"nouns": "every noun of a caption, over the whole picture"},
        needs="image",
    ),
    Experiment(
        id="vision.lens_segment",
        spoke=NAME,
        prediction="P2",
        title="A part of a picture, read as the name of what is there",
        question=(
            "Over the positions of the part of a picture that shows a thing, is the thing's name more readable at "
            "intermediate layers than the name of something that the picture does not show?"
        ),
        if_false="The name of what is there would be no more probable there than a name drawn at random.",
        build=lens_segment,
        variants={"segments": "the label of every masked thing, over its mask"},
        needs="image",
    ),
    Experiment(
        id="vision.steer",
        spoke=NAME,
        prediction="P3",
        title="Another colour for one half",
        question=(
            "Where the model takes in one half of a two-coloured picture, does adding the difference of two colour "
            "words make it answer with a thing of the new colour, such as grass in place of fire?"
        ),
        if_false=(
            "The thing of the new colour would come no more often than with differences of other states of the same "
            "size or of other colours' words, or the text would fall apart."
        ),
        build=steer,
        variants={
            "two_colors": "the paper's question and way of writing, at its layer and all after it",
            "thing": "which thing has the color of a half",
        },
        needs="image",
    ),
)
