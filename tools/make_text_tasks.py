#!/usr/bin/env python3
"""Makes task files for `twofold eval` and `twofold lab` from any text, to score small models on what they know.

Needs nothing but Python. The same text, seed and counts give the same files:
  cloze.jsonl    last words of passages, words that stood in the passage before; LAMBADA's layout
  choice.jsonl   how a passage goes on: the true words, and as many from three other places; {query, choices, gold}
  extract.jsonl  a passage, and one of its sentences again up to a name in it, which is asked for; SWDE's layout
"""

import argparse
import json
import pathlib
import random
import re


def read_passages(text: str, smallest: int, largest: int) -> list[list[str]]:
    """Paragraphs as lists of words; long ones are cut at the end of a sentence where there is one."""
    passages = []
    for paragraph in re.split(r"\n\s*\n", text):
        words = paragraph.split()
        while len(words) >= smallest:
            ends = [i + 1 for i in range(smallest - 1, min(largest, len(words))) if re.search(r"[.!?][\"”’']*$", words[i])]
            end = ends[-1] if ends else min(largest, len(words))
            passages.append(words[:end])
            words = words[end:]
    return passages


def bare(word: str) -> str:
    return re.sub(r"^[^\w]+|[^\w]+$", "", word)


def cloze(passage: list[str]) -> dict | None:
    """The passage up to its last word that has at least four letters and has stood in it before."""
    seen = [bare(word).lower() for word in passage]
    for end in range(len(passage) - 1, len(passage) * 2 // 3, -1):
        target = bare(passage[end])
        if len(target) >= 4 and target.isalpha() and target.lower() in seen[:end] and passage[end].startswith(target):
            return {"text": " ".join([*passage[:end], target])}
    return None


def choice(passages: list[list[str]], at: int, words: int, rng: random.Random) -> dict:
    passage = passages[at]
    cut = len(passage) - words
    choices = [" ".join(passage[cut:])]
    while len(choices) < 4:
        other = passages[rng.randrange(len(passages))]
        if other is passage:
            continue
        start = rng.randrange(len(other) - words + 1)
        candidate = " ".join(other[start:start + words])
        if candidate not in choices:
            choices.append(candidate)
    order = list(range(4))
    rng.shuffle(order)
    return {"query": " ".join(passage[:cut]), "choices": [choices[i] for i in order], "gold": order.index(0)}


def extract(passage: list[str]) -> dict | None:
    """The first capitalised word inside a sentence, four words or more after its beginning."""
    start = 0
    for i, word in enumerate(passage):
        value = bare(word)
        if i - start >= 4 and len(value) >= 4 and value[0].isupper() and value[1:].islower() and word.startswith(value):
            return {"text": " ".join(passage) + "\n" + " ".join(passage[start:i]), "key": "", "value": value}
        if re.search(r"[.!?:;][\"”’']*$", word):
            start = i + 1
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=pathlib.Path, help="text file, held out from the model's training")
    parser.add_argument("out", type=pathlib.Path, help="directory to write to")
    parser.add_argument("--items", type=int, default=1000, help="items of each file, at most (default 1000)")
    parser.add_argument("--words", type=int, nargs=2, default=(40, 90), metavar=("MIN", "MAX"),
                        help="words of a passage (default 40 90)")
    parser.add_argument("--choice-words", type=int, default=12, help="words of a choice (default 12)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    smallest, largest = arguments.words
    if not 0 < arguments.choice_words < smallest <= largest:
        parser.error("--choice-words must be less than the words of a passage")
    passages = read_passages(arguments.text.read_text(encoding="utf-8"), smallest, largest)
    if len(passages) < 4:
        raise SystemExit(f"{arguments.text}: fewer than four passages of {smallest} words")
    order = list(range(len(passages)))
    random.Random(arguments.seed).shuffle(order)
    rng = random.Random(arguments.seed + 1)
    kinds = {
        "cloze": (cloze(passages[i]) for i in order),
        "choice": (choice(passages, i, arguments.choice_words, rng) for i in order),
        "extract": (extract(passages[i]) for i in order),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    for kind, rows in kinds.items():
        found = []
        for row in rows:
            if row is not None:
                found.append(row)
            if len(found) == arguments.items:
                break
        if not found:
            raise SystemExit(f"{arguments.text}: no passage makes an item for {kind}")
        (arguments.out / f"{kind}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found),
                                                     encoding="utf-8")
        print(f"{arguments.out / kind}.jsonl: {len(found)} items")


if __name__ == "__main__":
    main()
