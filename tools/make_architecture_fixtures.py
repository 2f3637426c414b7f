#!/usr/bin/env python3
"""Writes a tiny random model of every architecture that Twofold runs, with its reference logits.

Each directory is a complete Hugging Face model without a tokenizer, saved by transformers itself, so that tensor
names and layouts are those of published models. Weights are seeded; norms and biases are drawn so that none is
trivial. Variants of one architecture cover the settings that change what is computed.
"""

import argparse
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file

from make_reference_logits import write_reference

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64,
         "max_position_embeddings": 64}
LLAMA = SMALL | {"intermediate_size": 48, "num_key_value_heads": 2, "rms_norm_eps": 1e-5}
GEMMA = LLAMA | {"head_dim": 12, "hidden_activation": "gelu_pytorch_tanh"}
QWEN_MOE = LLAMA | {"moe_intermediate_size": 16, "num_experts": 6, "num_experts_per_tok": 2, "intermediate_size": 40}
OPT = {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64,
       "max_position_embeddings": 64, "word_embed_proj_dim": 32}
FALCON = SMALL | {"bias": False, "alibi": False, "multi_query": True, "parallel_attn": True,
                  "new_decoder_architecture": False}
LLAMA3_SCALING = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                  "original_max_position_embeddings": 16}

# name: (model class, its configuration, type of the weights)
MODELS = {
    "opt": ("OPT", OPT, "bfloat16"),
    "opt-post-norm-projected": ("OPT", OPT | {"do_layer_norm_before": False, "word_embed_proj_dim": 20}, "float16"),
    "llama3-scaled": ("Llama", LLAMA | {"rope_theta": 10000.0, "rope_scaling": LLAMA3_SCALING}, "bfloat16"),
    "llama-linear": ("Llama", LLAMA | {"num_hidden_layers": 1, "rope_scaling": {"rope_type": "linear", "factor": 2.5}},
                     "float32"),
    "llama-dynamic": ("Llama", LLAMA | {"num_hidden_layers": 1, "max_position_embeddings": 16,
                                        "rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}, "bfloat16"),
    "llama-yarn": ("Llama", LLAMA | {"num_hidden_layers": 1,
                                     "rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                                                      "original_max_position_embeddings": 16}}, "float16"),
    "mistral": ("Mistral", LLAMA | {"sliding_window": 7, "head_dim": 12}, "bfloat16"),
    "mixtral": ("Mixtral", LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 24,
                                    "sliding_window": None}, "bfloat16"),
    "qwen2": ("Qwen2", LLAMA | {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}, "bfloat16"),
    "qwen2-moe": ("Qwen2Moe", QWEN_MOE | {"norm_topk_prob": False, "mlp_only_layers": [1], "num_hidden_layers": 3,
                                         "shared_expert_intermediate_size": 24},
                  "float16"),
    "qwen3": ("Qwen3", LLAMA | {"head_dim": 16, "tie_word_embeddings": True}, "bfloat16"),
    "qwen3-moe": ("Qwen3Moe", QWEN_MOE | {"head_dim": 16, "norm_topk_prob": True, "decoder_sparse_step": 2},
                  "bfloat16"),
    "gemma": ("Gemma", GEMMA | {"hidden_act": "gelu_pytorch_tanh", "num_key_value_heads": 1}, "bfloat16"),
    "gemma2": ("Gemma2", GEMMA | {"sliding_window": 6, "query_pre_attn_scalar": 20, "attn_logit_softcapping": 2.0,
                                  "final_logit_softcapping": 5.0}, "bfloat16"),
    "gemma3": ("Gemma3", GEMMA | {"sliding_window": 6, "query_pre_attn_scalar": 20, "num_hidden_layers": 3,
                                  "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
                                  "rope_theta": 100000.0, "rope_local_base_freq": 5000.0,
                                  "rope_scaling": {"rope_type": "linear", "factor": 4.0}}, "bfloat16"),
    "phi3": ("Phi3", LLAMA | {"sliding_window": 9, "pad_token_id": 0, "partial_rotary_factor": 0.5}, "bfloat16"),
    "phi3-longrope": ("Phi3", LLAMA | {"num_hidden_layers": 1, "pad_token_id": 0,
                                       "original_max_position_embeddings": 24,
                                       "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.7],
                                                        "long_factor": [2.0, 3.0, 4.0, 5.0]}}, "bfloat16"),
    "gpt2": ("GPT2", {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64, "vocab_size": 64}, "float32"),
    "gpt2-unprefixed": ("GPT2", {"n_embd": 24, "n_head": 3, "n_layer": 2, "n_positions": 64, "vocab_size": 63,
                                 "n_inner": 40, "scale_attn_by_inverse_layer_idx": True}, "float16"),
    "gpt-neox": ("GPTNeoX", SMALL | {"intermediate_size": 64, "rotary_pct": 0.5}, "float16"),
    "gpt-neox-sequential": ("GPTNeoX", SMALL | {"intermediate_size": 48, "rotary_pct": 0.25, "num_hidden_layers": 1,
                                                "use_parallel_residual": False}, "float16"),
    "falcon-7b": ("Falcon", FALCON, "bfloat16"),
    "falcon-40b": ("Falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}, "bfloat16"),
    "falcon-11b": ("Falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2,
                                       "num_ln_in_parallel_attn": 1, "num_hidden_layers": 1}, "bfloat16"),
    "falcon-rw": ("Falcon", FALCON | {"alibi": True, "bias": True, "multi_query": False, "parallel_attn": False,
                                      "num_attention_heads": 4}, "bfloat16"),
}


def draw_weights(model: torch.nn.Module, seed: int, offset_norms: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(".bias"):
                values = 0.2 * noise
            elif parameter.dim() == 1:
                values = (0.0 if offset_norms else 1.0) + 0.2 * noise
            elif "embed" in name or ".wte" in name or ".wpe" in name:
                values = 0.5 * noise
            elif name.endswith("gate.weight") and "mlp.gate." in name or "block_sparse_moe.gate" in name:
                values = noise  # routers that choose clearly
            else:
                inputs = parameter.shape[0] if "Conv1D" in type(model.get_submodule(name.rpartition(".")[0])).__name__ \
                    else parameter.shape[1]
                values = 1.3 * noise / inputs ** 0.5
            parameter.copy_(values)


def write_model(name: str, seed: int, directory: pathlib.Path) -> None:
    family, settings, dtype = MODELS[name]
    config_class = getattr(transformers, "Gemma3TextConfig" if family == "Gemma3" else family + "Config")
    model_class = getattr(transformers, "GPT2LMHeadModel" if family == "GPT2" else family + "ForCausalLM")
    config = config_class(bos_token_id=1, eos_token_id=2, **{"pad_token_id": 0, **settings})
    config._attn_implementation = "eager"
    model = model_class(config)
    model.tie_weights()
    draw_weights(model, seed, family.startswith("Gemma"))
    model.to(getattr(torch, dtype))
    shutil.rmtree(directory, ignore_errors=True)
    model.save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    generator = torch.Generator().manual_seed(1000 + seed)
    for attempt in range(20):  # until no two tokens come close
        ids = [1] + torch.randint(3, 63, (11,), generator=generator).tolist()
        try:
            write_reference(directory, ids, 20, 20, directory / "reference.safetensors",
                            cached_is_whole=name not in ("llama-dynamic", "phi3-longrope"),
                            # The eager attention of transformers 4.57 adds Falcon's linear biases twice.
                            attention="sdpa" if name == "falcon-rw" else "eager")
            break
        except SystemExit as error:
            print(f"{name}: {error}")
    else:
        raise SystemExit(f"{name}: no prompt found")
    if name == "gpt2-unprefixed":  # as the first GPT-2 files are, causal masks and all
        path = directory / "model.safetensors"
        tensors = {key.removeprefix("transformer."): value for key, value in load_file(path).items()}
        tensors["h.0.attn.bias"] = torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8)
        save_file(tensors, path, metadata={"format": "pt"})


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/runtime/data/architectures")
    parser.add_argument("--only", help="one model")
    arguments = parser.parse_args()
    for seed, name in enumerate(MODELS, start=1):
        if arguments.only in (None, name):
            write_model(name, seed, arguments.out / name)
    total = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{total / 1e6:.2f} MB in {arguments.out}")


if __name__ == "__main__":
    main()
