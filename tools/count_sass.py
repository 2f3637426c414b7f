#!/usr/bin/env python3
"""Counts the instructions per weight in the inner loops of the GPU kernels, without a GPU.

Compiles src/kernels/cuda/*.cu for one architecture, disassembles them, and finds in each kernel that multiplies the
loop with most products of four bytes (IDP). These tell how many weights a turn has. Instructions that only some lanes
or turns run (predicated, or in branches within the loop) count in full.

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


def readable(name):
    """multiply_kernel<2, 1> of a mangled name."""
    match = re.search(r"\d+(\w*?_kernel)(?:I((?:Li\d+E)+)E)?", name)
    base = re.search(r"(multiply_kernel|packed_kernel|raw_kernel|decode_kernel|correct_\w+_kernel)", name)
    numbers = re.findall(r"Li(\d+)E", match.group(2) or "") if match else []
    return base.group(1) if base else name, [int(n) for n in numbers]


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--nvdisasm", default="nvdisasm")
    arguments = parser.parse_args()
    print("| kernel | vectors | weights a turn | instructions per weight | ALU | IDP | LDS | LDG |")
    print("|---|---|---|---|---|---|---|---|")
    for source in sorted((SOURCES / "kernels/cuda").glob("*.cu")):
        for name, text in kernels(disassemble(source, arguments)):
            base, numbers = readable(name)
            if base not in ("multiply_kernel", "packed_kernel", "raw_kernel"):
                continue
            vectors = numbers[-1]
            turns = [collections.Counter(loop) for loop in loops(text)]
            turns = [turn for turn in turns if turn["IDP"] > 0]
            if not turns:
                continue
            # Of loops within each other the inner one; of those side by side the one with most products.
            most = max(turn["IDP"] for turn in turns)
            turn = min((t for t in turns if t["IDP"] == most), key=lambda t: t.total())
            weights = 4 * turn["IDP"] / vectors
            alu = sum(count for name, count in turn.items() if name in ALU)
            label = {"raw_kernel": "raw", "packed_kernel": "packed"}.get(base, source.stem)
            low = f", {numbers[0]} low bits" if len(numbers) == 2 else ""
            print(f"| {label}{low} | {vectors} | {weights:.0f} | {turn.total() / weights:.2f} | {alu / weights:.2f} | "
                  f"{turn['IDP'] / weights:.2f} | {turn['LDS'] / weights:.2f} | {(turn['LDG'] + turn['LD']) / weights:.2f} |")


if __name__ == "__main__":
    main()
