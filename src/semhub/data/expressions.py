"""The 1,123 expressions of the arithmetic spoke: b in 1..9, a >= 1, a+b < 100 (846) or a*b < 100 (277).

Source: generated, as in Wu et al. 2024 (arXiv 2411.04986). Licence: none needed. Version: 1.
How to get it: comes with the package.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from semhub.data.continuations import arithmetic
from semhub.data.items import Card
from semhub.data.numbers import operator, spell
from semhub.types import Provenance

CARD = Card(
    name="expressions",
    what="all 1,123 sums and products below 100 whose second operand has one digit",
    source="generated (Wu et al. 2024, arXiv 2411.04986)",
    version="1",
    licence="none needed",
    get="comes with the package",
)


@dataclass(frozen=True, slots=True)
class Expression:
    """`a op b`; b is the target that `value=a op` asks for."""

    a: int
    op: str
    b: int

    @property
    def value(self) -> int:
        """The result."""
        return self.a + self.b if self.op == "+" else self.a * self.b

    @property
    def digits(self) -> str:
        """`3+5`."""
        return f"{self.a}{self.op}{self.b}"

    @property
    def prompt(self) -> str:
        """`8=3+`, which b completes."""
        return f"{self.value}={self.a}{self.op}"

    def words(self, language: str = "en") -> str:
        """`three plus five`."""
        gap = "" if language == "zh" else " "
        return gap.join((spell(self.a, language), operator(self.op, language), spell(self.b, language)))

    def neighbours(self) -> tuple[Expression, ...]:
        """The same with one operand one lower or higher, a staying in 1..99 and b in 1..9."""
        moved = [(self.a - 1, self.b), (self.a + 1, self.b), (self.a, self.b - 1), (self.a, self.b + 1)]
        return tuple(Expression(a, self.op, b) for a, b in moved if 1 <= a <= 99 and 1 <= b <= 9)


@cache
def expressions() -> tuple[Expression, ...]:
    """All of them: the additions, then the multiplications, by target and first operand."""
    sums = [Expression(a, "+", b) for b in range(1, 10) for a in range(1, 100 - b)]
    products = [Expression(a, "*", b) for b in range(1, 10) for a in range(1, 99 // b + 1)]
    return (*sums, *products)


def provenance() -> Provenance:
    """The card with the hash of the list of expressions and of the continuations they are given."""
    text = "\n".join(one.digits for one in expressions()) + arithmetic("digits") + arithmetic("words")
    return CARD.provenance(sha256=hashlib.sha256(text.encode()).hexdigest())
