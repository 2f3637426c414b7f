#!/usr/bin/env python3
"""Writes the tiny random Llama models of the tests, with their reference logits.

Each directory is a complete Hugging Face model without a tokenizer. Together they cover what the demo model
does not: tied embeddings, a head size that is not hidden / heads, sizes that no vector width divides, F32 and
F16, biases, shards.
"""

import argparse
import json
import pathlib

import numpy as np
from safetensors.numpy import save_file

from make_reference_logits import write_reference

BASE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "num_hidden_layers": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

MODELS = {
    "tiny-tied-gqa-f32": {
        "shards": 1,
        "config": {
            "hidden_size": 40, "intermediate_size": 100, "num_attention_heads": 6, "num_key_value_heads": 2,
            "head_dim": 12, "vocab_size": 131, "rope_theta": 500000.0, "tie_word_embeddings": True,
            "attention_bias": False, "mlp_bias": False, "torch_dtype": "float32",
        },
    },
    "tiny-bias-sharded-f16": {
        "shards": 3,
        "config": {
            "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 4,
            "vocab_size": 160, "rope_theta": 10000.0, "tie_word_embeddings": False,
            "attention_bias": True, "mlp_bias": True, "torch_dtype": "float16",
        },
    },
}


def shapes(config: dict) -> dict[str, tuple[int, ...]]:
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head_dim = config.get("head_dim", hidden // config["num_attention_heads"])
    q, kv = config["num_attention_heads"] * head_dim, config["num_key_value_heads"] * head_dim
    result: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab, hidden)}

    def linear(name: str, rows: int, cols: int, bias: bool) -> None:
        result[f"{name}.weight"] = (rows, cols)
        if bias:
            result[f"{name}.bias"] = (rows,)

    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        result[prefix + "input_layernorm.weight"] = (hidden,)
        for name, rows, cols in [("q", q, hidden), ("k", kv, hidden), ("v", kv, hidden), ("o", hidden, q)]:
            linear(f"{prefix}self_attn.{name}_proj", rows, cols, config["attention_bias"])
        result[prefix + "post_attention_layernorm.weight"] = (hidden,)
        for name, rows, cols in [("gate", inner, hidden), ("up", inner, hidden), ("down", hidden, inner)]:
            linear(f"{prefix}mlp.{name}_proj", rows, cols, config["mlp_bias"])
    result["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        result["lm_head.weight"] = (vocab, hidden)
    return result


def random_tensor(name: str, shape: tuple[int, ...], dtype: str, random: np.random.Generator) -> np.ndarray:
    if "norm" in name:
        values = 1 + 0.2 * random.standard_normal(shape)
    elif name.endswith(".bias"):
        values = 0.3 * random.standard_normal(shape)
    elif "embed_tokens" in name:
        values = 0.5 * random.standard_normal(shape)
    else:
        values = random.standard_normal(shape) / np.sqrt(shape[1])
    return values.astype(dtype)


def write_weights(directory: pathlib.Path, tensors: dict[str, np.ndarray], shards: int) -> None:
    if shards == 1:
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        return
    # Cut by bytes, not by layer, so that the tensors of one layer lie in different shards.
    total = sum(tensor.nbytes for tensor in tensors.values())
    weight_map, parts, seen = {}, [{} for _ in range(shards)], 0
    for name, tensor in tensors.items():
        shard = min(seen * shards // total, shards - 1)
        parts[shard][name] = tensor
        weight_map[name] = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        seen += tensor.nbytes
    for shard, part in enumerate(parts):
        save_file(part, directory / f"model-{shard + 1:05}-of-{shards:05}.safetensors", metadata={"format": "pt"})
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/runtime/data")
    arguments = parser.parse_args()
    for seed, (name, model) in enumerate(MODELS.items(), start=1):
        directory = arguments.out / name
        directory.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(seed)
        config = BASE | model["config"]
        tensors = {tensor: random_tensor(tensor, shape, config["torch_dtype"], random)
                   for tensor, shape in shapes(config).items()}
        write_weights(directory, tensors, model["shards"])
        (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        ids = [1] + random.integers(3, config["vocab_size"], 23).tolist()
        write_reference(directory, ids, 20, 20, directory / "reference.safetensors")


if __name__ == "__main__":
    main()
