#!/usr/bin/env python3
"""Times the GPU kernels and whole models beside PyTorch and transformers, in one run: run.py [TABLE ...] [--json FILE].

Prints a table for each of: limits (always), linear, experts, attention, rows, exchange and layer (on two GPUs), models. Every
result that has a reference is checked before it counts; a wrong one is marked, and the exit code is 1.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "test/gpu")]

import attention  # noqa: E402: beside this file, and beside the tests
import experts  # noqa: E402
import linear  # noqa: E402
import models  # noqa: E402
import rows  # noqa: E402
import torch  # noqa: E402
from measure import machine, measured_limits, note  # noqa: E402
from report import Limits, Row, print_head, print_row, write_json  # noqa: E402

TABLES = {
    "linear": linear.benchmark,
    "experts": experts.benchmark,
    "attention": attention.benchmark,
    "rows": rows.benchmark,
    "exchange": experts.exchange_benchmark,
    "layer": experts.layer_benchmark,
    "models": models.benchmark,
}


def measure(table: str, limits: Limits) -> tuple[list[Row], bool]:
    """The table's rows, printed as they come, and whether they are all."""
    found = []
    print_head(table)
    try:
        for row in TABLES[table]():
            print_row(row, limits)
            found.append(row)
    except (RuntimeError, OSError, ValueError, KeyError, AttributeError) as error:
        note(f"{table}: {type(error).__name__}: {error}")
        return found, False
    finally:
        torch.cuda.empty_cache()
    return found, True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; by default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to it, too")
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(TABLES):
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    where, limits = machine(), measured_limits()
    print(f"{len(where['gpus'])} x {where['gpus'][0]}, PyTorch {where['torch']}, commit {where['commit']}")
    rates = ", ".join(f"{name} {rate / 1e12:,.0f} TFLOP/s" for name, rate in limits.flops.items())
    print(f"limits: read {limits.read / 1e12:.2f} TB/s, {rates}", flush=True)
    everything, complete = [], True
    for table in arguments.tables or TABLES:
        found, whole = measure(table, limits)
        complete &= whole
        everything += found
    if arguments.json:
        write_json(arguments.json, where, limits, everything)
    wrong = sum(row.wrong for row in everything)
    print(f"\n{len(everything)} measured, {wrong} wrong{'' if complete else ', some not measured'}")
    return 0 if complete and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
