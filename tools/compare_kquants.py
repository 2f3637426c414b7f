#!/usr/bin/env python3
"""Compares GGUF files that llama.cpp has quantized with `twofold compress --recipe best` at equal KL divergence.

Every GGUF file is measured as Twofold reads it; types that Twofold does not read are converted to F32 by the gguf package
first. `best` is compressed at several rates; between two of them log KL is taken as linear in the bits. Activations are
floats for both. Bits are those of the decoder's linear layers as stored. Needs the packages of
requirements-gguf.txt."""

import argparse
import json
import math
import pathlib
import subprocess
import tempfile

import gguf


def linear_tensors(reader: gguf.GGUFReader) -> list:
    return [t for t in reader.tensors if t.name.startswith("blk.") and t.name.endswith(".weight") and len(t.shape) == 2]


def bits_per_weight(reader: gguf.GGUFReader) -> float:
    tensors = linear_tensors(reader)
    return 8 * sum(int(t.n_bytes) for t in tensors) / sum(int(t.n_elements) for t in tensors)


def to_f32(reader: gguf.GGUFReader, path: pathlib.Path) -> None:
    """The same model with every tensor in F32."""
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values.reshape([int(n) for n in reversed(tensor.shape)]).astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run(command: list) -> dict:
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout)


def bits_at(kl: float, curve: list[tuple[float, float]]) -> float | None:
    """The bits at which the curve of (bits, KL) has this KL; None beyond its ends."""
    for (bits0, kl0), (bits1, kl1) in zip(curve, curve[1:]):
        if kl1 <= kl <= kl0:
            return bits0 + (bits1 - bits0) * (math.log(kl0) - math.log(kl)) / (math.log(kl0) - math.log(kl1))
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="original model directory")
    parser.add_argument("gguf", type=pathlib.Path, nargs="+", help="the same model, quantized")
    parser.add_argument("--twofold", type=pathlib.Path, default=pathlib.Path("build/release/twofold"), help="the program")
    parser.add_argument("--text", type=pathlib.Path, required=True, help="held-out text to measure on")
    parser.add_argument("--calibration", required=True, help="text that both were calibrated on")
    parser.add_argument("--calibration-tokens", type=int, default=16384)
    parser.add_argument("--max-tokens", type=int, default=8192, help="of the text (default 8192)")
    parser.add_argument("--bits", type=float, nargs="+", default=(2.0, 2.5, 3.0, 4.0, 5.0), help="rates of `best`")
    arguments = parser.parse_args()
    program = arguments.twofold.resolve()

    def measure(model: pathlib.Path) -> dict:
        return run([program, "eval", "ppl", "-m", model, "--reference", arguments.model, "-f", arguments.text,
                    "--max-tokens", arguments.max_tokens, "--json"])

    curve = []
    with tempfile.TemporaryDirectory() as scratch:
        for bits in sorted(arguments.bits):
            out = pathlib.Path(scratch) / f"best-{bits}"
            made = run([program, "compress", arguments.model, out, "--recipe", "best", "--bits", bits, "--activations",
                        "none", "--calibration", arguments.calibration, "--calibration-tokens", arguments.calibration_tokens,
                        "--json"])
            result = measure(out)
            curve.append((made["linear_bits_per_weight"], result["kl_mean"]))
            print(f"best {curve[-1][0]:.3f} bits: KL {result['kl_mean']:.5f}, perplexity {result['perplexity']:.3f} "
                  f"(original {result['reference_perplexity']:.3f})", flush=True)
        print("\n| type | bits/weight | KL | perplexity | `best` at this KL: bits/weight | against it |\n|---|---|---|---|---|---|")
        for path in arguments.gguf:
            reader = gguf.GGUFReader(path)
            model = path
            if any(t.tensor_type.name.startswith(("IQ", "TQ")) for t in reader.tensors):
                model = pathlib.Path(scratch) / "f32.gguf"
                to_f32(reader, model)
            result = measure(model)
            bits = bits_per_weight(reader)
            equal = bits_at(result["kl_mean"], curve)
            shown = "beyond the rates | |" if equal is None else f"{equal:.2f} | {100 * (equal / bits - 1):+.0f} % |"
            change = result["perplexity"] / result["reference_perplexity"] - 1
            print(f"| {path.stem} | {bits:.3f} | {result['kl_mean']:.5f} | {100 * change:+.2f} % | {shown}", flush=True)


if __name__ == "__main__":
    main()
