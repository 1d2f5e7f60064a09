"""Every benchmark of the project: `python -m tests.bench`. Exits 1 if a limit is broken."""

import asyncio

from tests.bench import (
    budgets,
    coverage,
    durability,
    embedded,
    episodes,
    faults,
    graders,
    imports,
    injections,
    memory,
    overhead,
    scheduling,
    startup,
    throughput,
)

if __name__ == "__main__":
    results = {
        "overhead": asyncio.run(overhead.main()),
        "scheduling": asyncio.run(scheduling.main()),
        "throughput": asyncio.run(throughput.main()),
        "episodes": asyncio.run(episodes.main()),
        "budgets": asyncio.run(budgets.main()),
        "faults": faults.main(),
        "graders": graders.main(),
        "coverage": coverage.main(),
        "durability": asyncio.run(durability.main()),
        "imports": imports.main(),
        "startup": startup.main(),
        "injections": injections.main(),
        "memory": asyncio.run(memory.main()),
        "embedded": asyncio.run(embedded.main()),
    }
    broken = [name for name, good in results.items() if not good]
    print("limits kept" if not broken else f"limits broken: {', '.join(broken)}")
    raise SystemExit(1 if broken else 0)
