#!/usr/bin/env python3
"""Measures tokens per second of directories of one model under budgets of memory.

  memory_curve.py --twofold build/release/twofold RAW [PACKED ...] [--shares 100,75,50,25] [--svg FILE]

The first directory is the uncompressed one: budgets are shares of its size. All are timed by turns
(`twofold bench -p 0 -n N --memory SIZE`) and the medians printed as a Markdown table, with --svg also drawn.
Standard library only.
"""

import argparse
import html
import json
import pathlib
import statistics
import subprocess
import sys

COLORS = ["#555555", "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"]
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 400, 60, 50, 20, 130


def size_of(directory):
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def bench(arguments, directory, budget):
    command = [arguments.twofold, "bench", "-m", directory, "-p", 0, "-n", arguments.tokens, "-t", arguments.threads,
               "--repetitions", 2, "--memory", budget, "--json"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(f"{directory.name}, {budget} bytes: {result.stderr.strip()}", file=sys.stderr)
        return []
    return json.loads(result.stdout)["decode"][0]["tokens_per_second_each"]


def plot(names, budgets, speeds):
    """Tokens per second over budgets, one line for each directory, as SVG."""
    known = [value for row in speeds.values() for value in row.values()]
    if not known:
        return ""
    most_x, most_y = max(budgets), 1.05 * max(known)
    x_of = lambda budget: LEFT + (WIDTH - LEFT - RIGHT) * budget / most_x
    y_of = lambda speed: HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * speed / most_y
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
             'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for i in range(6):
        value = most_y * i / 5
        parts.append(f'<path d="M{LEFT} {y_of(value):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>'
                     f'<text x="{LEFT - 6}" y="{y_of(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for budget in budgets:
        parts.append(f'<text x="{x_of(budget):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                     f'{budget / 1e6:.0f}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">budget, MB</text>'
                 f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">tokens/s</text>')
    for i, name in enumerate(names):
        points = sorted((budget, speeds[name][budget]) for budget in budgets if budget in speeds[name])
        if not points:
            continue
        color = COLORS[i % len(COLORS)]
        line = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{color}"/>' for x, y in points]
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * i}" fill="{color}">'
                     f'{html.escape(name)}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directories", nargs="+", type=pathlib.Path)
    parser.add_argument("--twofold", default="build/release/twofold")
    parser.add_argument("--shares", default="100,75,50,25", help="budgets, percent of the first directory's size")
    parser.add_argument("--extra", type=float, default=60, help="MB more for the largest budget: program and scratch")
    parser.add_argument("--threads", default="0")
    parser.add_argument("--tokens", default="3")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--svg", type=pathlib.Path)
    arguments = parser.parse_args()
    whole = size_of(arguments.directories[0])
    shares = sorted((float(share) for share in arguments.shares.split(",")), reverse=True)
    budgets = [int(whole * share / 100 + (1e6 * arguments.extra if share >= 100 else 0)) for share in shares]
    times = {directory: {budget: [] for budget in budgets} for directory in arguments.directories}
    for _ in range(arguments.rounds):
        for budget in budgets:
            for directory in arguments.directories:
                times[directory][budget] += bench(arguments, directory, budget)
    names = [directory.name for directory in arguments.directories]
    speeds = {directory.name: {budget: statistics.median(values) for budget, values in row.items() if values}
              for directory, row in times.items()}
    print("| budget MB | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for budget in budgets:
        cells = [f"{speeds[name][budget]:.2f}" if budget in speeds[name] else "" for name in names]
        print(f"| {budget / 1e6:.0f} | " + " | ".join(cells) + " |")
    if arguments.svg:
        arguments.svg.write_text(plot(names, budgets, speeds))


if __name__ == "__main__":
    main()
