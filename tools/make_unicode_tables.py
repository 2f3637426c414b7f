#!/usr/bin/env python3
"""Writes src/text/unicode_tables.cpp: the code points that the reference takes for words and for space.

They decide where an added token with "single_word", "lstrip" or "rstrip" matches. The reference's regular
expressions \\w and \\s depend on its Unicode version, so the sets are asked from the package itself: a code point
next to a single_word token is a word character if it hides the token.

    pip install -r tools/requirements-tokenizers.txt
    python3 tools/make_unicode_tables.py
"""

import pathlib

import tokenizers
from tokenizers import AddedToken, Tokenizer, models

TARGET = pathlib.Path(__file__).resolve().parent.parent / "src" / "text" / "unicode_tables.cpp"
TOKEN = "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}"


def token_lengths(token, characters):
    """For each character c: the characters that the token takes in c + token, or 0 where it does not match."""
    tokenizer = Tokenizer(models.BPE(vocab={"?": 0}, merges=[], unk_token="?"))
    tokenizer.add_tokens([token])
    result = []
    for encoding in tokenizer.encode_batch([c + TOKEN for c in characters], add_special_tokens=False):
        spans = [offsets for offsets, text in zip(encoding.offsets, encoding.tokens) if TOKEN in text]
        result.append(spans[0][1] - spans[0][0] if spans else 0)
    return result


def ranges(code_points):
    found = []
    for point in code_points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found


def table(name, code_points):
    entries = [f"{{0x{first:04X}, 0x{last:04X}}}" for first, last in ranges(code_points)]
    lines = []
    for entry in entries:
        if lines and len(lines[-1]) + len(entry) + 3 <= 110:
            lines[-1] += f" {entry},"
        else:
            lines.append(f"    {entry},")
    body = "\n".join(lines)
    return (
        f"constexpr CodePointRange {name}Array[] = {{\n{body}\n}};\n"
        f"const std::span<const CodePointRange> {name} = {name}Array;\n"
    )


def main():
    points = [p for p in range(0x110000) if not 0xD800 <= p <= 0xDFFF and chr(p) != TOKEN]
    characters = [chr(p) for p in points]
    hidden = token_lengths(AddedToken(TOKEN, single_word=True, normalized=False), characters)
    taken = token_lengths(AddedToken(TOKEN, lstrip=True, normalized=False), characters)
    word = [p for p, length in zip(points, hidden) if length == 0]
    space = [p for p, length in zip(points, taken) if length == 2]
    TARGET.write_text(
        "// clang-format off\n"
        f"// Made by tools/make_unicode_tables.py from tokenizers {tokenizers.__version__}.\n"
        '#include "text/unicode.h"\n\nnamespace twofold {\n\n'
        + table("kWordRanges", word)
        + "\n"
        + table("kSpaceRanges", space)
        + "\n}  // namespace twofold\n",
        encoding="utf-8",
    )
    print(f"{TARGET}: {len(word)} word characters, {len(space)} space characters")


if __name__ == "__main__":
    main()
