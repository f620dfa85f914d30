"""Changes of a logical form that keep it well formed: names swapped, conjuncts shuffled, names reassigned."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from semhub.data.logical_form import Argument, Form, Term, is_word


def swap_names(form: Form) -> Form:
    """The form with its two names exchanged wherever they occur. Raises ValueError unless there are exactly two."""
    names = form.names
    if len(names) != 2:
        raise ValueError(f"a form with {len(names)} names has no two to swap")
    return rename(form, dict(zip(names, reversed(names), strict=True)))


def same_meaning(one: Form, other: Form) -> bool:
    """Whether the two forms differ at most in the order of their definite nouns and of their conjuncts."""
    return (
        Counter(one.definites) == Counter(other.definites)
        and Counter(one.conjuncts) == Counter(other.conjuncts)
        and (one.binders, one.name) == (other.binders, other.name)
    )


def shuffle_conjuncts(form: Form, rng: random.Random) -> Form:
    """The conjuncts in another order, drawn evenly from all other orders; the definite nouns stay in front.

    Raises ValueError if there is no other order: fewer than two different conjuncts.
    """
    if len(set(form.conjuncts)) < 2:
        raise ValueError("a form needs two different conjuncts to be shuffled")
    while True:
        order = tuple(rng.sample(form.conjuncts, len(form.conjuncts)))
        if order != form.conjuncts:
            return replace(form, conjuncts=order)


def in_order(form: Form, order: Sequence[int]) -> Form:
    """The conjuncts in the given order of their indices; the definite nouns stay in front."""
    return replace(form, conjuncts=tuple(form.conjuncts[i] for i in order))


def reassignment(form: Form, names: Collection[str], rng: random.Random) -> dict[str, str]:
    """A new name for each name of the form, drawn without replacement from `names`: none meets another.

    A name may draw itself. Raises ValueError if the form has more names than there are.
    """
    return dict(zip(form.names, rng.sample(sorted(set(names)), len(form.names)), strict=True))


def rename(form: Form, mapping: Mapping[str, str]) -> Form:
    """The form with its names replaced, all at once; nouns, verbs and variables stay, however they are spelled.

    Names that `mapping` lacks stay. Raises ValueError if two names of the form would become one, or if a name that
    is given is no single word or one that the format reserves.
    """
    new = {name: mapping.get(name, name) for name in form.names}
    if len(set(new.values())) < len(new):
        raise ValueError(f"{len(new)} names would become {len(set(new.values()))}")
    if wrong := [name for name in new.values() if not is_word(name)]:
        raise ValueError(f"{wrong[0]!r} cannot be a name of a form: it is no single word")
    return replace(
        form,
        definites=tuple(_renamed(term, new) for term in form.definites),
        conjuncts=tuple(_renamed(term, new) for term in form.conjuncts),
        name=new.get(form.name, ""),
    )


def rename_sentence(sentence: str, mapping: Mapping[str, str]) -> str:
    """The sentence with its names replaced, all at once, where they are whole words with the same capitals."""
    if not mapping:
        return sentence
    words = "|".join(re.escape(name) for name in sorted(mapping, key=len, reverse=True))
    return re.sub(rf"(?<![\w-])(?:{words})(?![\w-])", lambda found: mapping[found[0]], sentence)


def _renamed(term: Term, new: Mapping[str, str]) -> Term:
    arguments = tuple(
        Argument("name", new[one.text]) if one.kind == "name" else one for one in term.arguments
    )
    return replace(term, arguments=arguments)
