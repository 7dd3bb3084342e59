"""What a benchmark gives: rows of a table, with the limits of the machine and what a peer takes for the same work."""

import dataclasses
import json


@dataclasses.dataclass
class Limits:
    """What the machine reaches, measured in the same run."""

    read: float  # bytes a second of reading memory alone
    flops: dict[str, float]  # by number format

    def least_us(self, row: "Row") -> float:
        """The time that the row's reading or its operations take at the limit, whichever is longer."""
        return max(row.bytes / self.read, row.flops / self.flops[row.format]) * 1e6


@dataclasses.dataclass
class Row:
    """One measurement. `bytes` are those that must be read or written once, `flops` two for each product and sum."""

    table: str
    case: str
    size: str
    us: float
    bytes: float = 0
    flops: float = 0
    format: str = "bf16"
    peers: dict[str, float] = dataclasses.field(default_factory=dict)  # us by name
    error: float | None = None  # relative to the peer or a reference
    tolerance: float = 0

    @property
    def wrong(self) -> bool:
        return self.error is not None and not self.error <= self.tolerance


def number(value: float, digits: int = 3) -> str:
    """With three digits that count, and all before the point."""
    if value == 0:
        return ""
    places = max(0, digits - len(str(int(abs(value)))))
    return f"{value:,.{places}f}"


def cells(row: Row, limits: Limits) -> list[str]:
    least = limits.least_us(row)
    found = [row.case, row.size, number(row.us)]
    found.append(number(row.flops / row.us * 1e-6, 4))
    found.append(f"{row.bytes / row.us * 1e-6:.2f}" if row.bytes else "")
    found.append(f"{least / row.us:.0%}" if least else "")
    peers = [f"{name} {number(us)} ({us / row.us:.2f}x)" for name, us in row.peers.items()]
    found.append(("WRONG, error " + f"{row.error:.1e}; " if row.wrong else "") + ", ".join(peers))
    return found


HEADER = ["case", "size", "us", "TFLOP/s", "TB/s", "of the limit", "peers, us (times as long)"]


def print_head(title: str) -> None:
    print(f"\n## {title}\n\n| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|", flush=True)


def print_row(row: Row, limits: Limits) -> None:
    """A line of a table of Markdown, which goes into the documentation as it is."""
    print("| " + " | ".join(cells(row, limits)) + " |", flush=True)


def write_json(path, machine: dict, limits: Limits, rows: list[Row]) -> None:
    rows = [dataclasses.asdict(row) | {"least_us": limits.least_us(row), "wrong": row.wrong} for row in rows]
    with open(path, "w") as file:
        json.dump({"machine": machine, "limits": dataclasses.asdict(limits), "rows": rows}, file, indent=1)
