#!/usr/bin/env python3
"""Counts the instructions per weight in the inner loops of the GPU kernels, without a GPU.

Compiles src/kernels/cuda/*.cu for one architecture, disassembles them, and finds in each kernel that multiplies the
loop with most products: of four bytes (IDP), or of tiles by tensor cores (IMMA, 16 weights a lane). These tell how many
weights a turn has. In the kernel that decodes `ans` it is the loop with most ballots, a weight each; in attention the one
that sees four keys, an element of a key or a value in place of each weight. Instructions that only some lanes or turns
run (predicated, or in branches within the loop) count in full.

  tools/count_sass.py [--arch sm_90] [--nvcc nvcc] [--nvdisasm nvdisasm]

nvdisasm comes with the CUDA toolkit; where that has none, the wheel of triton carries one (triton/backends/nvidia/bin).
"""

import argparse
import collections
import pathlib
import re
import subprocess
import tempfile

ALU = {"LOP3", "SHF", "IADD3", "PRMT", "ISETP", "SEL", "LEA", "IMNMX", "VIMNMX", "VIADD", "VIADDMNMX", "BMSK", "SGXT", "PLOP3",
       "IABS", "P2R", "R2P"}
SOURCES = pathlib.Path(__file__).resolve().parent.parent / "src"


def disassemble(source, arguments):
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        subprocess.run([arguments.nvcc, "-std=c++17", "-O3", f"-arch={arguments.arch}", "-cubin", f"-I{SOURCES}", "-o", cubin.name,
                        str(source)], check=True)
        return subprocess.run([arguments.nvdisasm, "-c", cubin.name], check=True, capture_output=True, text=True).stdout


def kernels(listing):
    """Pairs of a kernel's mangled name and its lines."""
    parts = re.split(r"^\.text\.(\S+):$", listing, flags=re.M)
    return zip(parts[1::2], parts[2::2])


KERNELS = {
    "multiply_kernel": "products",
    "tensor_kernel": "tensor cores",
    "packed_tensor_kernel": "packed, tensor cores",
    "raw_kernel": "raw",
    "raw_matmul_kernel": "raw, tensor cores, 128 rows a block",
    "decode_kernel": "decode",
}


def readable(name):
    """("tensor_kernel", [2, 1]) of a mangled tensor_kernel<2, 1>."""
    match = re.search(r"\d+?((?:[a-z]+_)+kernel)(?:I((?:Li\d+E)+)E)?", name)
    if not match:
        return name, []
    return match.group(1), [int(n) for n in re.findall(r"Li(\d+)E", match.group(2) or "")]


def loops(text):
    """Instructions of each loop, from a label to the branch back to it."""
    instructions = []
    labels = {}
    for line in text.splitlines():
        label = re.match(r"^(\.L\w+):", line)
        if label:
            labels[label.group(1)] = len(instructions)
            continue
        found = re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)([^;]*);", line)
        if not found:
            continue
        instructions.append(found.group(1))
        target = re.search(r"`\((\.L\w+)\)", found.group(2))
        if found.group(1) == "BRA" and target and target.group(1) in labels:
            yield instructions[labels[target.group(1)]:]


def print_attention(name, text):
    pairs = int(re.search(r"Lj(\d+)E", name).group(1))  # of neighbours in a lane's part of a key
    turns = [collections.Counter(loop) for loop in loops(text)]
    turn = min((t for t in turns if t["SHFL"] >= 20 and t["LDG"] >= 8), key=lambda t: t.total())
    elements = 2 * 4 * 2 * pairs
    alu = sum(count for name, count in turn.items() if name in ALU)
    label = f"attention, heads of {64 * pairs}, FP{16 if 'Half' in name else 32}"
    print(f"| {label} | 1 | {elements} | {turn.total() / elements:.2f} | {alu / elements:.2f} | | "
          f"{turn['LDS'] / elements:.2f} | {turn['LDG'] / elements:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--nvdisasm", default="nvdisasm")
    arguments = parser.parse_args()
    print("| kernel | vectors | weights a turn | instructions per weight | ALU | IDP, IMMA | LDS | LDG |")
    print("|---|---|---|---|---|---|---|---|")
    for source in sorted((SOURCES / "kernels/cuda").glob("*.cu")):
        for name, text in kernels(disassemble(source, arguments)):
            base, numbers = readable(name)
            if base == "attend_kernel":
                print_attention(name, text)
                continue
            if base not in KERNELS or (base == "decode_kernel" and source.stem != "ans"):
                continue
            turns = [collections.Counter(loop) for loop in loops(text)]
            kind = "VOTE" if base == "decode_kernel" else "IMMA" if "tensor" in base or "matmul" in base else "IDP"
            turns = [turn for turn in turns if turn[kind] > 0]
            if not turns:
                continue
            # Of loops within each other the inner one; of those side by side the one with most products.
            most = max(turn[kind] for turn in turns)
            turn = min((t for t in turns if t[kind] == most), key=lambda t: t.total())
            if kind == "VOTE":  # the steps, without the rest of a chunk
                turn = min((t for t in turns if t[kind] >= 8), key=lambda t: t.total())
            vectors = numbers[-1] if numbers else 128
            if kind == "IMMA":
                weights = 16 * turn[kind] / vectors  # tiles of eight vectors
                vectors *= 8
            elif kind == "IDP":
                weights = 4 * turn[kind] / vectors
            else:
                weights = turn[kind]
                vectors = ""
            if base == "raw_matmul_kernel":
                vectors, weights = 64, 16 * turn[kind] / 8
            alu = sum(count for name, count in turn.items() if name in ALU)
            label = KERNELS[base]
            label = label if label.startswith(("raw", "packed")) else f"{source.stem}, {label}"
            low = f", {numbers[0]} bits" if len(numbers) == 2 else ""
            print(f"| {label}{low} | {vectors} | {weights:.0f} | {turn.total() / weights:.2f} | {alu / weights:.2f} | "
                  f"{turn[kind] / weights:.2f} | {turn['LDS'] / weights:.2f} | "
                  f"{(turn['LDG'] + turn['LD']) / weights:.2f} |")


if __name__ == "__main__":
    main()
