# SPDX-License-Identifier: Apache-2.0
"""Reads as much of the house's Verilog as says which pieces of text are expressions, and of which kind.

Not a Verilog parser for any file: one module, Verilog-2005, as CONTRIBUTING.md wants it. What it does not know is a
`SyntaxError`, so that no file is silently left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/|\(\*.*?\*\)(?!\s*begin))|(?P<text>"[^"]*")"""
    r"""|(?P<number>\d*\s*'[sS]?[bdohBDOH]\s*[0-9a-fA-F_xzXZ?]+|\d[\d_]*)|(?P<name>[A-Za-z_$`][\w$]*)"""
    r"""|(?P<op><<<|>>>|===|!==|<<|>>|<=|>=|==|!=|&&|\|\||\*\*|~\^|~&|~\||\+:|-:|[-+*/%&|^~!<>=?:;,.(){}\[\]\#@])""",
    re.DOTALL,
)
_BINARY = {"?": 0, "||": 1, "&&": 2, "|": 3, "^": 4, "~^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, "<=": 7, ">": 7,
           ">=": 7, "<<": 8, ">>": 8, "<<<": 8, ">>>": 8, "+": 9, "-": 9,
           "*": 10, "/": 10, "%": 10, "**": 11}  # fmt: skip
_UNARY = {"!", "~", "&", "|", "^", "~&", "~|", "~^", "+", "-"}
_DIRECTIVES = {"`resetall": 0, "`default_nettype": 1, "`include": 1, "`ifdef": 1, "`ifndef": 1, "`endif": 0}


@dataclass(slots=True)
class Node:
    """A part of an expression: what it is, where it stands, its operands."""

    kind: str
    """``binary``, ``unary``, ``choice``, ``number``, ``name``, ``other``."""
    op: str
    start: int
    end: int
    parts: list[Node] = field(default_factory=list)

    def all(self) -> Iterator[Node]:
        yield self
        for part in self.parts:
            yield from part.all()


@dataclass(slots=True)
class Place:
    """An expression, or a statement, of a module."""

    role: str
    """``value`` of an assignment, ``condition``, ``port``, ``constant`` (must be known when the module is built),
    ``statement`` (a whole assignment)."""
    node: Node
    target: str = ""
    """The signal that is assigned."""
    clocked: bool = False
    reset: bool = False
    """In the branch of the reset."""
    nested: bool = False
    """Below a condition."""


@dataclass(slots=True)
class Module:
    """A module's text, its places, the widths of its signals as text (empty: one bit)."""

    text: str
    places: list[Place] = field(default_factory=list)
    widths: dict[str, str] = field(default_factory=dict)
    inner: set[str] = field(default_factory=set)
    """Of these, signals that are declared in a block and are known there alone."""


def _without_checks(text: str) -> str:
    """The text with blanks for what stands behind an `ifdef: assertions, which are no circuit."""
    return re.sub(r"`ifdef\b.*?`endif\b", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


class _Reader:
    def __init__(self, text: str) -> None:
        self.module = Module(text)
        text = _without_checks(text)
        self.tokens: list[tuple[str, str, int, int]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise SyntaxError(f"line {text.count(chr(10), 0, at) + 1}: {text[at : at + 20]!r}")
            at = match.end()
            if match.lastgroup != "blank":
                self.tokens.append((str(match.lastgroup), match[0], match.start(), match.end()))
        self.at = 0
        self.depth = 0

    # tokens

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead][1] if self.at + ahead < len(self.tokens) else ""

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def expect(self, text: str) -> None:
        if self.peek() != text:
            start = self.tokens[min(self.at, len(self.tokens) - 1)][2]
            line = self.module.text.count("\n", 0, start) + 1
            raise SyntaxError(f"line {line}: {self.peek()!r} where {text!r} was expected")
        self.at += 1

    def take(self, text: str) -> bool:
        if self.peek() == text:
            self.at += 1
            return True
        return False

    def begins(self) -> int:
        return self.tokens[self.at][2]

    def ended(self) -> int:
        return self.tokens[self.at - 1][3]

    def skip(self, opening: str, closing: str) -> None:
        """A pair of brackets with all between."""
        self.expect(opening)
        depth = 1
        while depth:
            word = self.next()
            depth += (word == opening) - (word == closing)

    # expressions

    def expression(self, least: int = 0) -> Node:
        left = self.operand()
        while (level := _BINARY.get(self.peek(), -1)) >= least:
            op = self.next()
            if op == "?":
                yes = self.expression()
                self.expect(":")
                no = self.expression()
                left = Node("choice", "?", left.start, no.end, [left, yes, no])
            else:
                right = self.expression(level + 1)
                left = Node("binary", op, left.start, right.end, [left, right])
        return left

    def operand(self) -> Node:
        start = self.begins()
        kind, word = self.tokens[self.at][:2]
        if word in _UNARY:
            self.next()
            inner = self.operand()
            return Node("unary", word, start, inner.end, [inner])
        if word == "(":
            self.next()
            inner = self.expression()
            self.expect(")")
            return Node("other", "(", start, self.ended(), [inner])
        if word == "{":
            self.next()
            parts = [self.expression()]
            if self.peek() == "{":  # how often is a constant
                parts = []
                self.next()
                parts.append(self.expression())
                while self.take(","):
                    parts.append(self.expression())
                self.expect("}")
            while self.take(","):
                parts.append(self.expression())
            self.expect("}")
            return Node("other", "{", start, self.ended(), parts)
        if kind in ("number", "text"):
            self.next()
            return Node("number" if kind == "number" else "other", word, start, self.ended())
        if kind != "name":
            self.expect("an operand")
        self.next()
        return self.named(start, word)

    def named(self, start: int, word: str) -> Node:
        parts: list[Node] = []
        bare = True
        if self.peek() == "(":  # a function
            self.next()
            if word == "$clog2":
                self.at -= 1
                self.skip("(", ")")
            else:
                parts.append(self.expression())
                while self.take(","):
                    parts.append(self.expression())
                self.expect(")")
            bare = False
        while self.peek() in ("[", "."):
            bare = False
            if self.next() == ".":  # of another scope, whose number is a constant
                parts = []
                self.next()
                continue
            index = self.expression()
            if self.peek() == ":":
                self.next()
                self.expression()
            elif self.peek() in ("+:", "-:"):
                self.next()
                self.expression()
                parts.append(index)
            else:
                parts.append(index)
            self.expect("]")
        return Node("name" if bare else "other", word, start, self.ended(), parts)

    # what a module is made of

    def place(self, role: str, **more: bool | str) -> Node:
        node = self.expression()
        self.module.places.append(Place(role, node, **more))  # type: ignore[arg-type]
        return node

    def file(self) -> Module:
        while self.at < len(self.tokens):
            word = self.peek()
            if word in _DIRECTIVES:
                self.at += 1 + _DIRECTIVES[word]
            elif word == "module":
                self.header()
                while self.peek() != "endmodule":
                    self.item()
                self.next()
            else:
                self.expect("module")
        return self.module

    def header(self) -> None:
        self.at += 2
        if self.take("#"):
            self.skip("(", ")")
        self.expect("(")
        width = ""
        while self.peek() != ")":
            word = self.peek()
            if word in ("input", "output"):
                width = ""
                self.next()
            elif word in ("wire", "reg", "signed", ","):
                self.next()
            elif word == "[":
                start = self.begins()
                self.skip("[", "]")
                width = self.module.text[start : self.ended()]
            else:
                self.module.widths[self.next()] = width
        self.next()
        self.expect(";")

    def item(self) -> None:
        word = self.peek()
        if word in ("generate", "endgenerate", ";", "end", "else"):
            self.depth -= word == "end"
            self.next()
        elif word == "begin":
            self.depth += 1
            self.next()
            if self.take(":"):
                self.next()
        elif word in ("genvar", "integer"):
            while self.next() != ";":
                pass
        elif word in ("localparam", "parameter"):
            self.next()
            self.take("signed")
            if self.peek() == "[":
                self.skip("[", "]")
            while True:
                self.next()
                self.expect("=")
                self.place("constant")
                if not self.take(","):
                    break
            self.expect(";")
        elif word in ("wire", "reg", "input", "output"):
            self.declaration()
        elif word == "assign":
            self.next()
            self.assignment("=", clocked=False, nested=False, reset=False, whole=False)
            self.expect(";")
        elif word == "always":
            self.next()
            self.expect("@")
            clocked = self.peek() == "("
            if clocked:
                self.skip("(", ")")
            else:
                self.expect("*")
            self.statement(clocked=clocked, nested=False, reset=False)
        elif word.startswith("`ASSERT"):  # a claim about the circuit, no part of it
            self.next()
            self.skip("(", ")")
        elif word == "function":
            self.function()
        elif word == "if":
            self.next()
            self.skip("(", ")")
        elif word == "for":
            self.loop()
        elif word in _DIRECTIVES:
            self.at += 1 + _DIRECTIVES[word]
        elif self.tokens[self.at][0] == "name":
            self.instance()
        else:
            self.expect("an item")

    def declaration(self) -> None:
        self.next()
        self.take("reg")
        self.take("signed")
        width = ""
        if self.peek() == "[":
            start = self.begins()
            self.skip("[", "]")
            width = self.module.text[start : self.ended()]
        while True:
            name = self.next()
            array = self.peek() == "["
            while self.peek() == "[":
                self.skip("[", "]")
            if not array:
                self.module.widths[name] = width
                if self.depth:
                    self.module.inner.add(name)
            if self.take("="):
                self.place("value", target=name)
            if not self.take(","):
                break
        self.expect(";")

    def function(self) -> None:
        self.next()
        if self.peek() == "[":
            self.skip("[", "]")
        self.next()
        self.skip("(", ")")
        self.expect(";")
        while self.peek() in ("reg", "integer", "input"):
            while self.next() != ";":
                pass
        self.statement(clocked=False, nested=True, reset=False)
        self.expect("endfunction")

    def instance(self) -> None:
        self.next()
        if self.take("#"):
            self.connections("constant")
        self.next()  # its name
        self.connections("port")
        self.expect(";")

    def connections(self, role: str) -> None:
        self.expect("(")
        while self.peek() != ")":
            self.expect(".")
            self.next()
            self.expect("(")
            if self.peek() != ")":
                node = self.expression()
                output = role == "port" and node.kind in ("name", "other") and node.op != "("
                if not output:  # a signal, part of one or several: may be driven
                    self.module.places.append(Place(role, node))
            self.expect(")")
            self.take(",")
        self.next()

    def assignment(self, op: str, *, clocked: bool, nested: bool, reset: bool, whole: bool) -> None:
        start = self.begins()
        target = ""
        if self.peek() == "{":
            self.skip("{", "}")
        else:
            target = self.next()
            while self.peek() == "[":
                target = ""
                self.skip("[", "]")
        if self.peek() not in ("=", "<="):
            self.expect(op)
        self.next()
        node = self.place("value", target=target, clocked=clocked, nested=nested, reset=reset)
        if whole:
            both = Node("other", "=", start, node.end + 1)
            self.module.places.append(Place("statement", both, target, clocked, reset, nested))

    def loop(self) -> None:
        """The head of a `for`, whose ends are constants."""
        self.next()
        self.expect("(")
        self.next()
        self.expect("=")
        self.place("constant")
        self.expect(";")
        self.place("constant")
        self.expect(";")
        while not self.take(")"):
            if self.next() == "(":
                self.at -= 1
                self.skip("(", ")")

    def statement(self, *, clocked: bool, nested: bool, reset: bool) -> None:
        word = self.peek()
        if word == "begin":
            self.next()
            if self.take(":"):
                self.next()
            while self.peek() in ("reg", "integer"):
                while self.next() != ";":
                    pass
            while not self.take("end"):
                self.statement(clocked=clocked, nested=nested, reset=reset)
        elif word == "if":
            self.next()
            self.expect("(")
            node = self.place("condition", clocked=clocked, nested=nested)
            self.expect(")")
            inner = reset or "rst" in re.findall(r"\w+", self.module.text[node.start : node.end])
            self.statement(clocked=clocked, nested=True, reset=inner)
            if self.take("else"):
                self.statement(clocked=clocked, nested=True, reset=reset)
        elif word == "case":
            self.next()
            self.expect("(")
            self.expression()
            self.expect(")")
            while not self.take("endcase"):
                if not self.take("default"):
                    self.expression()
                    while self.take(","):
                        self.expression()
                self.expect(":")
                self.statement(clocked=clocked, nested=True, reset=reset)
        elif word == "for":
            self.loop()
            self.statement(clocked=clocked, nested=nested, reset=reset)
        elif word == ";":
            self.next()
        else:
            self.assignment("<=" if clocked else "=", clocked=clocked, nested=nested, reset=reset, whole=True)
            self.expect(";")


def read(text: str) -> Module:
    """The places of a file with one module.

    Raises:
        SyntaxError: something that the house's files do not have.
    """
    return _Reader(text).file()
