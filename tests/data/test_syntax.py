"""Positions in programs: by hand, against an independent reading by tokens, and through a real tokenizer."""

from __future__ import annotations

import ast
import io
import keyword
import random
import tokenize
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from semhub.data.source import IN_FSTRING, NOT_PARSED, parse
from semhub.data.syntax import Argument, call_arguments, list_commas
from semhub.measures.words import locate
from semhub.models.tokens import Tokens
from semhub.types import Content, LensCase

ENDS = ("\n", "\r\n", "\r")


def arguments(code: str) -> list[Argument]:
    return [one for call in call_arguments(code).items for one in call.arguments]


def followers(code: str) -> list[str]:
    """What follows each list comma, up to the next comma, bracket or line end."""
    commas = list_commas(code).items
    assert all(code[comma.at] == "," for comma in commas)
    return [code[comma.start :].split(",")[0].split("]")[0] for comma in commas]


def test_list_commas_are_those_of_displays() -> None:
    code = "x = [1, (2, 3), {4, 5}, [6, 7], *y, f(8, 9), 10,]\n[a, b] = x[1, 2]\n[i for i, j in x]\nz[1:2, 3]"
    assert followers(code) == ["(2", "{4", "[6", "7", "*y", "f(8", "10"]


def test_commas_in_strings_comments_and_brackets_are_not_taken() -> None:
    code = '[ # one, two [\n \'a, b\', (1), ( # ),\n (2) ) , """x,\ny""" \'z\' ,\\\n\t3]'
    assert [code[comma.start] for comma in list_commas(code).items] == ["(", "(", '"', "3"]


def test_arguments_of_a_call() -> None:
    code = "f(a, (b), *c, k = ( 3 ), **d)"
    found = arguments(code)
    assert [one.kind for one in found] == ["positional", "positional", "starred", "keyword", "double_starred"]
    assert [one.text for one in found] == ["a", "(b)", "*c", "k = ( 3 )", "**d"]
    assert "".join(code[one.opener] for one in found) == "(,,,,"
    assert [code[one.start] for one in found] == ["a", "(", "*", "k", "*"]
    named = found[3]
    assert (named.keyword, code[named.equals], code[named.value :][:5]) == ("k", "=", "( 3 )")


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("f(x for x, y in z)", ["x for x, y in z"]),
        ("f( (x for x, y in z) )", ["(x for x, y in z)"]),
        ("f(lambda x, y=(1, 2): (x, y), 3)", ["lambda x, y=(1, 2): (x, y)", "3"]),
        ("f((( # (\na ) ), 'é,(', é)", ["(( # (\na ) )", "'é,('", "é"]),
        ("(f)(a)", ["a"]),
        ("f(a)(b)", ["a", "b"]),
        ("x.y [0] (a)", ["a"]),
        ("@f(a, b)\n@c\ndef g(d=h(1)): pass", ["a", "b", "1"]),
        ("f(\n\ta, # not (this,\n\n\tb,\n)", ["a", "b"]),
        ("f(a := 1, b == 2)", ["a := 1", "b == 2"]),
        ("f(k=1, *c, m=2, **d)", ["k=1", "*c", "m=2", "**d"]),
        ("f()", []),
        ("class C(A, metaclass=M): pass", []),
        ("print(a if b else (c), not d)", ["a if b else (c)", "not d"]),
    ],
)
@pytest.mark.parametrize("end", ENDS)
def test_texts_of_arguments(code: str, texts: list[str], end: str) -> None:
    code = code.replace("\n", end)
    assert [one.text for one in arguments(code)] == [text.replace("\n", end) for text in texts]


def test_forms_of_calls() -> None:
    found = call_arguments("f(1); (g)(1); a.b.h(1); f(1)(2); x[0](3)").items
    assert [(one.name, one.form) for one in found] == [
        ("f", "name"), ("g", "name"), ("h", "method"), ("f", "name"), ("", "other"), ("", "other")
    ]  # fmt: skip


def test_what_is_inside_an_fstring_has_no_place() -> None:
    code = "f(f'{g(1, *a, k=2)} {[1, 2, 3]}', f'{a:{h(1)}}' 'b', x)"
    found = call_arguments(code)
    assert [(one.name, [argument.text for argument in one.arguments]) for one in found.items] == [
        ("f", ["f'{g(1, *a, k=2)} {[1, 2, 3]}'", "f'{a:{h(1)}}' 'b'", "x"])
    ]
    assert sorted((one.name, one.reason, len(one.arguments)) for one in found.lost) == [
        ("g", IN_FSTRING, 3), ("h", IN_FSTRING, 1)
    ]  # fmt: skip
    assert [comma.reason for comma in list_commas(code).lost] == [IN_FSTRING] * 2


@pytest.mark.parametrize(
    "code",
    [
        "f(",
        "x = \0",
        "x = '\ud800'",
        "(" * 300,
        "-" * 50_000 + "1",
        "a" + ".b" * 50_000,
        "\ufeff\ufeffx",
        "  x",
    ],
)
def test_what_does_not_parse_has_a_reason(code: str) -> None:
    assert parse(code) is None
    assert list_commas(code).reason == call_arguments(code).reason == NOT_PARSED
    assert not list_commas(code).items
    assert not call_arguments(code).items


def test_a_warning_is_not_an_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert followers("[1, '\\d', 1 is 1]") == [" '\\d'".strip(), "1 is 1"]


def test_characters_of_several_bytes_and_every_line_end_count_once() -> None:
    for end in ENDS:
        code = f"é = '𝛼é'{end}\tif_é = ['é', \"𝛼\",{end}\t'日本', f_é('𝛼', b)]".replace(f"{end}\t", end, 1)
        assert [code[one.start :][:3] for one in list_commas(code).items] == ['"𝛼"', "'日本", "f_é"]
        assert [one.text for one in arguments(code)] == ["'𝛼'", "b"]


# Generated programs. White space that may break lines stands only inside brackets, as Python asks.

GAPS = ("", "", "", " ", " ", "  ", "\t", "\n", "\n    ", " # é, (x=1\n", "\\\n ", "\f ", "\n# ]\n\t")
NAMES = ("a", "f", "x_1", "é", "变量", "obj", "ﬁle")
ATOMS = (
    *NAMES,
    *("0", "12", "3.5", "None", "True", "...", "x[0, 1]", "a.b"),
    *("'a, b('", '"é)"', "'''p,\nq('''", "b'z'", r"r'\d,'", "'a' \"b,\"", "'𝛼=('", "''"),
    *("f'{g(1, [2, 3])}'", "f'é{a},{b!r}'", "'x' f'{a:>{w}}'", "f'''{\na}'''"),
)
FUNCTIONS = (*NAMES, "a.b", "(f)", "x[0]", "'s'.join", "f(1)", "a.b(é).c", "range")


class Writer:
    """Writes programs at random."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def program(self) -> str:
        text = "\n".join(self.statement() for _ in range(self.rng.randint(1, 4)))
        return text.replace("\n", self.rng.choice(ENDS))

    def statement(self) -> str:
        return self.rng.choice(
            (
                lambda: self.expression(4),
                lambda: f"x = {self.expression(4)}",
                lambda: (
                    f"@f({self.expression(2)})\ndef g(a={self.expression(2)}):\n\treturn {self.expression(3)}"
                ),
                lambda: (
                    f"class C(f({self.expression(2)})):\n    '''d,(\n    '''\n    y = {self.expression(2)}"
                ),
                lambda: "[a, b] = c  # (x, [y, z\n",
            )
        )()

    def expression(self, depth: int) -> str:
        if depth == 0 or self.rng.random() < 0.2:
            return self.rng.choice(ATOMS)

        def one() -> str:
            return self.expression(depth - 1)

        shapes: tuple[Callable[[], str], ...] = (
            lambda: self.rng.choice(FUNCTIONS) + self.bracketed(self.arguments(one), "()"),
            lambda: self.rng.choice(FUNCTIONS) + self.bracketed(self.arguments(one), "()"),
            lambda: self.bracketed(
                [f"{self.rng.choice(('', '', '*'))}{one()}" for _ in range(self.many())], "[]"
            ),
            lambda: self.bracketed([one(), one()], "()"),
            lambda: self.bracketed([one(), one()], "{}"),
            lambda: f"({self.gap()}{one()}{self.gap()})",
            lambda: f"(({one()} + {one()}))",
            lambda: f"(lambda x, y=({one()}): {one()})",
            lambda: f"f(lambda x, y: {one()}, {one()})",
            lambda: f"f({self.gap()}{one()} for a, b in {one()}{self.gap()})",
            lambda: f"[{one()} for a, b in {one()}]",
            lambda: f"({one()} if {one()} else {one()})",
        )
        return self.rng.choice(shapes)()

    def arguments(self, one: Callable[[], str]) -> list[str]:
        positional = [f"{self.rng.choice(('', '', '', '*'))}{one()}" for _ in range(self.many())]
        named = [f"{name}{self.gap()}={self.gap()}{one()}" for name in ("k", "é") if self.rng.random() < 0.2]
        late = [f"*{one()}"] if named and self.rng.random() < 0.3 else []
        return [*positional, *named, *late, *([f"**{one()}"] if self.rng.random() < 0.1 else [])]

    def bracketed(self, parts: list[str], brackets: str) -> str:
        text = ",".join(f"{self.gap()}{part}{self.gap()}" for part in parts)
        text += "," if parts and self.rng.random() < 0.3 else ""
        return brackets[0] + text + self.gap() + brackets[1]

    def gap(self) -> str:
        return self.rng.choice(GAPS)

    def many(self) -> int:
        return self.rng.choice((0, 1, 1, 2, 2, 3))


PROGRAMS = st.integers(0, 2**32).map(lambda seed: Writer(seed).program())


@dataclass
class Open:
    """A bracket that is not closed yet: where its separators are, counted in tokens."""

    kind: str
    form: str
    separators: list[int]
    comprehension: bool = False
    lambdas: int = field(default=0)


def by_tokens(code: str) -> tuple[list[tuple[int, int]], list[tuple[str, list[tuple[int, int, str]]]]]:
    """List commas and calls, told by tokens and brackets alone; f-strings are skipped as a whole."""
    lines, plain = [0], ""
    i = 0
    while i < len(code):
        width = 2 if code.startswith("\r\n", i) else 1
        if code[i] in "\r\n":
            lines.append(i + width)
        plain += "\n" if code[i] in "\r\n" else code[i]
        i += width
    tokens, depth = [], 0
    for one in tokenize.generate_tokens(io.StringIO(plain).readline):
        name = tokenize.tok_name[one.type]
        depth -= name.startswith("FSTRING_END")
        if depth == 0 and name not in ("NL", "COMMENT", "INDENT", "DEDENT", "ENDMARKER"):
            tokens.append(one)
        depth += name.startswith("FSTRING_START")
    offsets = [lines[one.start[0] - 1] + one.start[1] for one in tokens]
    stack: list[Open] = []
    lists: list[tuple[int, int]] = []
    calls: list[tuple[int, str, list[tuple[int, int, str]]]] = []
    for k, one in enumerate(tokens):
        before = tokens[k - 1] if k else None
        is_name = before is not None and before.type == tokenize.NAME and not keyword.iskeyword(before.string)
        if one.string in "([{":
            called = is_name or (before is not None and before.string[-1:] in set(")]}'\""))
            called = called or (before is not None and before.string in ("None", "True"))
            defined = k > 1 and tokens[k - 2].string in ("def", "class")
            method = k > 1 and tokens[k - 2].string == "."
            form = "other" if not is_name else "method" if method else "name"
            kind = "call" if one.string == "(" and called and not defined else "other"
            stack.append(Open("list" if one.string == "[" and not called else kind, form, [k]))
        elif one.string in ")]}":
            top = stack.pop()
            starts = [j + 1 for j in top.separators if j + 1 < k]
            target = k + 1 < len(tokens) and tokens[k + 1].string == "="
            if top.kind == "list" and not top.comprehension and not target:
                lists += [(offsets[j - 1], offsets[j]) for j in starts[1:]]
            if top.kind == "call":
                kinds = {"*": "starred", "**": "double_starred"}
                given_ = [
                    (offsets[j - 1], offsets[j], kinds.get(tokens[j].string)
                     or ("keyword" if tokens[j + 1].string == "=" else "positional"))
                    for j in starts
                ]  # fmt: skip
                calls.append((offsets[top.separators[0]], top.form, given_))
        elif stack:
            top = stack[-1]
            top.lambdas += (one.string == "lambda") - (one.string == ":" and top.lambdas > 0)
            top.comprehension = top.comprehension or one.string == "for"
            if one.string == "," and not top.lambdas and not top.comprehension:
                top.separators.append(k)
    return sorted(lists), [(form, given_) for _, form, given_ in sorted(calls)]


SLOW = settings(max_examples=300, deadline=None, derandomize=True)


def test_most_generated_programs_parse_and_have_calls_and_lists() -> None:
    programs = [Writer(seed).program() for seed in range(200)]
    assert sum(parse(code) is not None for code in programs) > 140
    assert sum(len(call_arguments(code).items) for code in programs) > 400
    assert sum(len(list_commas(code).items) for code in programs) > 100
    assert sum(len(call_arguments(code).lost) for code in programs) > 20


@SLOW
@given(PROGRAMS)
def test_generated_programs_read_as_their_tokens_do(code: str) -> None:
    source = parse(code)
    if source is None:  # such as a call of a keyword argument given twice
        return
    lists, calls = by_tokens(code)
    assert [(comma.at, comma.start) for comma in list_commas(code).items] == lists
    found = call_arguments(code)
    assert [[(one.opener, one.start, one.kind) for one in call.arguments] for call in found.items] == [
        given_ for _, given_ in calls
    ]
    assert {one.reason for one in found.lost} | {one.reason for one in list_commas(code).lost} <= {IN_FSTRING}
    for call, (form, _) in zip(found.items, calls, strict=True):
        assert call.form == form or form == "other"  # a name in brackets is a name


@SLOW
@given(PROGRAMS)
def test_generated_arguments_are_those_of_the_syntax_tree(code: str) -> None:
    source = parse(code)
    if source is None:
        return
    plain = code.replace("\r\n", "\n").replace("\r", "\n")
    for call in call_arguments(code).items:
        nodes: list[ast.expr | ast.keyword] = [*call.node.args, *call.node.keywords]
        nodes.sort(key=lambda one: (one.lineno, one.col_offset))
        assert len(call.arguments) == len(nodes)
        assert code[call.at] == "("
        for one, node in zip(call.arguments, nodes, strict=True):
            assert code[one.opener] == ("(" if one.index == 0 else ",")
            assert code.startswith(one.text, one.start)
            segment = ast.get_source_segment(plain, node)
            assert segment is not None
            text = one.text.replace("\r\n", "\n").replace("\r", "\n")
            assert segment in text or segment == f"({text})" or isinstance(node, ast.GeneratorExp)
            if one.kind == "keyword":
                assert code[one.equals] == "="
                assert one.text.endswith(code[one.value : one.start + len(one.text)])


def tokens_of(texts: list[str]) -> Tokens:
    """A small byte-level BPE tokenizer, trained on the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return Tokens(PreTrainedTokenizerFast(tokenizer_object=tokenizer), tokenizer.get_vocab_size())


TRAINING = [
    "def f(a, b):\n    return g([1, 2, 3], (a, b), key=lambda x: x)\n",
    "assert f([(1, 2), [3, 4]], 'ab', \"c\") == [5, 6, 'd']\r\n\tprint(len(x), *y)\r\n",
] * 40
TOKENS = tokens_of(TRAINING)


@SLOW
@given(PROGRAMS)
def test_the_token_at_each_kept_position_covers_its_separator(code: str) -> None:
    places = [(comma.at, comma.start) for comma in list_commas(code).items]
    for one in arguments(code):
        places.append((one.opener, one.start))
        if one.kind == "keyword":
            places.append((one.equals, one.value))
    if not code.strip():
        return
    (encoded,) = TOKENS.encode([code], special_tokens=False)
    for anchor, start in places:
        if code[anchor + 1 : start].strip():
            continue  # the spoke drops what has a comment in between
        case = LensCase("c", "c", Content.of(code), start, {"dominant": ("a",)}, next_token=True)
        position, reason = locate(case, encoded)
        if not reason:
            span = encoded.offsets[position]
            assert span is not None
            assert span[0] <= anchor < span[1] <= start


def test_merged_tokens_are_dropped_and_plain_ones_kept() -> None:
    code = "g([1, 2, 3], (a, b), 'x')"
    (encoded,) = TOKENS.encode([code], special_tokens=False)
    merged = [code[span[0] : span[1]] for span in encoded.offsets if span]
    assert "([" in merged
    found = {}
    for one in arguments(code):
        case = LensCase("c", "c", Content.of(code), one.start, {"dominant": ("a",)}, next_token=True)
        found[one.text] = locate(case, encoded)
    assert found["[1, 2, 3]"][0] == -1
    assert found["[1, 2, 3]"][1]
    position, reason = found["'x'"]
    if not reason:
        span = encoded.offsets[position]
        assert span is not None
        assert "," in code[slice(*span)]
