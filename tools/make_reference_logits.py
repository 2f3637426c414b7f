#!/usr/bin/env python3
"""Writes the logits that Hugging Face transformers computes for a model, as a fixture for the C++ tests.

Tensors of the fixture (safetensors), V = vocabulary:
  input_ids       I64 [T]     the prompt
  prefill_logits  F32 [T, V]  logits after each position of the prompt
  decode_ids      I64 [N]     tokens chosen greedily, decode_ids[0] from the last row of prefill_logits
  decode_logits   F32 [S, V]  row i: logits after decode_ids[i] was fed through the KV cache, S <= N

Everything is computed in float32 on one thread.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

PROMPT = "The old house stood upon a hill, and from its windows one could see the river winding slowly towards the sea."

# Below this distance between the two best logits another order of summation could choose another token.
SMALLEST_MARGIN = 5e-3


def prompt_ids(model_directory: pathlib.Path, text: str, count: int) -> list[int]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_directory)
    ids = tokenizer(text)["input_ids"]
    if len(ids) < count:
        raise SystemExit(f"the prompt has {len(ids)} tokens, {count} are wanted")
    return ids[:count]


@torch.no_grad()
def write_reference(model_directory: pathlib.Path, ids: list[int], steps: int, stored_steps: int,
                    destination: pathlib.Path, cached_is_whole: bool = True, attention: str = "eager") -> None:
    """Runs the model on `ids`, then `steps` greedy tokens of which `stored_steps` keep their logits.
    `cached_is_whole`: a step through the cache says what a pass over the whole sequence says; not so where the
    rotation depends on the length of the text."""
    torch.set_num_threads(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        model_directory, torch_dtype=torch.float32, attn_implementation=attention)
    model.eval()

    out = model(torch.tensor([ids]), use_cache=True)
    prefill = out.logits[0]
    chosen, rows = [], []
    last = prefill[-1]
    margins = []
    for _ in range(steps):
        best = torch.topk(last, 2)
        margins.append(float(best.values[0] - best.values[1]))
        chosen.append(int(best.indices[0]))
        out = model(torch.tensor([[chosen[-1]]]), past_key_values=out.past_key_values, use_cache=True)
        last = out.logits[0, -1]
        rows.append(last)

    # The cached steps must say what one pass over the whole sequence says.
    whole = model(torch.tensor([ids + chosen])).logits[0]
    difference = float((whole[len(ids):] - torch.stack(rows)).abs().max())
    print(f"{destination}: smallest margin {min(margins):.4f}, cached against whole {difference:.1e}, "
          f"largest logit {float(whole.abs().max()):.2f}")
    if min(margins) < SMALLEST_MARGIN:
        raise SystemExit("two tokens are too close for a greedy test: choose another prompt")
    if cached_is_whole and difference > 1e-3:
        raise SystemExit("cached and whole pass differ")

    destination.parent.mkdir(parents=True, exist_ok=True)
    save_file({
        "input_ids": np.array(ids, dtype=np.int64),
        "prefill_logits": prefill.numpy(),
        "decode_ids": np.array(chosen, dtype=np.int64),
        "decode_logits": torch.stack(rows[:stored_steps]).numpy(),
    }, destination, metadata={"transformers": transformers.__version__, "torch": torch.__version__})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="Hugging Face directory")
    parser.add_argument("out", type=pathlib.Path, help="safetensors file to write")
    parser.add_argument("--prompt", default=PROMPT, help="text, cut to --tokens tokens")
    parser.add_argument("--ids", type=json.loads, help="prompt as a JSON list of ids, instead of --prompt")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--steps", type=int, default=20, help="greedy tokens")
    parser.add_argument("--stored-steps", type=int, default=12, help="of these, the first so many keep their logits")
    arguments = parser.parse_args()
    ids = arguments.ids or prompt_ids(arguments.model, arguments.prompt, arguments.tokens)
    write_reference(arguments.model, ids, arguments.steps, min(arguments.stored_steps, arguments.steps), arguments.out)


if __name__ == "__main__":
    main()
