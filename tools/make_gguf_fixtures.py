"""GGUF fixtures, written with the gguf package.

    pip install -r tools/requirements-gguf.txt
    python tools/make_gguf_fixtures.py

Writes tests/tensor/data/gguf_blocks.safetensors: for every type a tensor NAME.bytes (random blocks with steps of
ordinary size) and NAME.values (F32) as the package computes them. Writes tests/runtime/data/tiny-tied-gqa-f32.gguf:
the Llama model of the directory of that name, converted as llama.cpp's convert_hf_to_gguf.py does.
"""

import json
import pathlib
import struct

import gguf
import numpy as np

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
# Where the binary16 steps stand in a block, in bytes.
STEPS = {"Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
         "Q4_1": [0, 2], "Q5_1": [0, 2]}
ELEMENTS = 512


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        raw = array.tobytes()
        dtype = {np.dtype(np.uint8): "U8", np.dtype(np.float32): "F32"}[array.dtype]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    data = raw[8 + length:]
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], dtype=np.float32).reshape(entry["shape"])
            for name, entry in header.items()}


def permute(weights, heads):
    """Channels that turn together, i and i + half of a head, are made neighbours."""
    return (weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
            .swapaxes(1, 2).reshape(weights.shape))


def write_llama(source, destination):
    config = json.loads((source / "config.json").read_text())
    tensors = read_safetensors(source / "model.safetensors")
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(destination, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, array in tensors.items():
        if name.endswith("q_proj.weight"):
            array = permute(array, heads)
        if name.endswith("k_proj.weight"):
            array = permute(array, kv_heads)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    rng = np.random.default_rng(1)
    tensors = {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block, width = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (ELEMENTS // block, width), dtype=np.uint8)
        for offset in STEPS.get(name, [0]):
            steps = (rng.uniform(0.01, 1, (len(blocks), 1)) * rng.choice([-1, 1], (len(blocks), 1)))
            blocks[:, offset:offset + 2] = steps.astype(np.float16).view(np.uint8)
        tensors[f"{name}.bytes"] = blocks.reshape(-1)
        tensors[f"{name}.values"] = gguf.quants.dequantize(blocks, kind).astype(np.float32).reshape(-1)
    root = pathlib.Path(__file__).resolve().parent.parent
    write_safetensors(root / "tests/tensor/data/gguf_blocks.safetensors", tensors)
    models = root / "tests/runtime/data"
    write_llama(models / "tiny-tied-gqa-f32", models / "tiny-tied-gqa-f32.gguf")


main()
