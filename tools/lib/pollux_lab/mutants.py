# SPDX-License-Identifier: BSD-3-Clause
"""Makes mutants: small deliberate mistakes in C++ sources. It does not parse the sources but relies on clang-format: a binary
operator has spaces around it, and brackets of templates have none. Mutants that do not compile are counted as such."""

import dataclasses
import difflib
import hashlib
import re

# Comments, literals and preprocessor lines, which are never changed.
_OPAQUE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\''
                     r'|^[ \t]*#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)
_ASSERT = re.compile(r"\b(?:static_assert|assert)\s*\(")
_SWAPS = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="], "&&": ["||"],
          "||": ["&&"], "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"], "|": ["&"], "&": ["|"], "^": ["|"],
          "<<": [">>"], ">>": ["<<"], "+=": ["-="], "-=": ["+="], "|=": ["&="], "&=": ["|="]}
_OPERATOR = re.compile(r"(?<= )(?:" + "|".join(re.escape(word) for word in sorted(_SWAPS, key=len, reverse=True)) + r")(?=[ \n])")
_NUMBER = re.compile(r"(?<![\w.'])(0[xX][0-9a-fA-F']+|\d[\d']*)([uUlLzZ]*)(?![\w.'])")
_ITSELF = "\0"  # stands for the replaced text in a replacement
_TRUTH = re.compile(r"\b(?:true|false)\b")
_CONDITION = re.compile(r"\b(?:if|while) \(")
_RETURN = re.compile(r"\breturn ([^;]+);")
# A statement that is a call or an assignment: it begins where another one ended, names no type, and contains no block.
_STATEMENT = re.compile(r"(?<=[;{})])(?P<space>\s+)(?P<text>(?!return\b|case\b|using\b|else\b|throw\b|delete\b|goto\b|namespace\b"
                        r"|template\b|[A-Z_]+\(|static_assert\b|friend\b|typedef\b|extern\b|operator\b)"
                        r"(?:\+\+|--|\*)?[A-Za-z_][\w:.\[\]]*(?:<[\w:, ]+>)?(?:->[\w.\[\]]+)*"
                        r"(?:\+\+;|--;|;|(?:\(| (?:[-+|&^*]|<<|>>)?= )[^;{}]*;))")


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str      # below the project's root
    begin: int     # the replaced part of the text
    end: int
    new: str
    kind: str
    line: int      # from 1

    def apply(self, text: str) -> str:
        return text[:self.begin] + self.new + text[self.end:]

    def difference(self, text: str) -> str:
        """The lines that differ, as diff -U0 shows them."""
        lines = difflib.unified_diff(text.splitlines(), self.apply(text).splitlines(), n=0, lineterm="")
        return "\n".join(line for line in lines if line[:3] not in ("---", "+++", "@@ "))

    def key(self, text: str, seed: int) -> str:
        """A key for a random order, in which a mutant keeps its place when other parts of the sources change."""
        return hashlib.sha256(f"{seed}\n{self.path}\n{self.kind}\n{self.difference(text)}".encode()).hexdigest()


def mutants_of(path: str, text: str) -> list[Mutant]:
    """All mutants of a text, in the order of the text."""
    code = code_of(text)
    found: list[Mutant] = []
    for kind, make in (("condition", _conditions), ("operator", _operators), ("constant", _constants), ("return", _returns),
                       ("statement", _statements)):
        found += [Mutant(path, begin, end, new.replace(_ITSELF, text[begin:end]), kind, text.count("\n", 0, begin) + 1)
                  for begin, end, new in make(code)]
    return sorted(set(found), key=lambda mutant: (mutant.begin, mutant.end, mutant.new))


def code_of(text: str) -> str:
    """The text with blanks in place of the parts that are never changed; positions stay the same."""
    def blank(found: re.Match) -> str:
        return "".join(c if c == "\n" else " " for c in found[0])
    text = _OPAQUE.sub(blank, text)
    for found in _ASSERT.finditer(text):
        end = _closing(text, found.end() - 1)
        text = text[:found.start()] + re.sub(r"[^\n]", " ", text[found.start():end + 1]) + text[end + 1:]
    return text


def _closing(code: str, at: int) -> int:
    """The position at which the bracket that opens at `at` is closed."""
    depth = 0
    for position in range(at, len(code)):
        depth += (code[position] in "([{") - (code[position] in ")]}")
        if depth == 0:
            return position
    return len(code) - 1


def _conditions(code: str):
    for found in _CONDITION.finditer(code):
        begin = found.end()
        end = _closing(code, begin - 1)
        begin += code[begin:end].rfind("; ") + 2 if "; " in code[begin:end] else 0  # if (auto x = f(); x)
        condition = code[begin:end]
        if condition.strip() and not re.search(r"[^=!<>]=[^=]", condition):
            yield begin, end, f"!({_ITSELF})"


def _operators(code: str):
    for found in _OPERATOR.finditer(code):
        line = code[code.rfind("\n", 0, found.start()) + 1:found.start()]
        if "template" in line or "operator" in line:
            continue
        for new in _SWAPS[found[0]]:
            yield found.start(), found.end(), new
    for found in re.finditer(r"\+\+|--", code):
        yield found.start(), found.end(), "--" if found[0] == "++" else "++"


def _constants(code: str):
    for found in _NUMBER.finditer(code):
        value = int(found[1].replace("'", ""), 0 if found[1][:2] in ("0x", "0X") or not found[1].startswith("0") else 8)
        yield found.start(), found.end(), f"{0 if value == 1 else value + 1}{found[2]}"
    for found in _TRUTH.finditer(code):
        yield found.start(), found.end(), "false" if found[0] == "true" else "true"


def _returns(code: str):
    for found in _RETURN.finditer(code):
        if found[1] not in ("{}", "true", "false", "0", "nullptr") and "{" not in found[1]:
            yield found.start(1), found.end(1), "{}"


def _statements(code: str):
    for found in _STATEMENT.finditer(code):
        text = found["text"]
        if text.count("(") == text.count(")") and text.endswith(";"):
            yield found.start("text"), found.end("text"), "{}"
