#!/usr/bin/env python3
"""Compares what `twofold plan` predicts with what `twofold bench` measures, on models of real shapes.

  check_plans.py --twofold build/release/twofold --work DIRECTORY [--like llama-2-7b:4 ...] [--threads 1,2]

For each model NAME:LAYERS a synthetic directory is made, and transcoded to every codec and to mixes of the
paper's one-in-N scheme. Each is timed (bench -p 0 -n N); prediction and measurement stand side by side. Needs
`twofold measure` first. The directories are kept in DIRECTORY and used again. Standard library only.
"""

import argparse
import json
import pathlib
import subprocess
import sys

CODECS = ["raw", "packed", "tiered", "ans8", "ans"]


def run(command, wrapper=()):
    result = subprocess.run([*wrapper, *map(str, command)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {result.stderr.strip()}")
    return result.stdout


def quartile(times):
    """The lower one, as `measure` takes it: what else runs only ever makes times longer."""
    return sorted(times)[len(times) // 4]


def one_in(names, n, codec):
    """Of every n consecutive tensors of the layers, in the order in which they run, the last one."""
    chosen = [name for i, name in enumerate(names) if i % n == n - 1]
    return {"twofold_plan": 1, "codec": "raw", "tensors": {name: {"codec": codec} for name in chosen}}


def tensors_in_order(directory):
    """Coded tensors of the layers as a Llama runs them."""
    inspected = json.loads(run([TWOFOLD, "inspect", directory, "--json"]))
    order = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    found = []
    for tensor in inspected["tensors"]:
        parts = tensor["name"].split(".")
        if tensor["coded"] and "layers" in parts:
            found.append((int(parts[parts.index("layers") + 1]), order.index(parts[-2]), tensor["name"]))
    return [name for _, _, name in sorted(found)]


def directories(like, work):
    """Makes the model's directories; yields (name of the plan, directory)."""
    name, layers = like.split(":")
    base = work / f"{name}-{layers}-raw"
    if not base.exists():
        run([TWOFOLD, "synth", "--like", name, "--layers", layers, "--codec", "raw", base])
    plans = [("nothing compressed (raw INT8)", base)]
    for codec in CODECS[1:]:
        target = work / f"{name}-{layers}-{codec}"
        if not target.exists():
            run([TWOFOLD, "transcode", base, target, "--codec", codec])
        plans.append((f"all {codec}", target))
    names = None
    for n in (2, 3, 5, 8):
        target = work / f"{name}-{layers}-1in{n}"
        if not target.exists():
            names = names or tensors_in_order(base)
            plan = work / f"{name}-{layers}-1in{n}.json"
            plan.write_text(json.dumps(one_in(names, n, "ans")))
            run([TWOFOLD, "transcode", base, target, "--plan", plan])
        plans.append((f"ans 1 in {n} tensors", target))
    return plans


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--twofold", default="build/release/twofold")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--like", nargs="+", default=["llama-2-7b:4", "tinyllama-1.1b:22"])
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="times that each is measured")
    parser.add_argument("--seconds", type=float, default=0.6, help="of one measurement, about")
    parser.add_argument("--measure", action="store_true", help="measure the machine anew before each table")
    parser.add_argument("--prefix", default="", help="command to run measurements under")
    parser.add_argument("--prepare", action="store_true", help="only make the directories")
    arguments = parser.parse_args()
    global TWOFOLD
    TWOFOLD = arguments.twofold
    arguments.work.mkdir(parents=True, exist_ok=True)
    wrapper = arguments.prefix.split()
    errors = []
    for like in arguments.like:
        plans = directories(like, arguments.work)
        if arguments.prepare:
            continue
        for threads in arguments.threads.split(","):
            if arguments.measure:
                run([TWOFOLD, "measure", "--force"], wrapper)
            # The tokens that bench makes see half as many before them, on average.
            predicted = json.loads(run([TWOFOLD, "plan", "-m", plans[0][1], "-t", threads, "-c",
                                        max(1, arguments.tokens // 2), "--json"], wrapper))
            seconds = {plan["plan"]: plan["seconds_per_token"] for plan in predicted["plans"]}
            print(f"\n{like}, {threads} threads\n{'plan':<32}{'predicted ms':>14}{'measured ms':>14}{'error %':>10}"
                  f"{'spread %':>10}{'x raw':>8}")
            # By turns, so that all plans see the same of what else the machine does.
            measured = {name: [] for name, _ in plans}
            for _ in range(arguments.rounds):
                for name, directory in plans:
                    tokens = max(1, min(arguments.tokens, round(arguments.seconds / 5 / seconds[name])))
                    repetitions = max(1, min(5, round(arguments.seconds / seconds[name])))
                    bench = json.loads(run([TWOFOLD, "bench", "-m", directory, "-p", 0, "-n", tokens, "-t", threads,
                                            "--repetitions", repetitions, "--json"], wrapper))
                    measured[name] += [1 / rate for rate in bench["decode"][0]["tokens_per_second_each"]]
            raw = quartile(measured[plans[0][0]])
            for name, _ in plans:
                found = quartile(measured[name])
                error = 100 * (seconds[name] / found - 1)
                errors.append(abs(error))
                spread = 100 * (max(measured[name]) / min(measured[name]) - 1)
                print(f"{name:<32}{1e3 * seconds[name]:>14.2f}{1e3 * found:>14.2f}{error:>+10.1f}"
                      f"{spread:>10.1f}{raw / found:>8.2f}", flush=True)
    if errors:
        within = sum(error <= 10 for error in errors)
        print(f"\n{within} of {len(errors)} within 10 %; largest error {max(errors):.1f} %")


if __name__ == "__main__":
    main()
