#!/usr/bin/env python3
"""Writes small task files in the public data sets' layouts and the log-likelihoods that transformers computes.

The rows are made up. Prompts are built here as lm-evaluation-harness builds them, by code of its own, so that the
fixture checks readers, prompts, tokens and sums together. Everything is computed in float32 on one thread, one
sequence at a time, without a cache.
"""

import argparse
import csv
import json
import pathlib
import re

import torch
import transformers

LAMBADA = [
    {"text": "The captain took the wheel himself, for the night was dark and the wind had risen. \"Hold fast,\" he cried "
             "to the men, and they held fast, for they trusted the captain"},
    {"text": "She opened the letter with trembling hands, read it twice, and let it fall. There was no more to be said; "
             "he had gone, and he had not even written his own name at the foot of the letter"},
    {"text": "He said that he did not know what to do, and that he did not know what to do"},
    {"text": "He looked up to the sky and saw the first star of the evening, and he knew that it was getting late"},
    # Longer than the demo model's context of 256 tokens: its beginning is cut off.
    {"text": " ".join(f"On day {i} the old man walked down to the river and came back again before the sun went down."
                      for i in range(1, 17)) + " And on the last day he did not come back from the river"},
]
HELLASWAG = [
    {"activity_label": "Making tea", "ctx_a": "A woman fills a kettle with water.", "ctx_b": "she",
     "ctx": "A woman fills a kettle with water. she", "label": 2, "source_id": "x~1",
     "endings": ["throws the kettle into the sea.", "is a kettle of fish and water.",
                 "sets it upon the fire and waits.", "reads the river to the horse."]},
    {"activity_label": "Home and Garden", "ctx_a": "[header] How to plant a tree [title] Dig a hole. [step] It should "
     "be as deep as the roots are long.", "ctx_b": "", "ctx": "", "label": "0", "source_id": "wikihow~2",
     "endings": ["[substeps] Put the tree into the hole,  and fill it with earth.", "Sing until the hole is gone.",
                 "Leave the tree upon the roof [title] Go away.", "Water is made of earth."]},
]
PIQA = [
    {"goal": "How do I light a fire?", "sol1": "Strike a match and hold it to dry wood.",
     "sol2": "Pour cold water over the wood."},
    {"goal": "door", "sol1": "can be opened with a spoon of sugar ", "sol2": "can be opened with a key"},
]
PIQA_LABELS = [0, 1]
WINOGRANDE = [
    {"qID": "a-1", "sentence": "Anna gave the book to Mary because _ had finished reading it.", "option1": "Anna",
     "option2": "Mary", "answer": "1"},
    {"qID": "a-2", "sentence": "The horse could not pull the cart up the hill, for the _ was too heavy.",
     "option1": "horse", "option2": "cart", "answer": "2"},
]
MATHQA = [
    {"Problem": "a man buys a horse for 20 pounds and sells it for 25 pounds . what does he gain ?", "Rationale": "x",
     "options": "a ) 5 pounds , b ) 20 pounds , c ) 25 pounds , d ) 1,000 pounds , e ) none of these", "correct": "a",
     "annotated_formula": "", "linear_formula": "", "category": "gain"},
]
MMLU = [
    ["Which of these is a planet?", "The sun", "The moon", "Mars", "A comet", "2"],
    ["He said, \"it moves\".\nWho said so?", "Newton, Isaac", "Galileo", "Kepler", "No one", "1"],
]
MMLU_DEV = [
    ["What does the earth turn round?", "The sun", "The moon", "Mars", "Nothing", "0"],
    ["How many moons has the earth?", "None", "One", "Two", "Three", "1"],
    ["This one is not used.", "1", "2", "3", "4", "3"],
]
SWDE = [
    {"doc_id": "1", "file_name": "a", "key": "author", "value": "and", "text": "The house stood upon the hill, and "
     "the river ran below it. The house "},
    {"doc_id": "2", "file_name": "a", "key": "title", "value": "Zanzibar", "text": "Title: Zanzibar. Written long ago. "
     "Title:"},
]


def hellaswag_clean(text: str) -> str:
    text = text.strip().replace(" [title]", ". ")
    return re.sub("\\[.*?\\]", "", text).replace("  ", " ")


def requests() -> dict[str, list]:
    """Per task the items, each a list of (context, continuation)."""
    tasks = {"lambada": [], "hellaswag": [], "piqa": [], "winogrande": [], "mathqa": [], "mmlu": []}
    for row in LAMBADA:
        words = row["text"].split(" ")
        tasks["lambada"].append([(" ".join(words[:-1]), " " + words[-1])])
    for row in HELLASWAG:
        context = hellaswag_clean(row["activity_label"] + ": " + row["ctx_a"] + " " + row["ctx_b"].capitalize())
        tasks["hellaswag"].append([(context, " " + hellaswag_clean(ending)) for ending in row["endings"]])
    for row in PIQA:
        tasks["piqa"].append([(f"Question: {row['goal']}\nAnswer:", " " + row[s]) for s in ("sol1", "sol2")])
    for row in WINOGRANDE:
        blank = row["sentence"].index("_")
        tasks["winogrande"].append([(row["sentence"][:blank] + row[o], " " + row["sentence"][blank + 1:].strip())
                                    for o in ("option1", "option2")])
    for row in MATHQA:
        options = [c[4:].rstrip(" ,") for c in re.findall(r"[abcd] \) .*?, |e \) .*?$", row["options"])]
        tasks["mathqa"].append([(f"Question: {row['Problem']}\nAnswer:", " " + option) for option in options])

    def question(row: list[str]) -> str:
        return row[0].strip() + "".join(f"\n{letter}. {text}" for letter, text in zip("ABCD", row[1:5])) + "\nAnswer:"

    before = "The following are multiple choice questions (with answers) about astronomy.\n\n"
    before += "".join(f"{question(row)} {'ABCD'[int(row[5])]}\n\n" for row in MMLU_DEV[:2])
    for row in MMLU:
        tasks["mmlu"].append([(before + question(row), " " + letter) for letter in "ABCD"])
    return tasks


def encode_pair(tokenizer, context: str, continuation: str) -> tuple[list[int], list[int]]:
    spaces = len(context) - len(context.rstrip())
    if spaces > 0:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    whole = tokenizer.encode(context + continuation, add_special_tokens=False)
    first = len(tokenizer.encode(context, add_special_tokens=False))
    return whole[:first], whole[first:]


@torch.no_grad()
def score(model, tokenizer, context: str, continuation: str, bos: bool) -> dict:
    before, target = encode_pair(tokenizer, context, continuation)
    if bos:
        before = [tokenizer.bos_token_id] + before
    tokens = (before + target)[-(model.config.max_position_embeddings + 1):]
    logits = model(torch.tensor([tokens[:-1]])).logits[0, -len(target):]
    chosen = torch.log_softmax(logits, -1).gather(1, torch.tensor(target)[:, None])
    margin = float((logits.topk(2).values @ torch.tensor([1.0, -1.0])).min())
    if margin < 1e-3:
        raise SystemExit(f"two tokens are too close for a greedy test: {context[-40:]!r} {continuation!r}")
    return {"log_likelihood": round(float(chosen.sum()), 5), "greedy": bool((logits.argmax(-1) == torch.tensor(target)).all())}


@torch.no_grad()
def extract(model, tokenizer, text: str) -> str:
    tokens = tokenizer.encode(text.strip(), add_special_tokens=False)
    first = len(tokens)
    for _ in range(16):
        token = int(model(torch.tensor([tokens])).logits[0, -1].argmax())
        if token == tokenizer.eos_token_id:
            break
        tokens.append(token)
        if "\n" in tokenizer.decode(tokens[first:]):
            break
    return tokenizer.decode(tokens[first:]).split("\n")[0]


def write_lines(path: pathlib.Path, rows: list) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="Hugging Face directory, context of 256 tokens")
    parser.add_argument("out", type=pathlib.Path, help="directory to write to")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    write_lines(out / "lambada.jsonl", LAMBADA)
    write_lines(out / "hellaswag.jsonl", HELLASWAG)
    write_lines(out / "piqa.jsonl", PIQA)
    (out / "piqa-labels.lst").write_text("".join(f"{label}\n" for label in PIQA_LABELS))
    write_lines(out / "winogrande.jsonl", WINOGRANDE)
    write_lines(out / "swde.jsonl", SWDE)
    (out / "mathqa.json").write_text(json.dumps(MATHQA, indent=1) + "\n")
    for name, rows in (("astronomy_test.csv", MMLU), ("astronomy_dev.csv", MMLU_DEV)):
        with open(out / name, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["question", "A", "B", "C", "D", "answer"], *rows])

    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, torch_dtype=torch.float32)
    model.eval()
    expected = {"transformers": transformers.__version__, "torch": torch.__version__}
    for task, items in requests().items():
        expected[task] = [[score(model, tokenizer, *pair, bos=False) for pair in item] for item in items]
    expected["piqa with bos"] = [[score(model, tokenizer, *pair, bos=True) for pair in item]
                                 for item in requests()["piqa"]]
    expected["swde"] = [extract(model, tokenizer, row["text"]) for row in SWDE]
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
