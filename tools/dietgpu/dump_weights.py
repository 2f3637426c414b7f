#!/usr/bin/env python3
"""Writes the INT8 weights of a Twofold model into one file, for decoders that are compared with its codecs.

The model must be coded with `raw`, whose chunks are the weights as they are (docs/container.md):

  twofold transcode MODEL RAW --codec raw
  tools/dietgpu/dump_weights.py RAW weights.bin [--limit BYTES]

Matrices follow each other as their rows lie in memory, filled up with zeros to 64 bytes after each chunk.
"""

import argparse
import json
import pathlib


def coded_tensors(path):
    """Place and size of the coded weights of a safetensors file; an error unless all are raw."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    codecs = json.loads(header["__metadata__"]["twofold"])["codecs"]
    if codecs and codecs != ["raw"]:
        raise SystemExit(f"{path}: coded with {', '.join(codecs)}, expected raw")
    for name, tensor in header.items():
        if name.endswith(".twofold"):
            begin, end = tensor["data_offsets"]
            yield 8 + length + begin, end - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=1 << 30, help="bytes at most")
    arguments = parser.parse_args()
    left = arguments.limit
    with arguments.out.open("wb") as out:
        for path in sorted(arguments.model.glob("*.safetensors")):
            with path.open("rb") as file:
                for at, size in coded_tensors(path):
                    file.seek(at)
                    left -= out.write(file.read(min(size, left)))
    print(f"{arguments.limit - left} bytes")


if __name__ == "__main__":
    main()
