#!/usr/bin/env python3
"""Writes a Llama of any size with random BF16 weights: to measure memory and speed at the shapes of real models.

The defaults are those of Llama-2-7B (13.5 GB). Weights are Gaussian; input channels differ in scale (log-normal,
and a few are outliers), norm weights have the same outliers, so that activations have them too. The text such a
model writes is noise, and says nothing about quality. The tokenizer is the demo's: config.json's larger vocabulary
has ids without a piece.

Needs only numpy. Holds a few blocks of one tensor in memory at a time; the result depends on the options and the
seed, not on the number of threads.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 22  # elements made at a time
OUTLIER_SHARE, OUTLIER_SCALE = 0.005, 6.0

Shape = tuple[int, ...]


def tensor_shapes(config: dict) -> dict[str, Shape]:
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    q = config["num_attention_heads"] * config["head_dim"]
    kv = config["num_key_value_heads"] * config["head_dim"]
    shapes: dict[str, Shape] = {"model.embed_tokens.weight": (vocab, hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes |= {
            prefix + "input_layernorm.weight": (hidden,),
            prefix + "self_attn.q_proj.weight": (q, hidden),
            prefix + "self_attn.k_proj.weight": (kv, hidden),
            prefix + "self_attn.v_proj.weight": (kv, hidden),
            prefix + "self_attn.o_proj.weight": (hidden, q),
            prefix + "post_attention_layernorm.weight": (hidden,),
            prefix + "mlp.gate_proj.weight": (inner, hidden),
            prefix + "mlp.up_proj.weight": (inner, hidden),
            prefix + "mlp.down_proj.weight": (hidden, inner),
        }
    shapes["model.norm.weight"] = (hidden,)
    shapes["lm_head.weight"] = (vocab, hidden)
    return shapes


def to_bf16(values: np.ndarray) -> np.ndarray:
    """Rounds in place and returns the upper halves; `values` is float32 and finite."""
    bits = values.view(np.uint32)
    bits += 0x8000
    return values.view(np.uint16)[..., 1::2]


def channel_scales(channels: int, random: np.random.Generator) -> np.ndarray:
    scales = np.exp(0.3 * random.standard_normal(channels, dtype=np.float32))
    outliers = random.choice(channels, max(1, int(channels * OUTLIER_SHARE)), replace=False)
    scales[outliers] *= OUTLIER_SCALE
    return scales


def tensor_blocks(shape: Shape, seed: list[int], pool: concurrent.futures.Executor, ahead: int) -> Iterator[bytes]:
    """The tensor's BF16 bytes, in order, with at most `ahead` blocks under way."""
    random = np.random.default_rng(seed)
    scales = channel_scales(shape[-1], random)
    if len(shape) == 1:
        yield to_bf16(scales).tobytes()
        return
    scales *= 0.02
    rows_per_block = max(1, BLOCK // shape[1])

    def make(begin: int) -> bytes:
        rows = min(rows_per_block, shape[0] - begin)
        values = np.random.default_rng(seed + [begin]).standard_normal((rows, shape[1]), dtype=np.float32)
        values *= scales
        return to_bf16(values).tobytes()

    pending = []
    for begin in range(0, shape[0], rows_per_block):
        pending.append(pool.submit(make, begin))
        if len(pending) > ahead:
            yield pending.pop(0).result()
    for block in pending:
        yield block.result()


def split_shards(shapes: dict[str, Shape], limit: int) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    size = 0
    for name, shape in shapes.items():
        nbytes = 2 * int(np.prod(shape))
        if shards[-1] and size + nbytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += nbytes
    return shards


def write_model(arguments: argparse.Namespace) -> None:
    heads = arguments.heads
    if arguments.hidden % heads or heads % (arguments.kv_heads or heads):
        raise SystemExit("--heads must divide --hidden, and --kv-heads must divide --heads")
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": arguments.hidden, "intermediate_size": arguments.intermediate,
        "num_hidden_layers": arguments.layers, "num_attention_heads": heads,
        "num_key_value_heads": arguments.kv_heads or heads, "head_dim": arguments.hidden // heads,
        "vocab_size": arguments.vocab, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
    }
    shapes = tensor_shapes(config)
    numbers = {name: number for number, name in enumerate(shapes)}
    shards = split_shards(shapes, int(arguments.shard_gb * 1e9))
    out = arguments.out
    out.mkdir(parents=True)
    weight_map, total = {}, 0
    with concurrent.futures.ThreadPoolExecutor(arguments.threads) as pool:
        for number, names in enumerate(shards, start=1):
            file_name = f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
            header: dict[str, object] = {"__metadata__": {"format": "pt"}}
            end = 0
            for name in names:
                begin, end = end, end + 2 * int(np.prod(shapes[name]))
                header[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [begin, end]}
                weight_map[name] = file_name
            total += end
            text = json.dumps(header, separators=(",", ":")).encode()
            text += b" " * (-len(text) % 8)
            with open(out / file_name, "wb") as file:
                file.write(len(text).to_bytes(8, "little") + text)
                for name in names:
                    for block in tensor_blocks(shapes[name], [arguments.seed, numbers[name]], pool, arguments.threads):
                        file.write(block)
            print(f"{out / file_name}: {end / 1e9:.2f} GB", flush=True)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    demo = pathlib.Path(__file__).resolve().parent.parent / "demo/books-llama-8m"
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(demo / name, out / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, help="directory to create")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--intermediate", type=int, default=11008)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, default=0, help="0: as many as --heads")
    parser.add_argument("--vocab", type=int, default=32000)
    parser.add_argument("--shard-gb", type=float, default=5.0, help="largest file, 10^9 bytes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    write_model(parser.parse_args())


if __name__ == "__main__":
    main()
