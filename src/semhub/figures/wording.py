"""The words of the charts where an experiment has its own: what is read over a picture or a sound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """A P2 chart's words: the names of its lines, what was scored where, and what a chart would show if false."""

    dominant: str = "dominant word"
    control: str = "control words"
    contrast: str = "Dominant minus other words"
    what: str = "Lens log-probability of each word at the position that predicts it"
    above: str = (
        "the dominant language's word is read more strongly than the input's own, or the control words"
    )
    lens_false: str = (
        "the dominant-language word would stay at the level of random words, and never above the input's own."
    )
    concept_false: str = (
        "the dominant-language line would stay inside the grey band, or below that of the input's word."
    )


def _over_an_area(dominant: str, control: str, contrast: str, where: str) -> Reading:
    return Reading(
        dominant,
        control,
        contrast,
        f"Lens log-probability of {where}",
        f"{dominant} is read more strongly than {control}",
        f"the line of {dominant} would lie on that of {control} at every layer.",
        f"the line of {dominant} would stay inside the grey band.",
    )


GENERAL = Reading()
READINGS = {
    "vision.lens_caption": _over_an_area(
        "the caption's nouns",
        "another caption's nouns",
        "Caption's nouns minus another's",
        "nouns, mean over the picture's patches: those of its caption, and those of the caption least like it",
    ),
    "vision.lens_segment": _over_an_area(
        "the segment's label",
        "another label",
        "Label minus another label",
        "labels, mean over the patches more than half inside a segment: its own, and one of nothing in the picture",
    ),
    "vision.lens_color": _over_an_area(
        "the picture's colour",
        "white",
        "Colour minus white",
        "colour words, mean over the patches of a picture of one colour: its own colour, and white",
    ),
    "audio.lens": _over_an_area(
        "the label's word",
        "a word of another label",
        "Label's word minus another's",
        "words, mean over the sound's positions: one of its label, and one of a label that shares no word with it",
    ),
}


def reading(experiment: str) -> Reading:
    return READINGS.get(experiment, GENERAL)


ONWARD = {("vision.steer", "two_colors")}  # written at a layer and at all after it, in place of the states
TWO_COLOURS = " Here the direction stands in place of the patches' states at this layer and at all after it."


def written(experiment: str, variant: str) -> str:
    """What a steering chart adds on how the direction was written; empty where it was added at one layer."""
    return TWO_COLOURS if (experiment, variant.split("/")[0]) in ONWARD else ""
