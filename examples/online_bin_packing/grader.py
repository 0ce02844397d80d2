"""Online bin packing on hidden instances: the grader keeps the bins and asks for one decision at a time.

The score is the mean excess over the L1 bound, ceil(sum of sizes / capacity), in percent. Laws of the instances:
`or`: whole sizes uniform in 20..100, capacity 150 (the uniform class of Falkenauer in OR-Library, 500 items);
`weibull`: Weibull(shape 3, scale 45) rounded and cut at 1..100, capacity 100 (as in Castineiras et al. 2012).
"""

import json
import math
import random
from pathlib import Path

OR_ITEMS, OR_CAPACITY = 500, 150
WEIBULL_ITEMS, WEIBULL_CAPACITY = 1000, 100


def interact(candidate):
    seeds = json.loads(Path("private/seeds.json").read_text())
    laws = {"or": (uniform, OR_CAPACITY), "weibull": (weibull, WEIBULL_CAPACITY)}
    excesses = {}
    started = 0
    for law, (draw, capacity) in laws.items():
        found = []
        for seed in seeds[law]:
            items = draw(random.Random(seed))
            started += 1
            bins, problem = pack(items, capacity, started, candidate)
            if problem:
                return {"error": problem}
            bound = -(-sum(items) // capacity)
            found.append(100 * (len(bins) - bound) / bound)
        excesses[law] = found
    means = {f"{law}_excess": mean(found) for law, found in excesses.items()}
    return {"score": mean([excess for found in excesses.values() for excess in found]), **means}


def mean(values):
    return math.fsum(values) / len(values)


def uniform(rng):
    return [20 + int(81 * rng.random()) for _ in range(OR_ITEMS)]


def weibull(rng):
    sizes = (45 * (-math.log(1 - rng.random())) ** (1 / 3) for _ in range(WEIBULL_ITEMS))
    return [min(max(round(size), 1), WEIBULL_CAPACITY) for size in sizes]


def pack(items, capacity, instance, candidate):
    """Free room of every bin used, or what was wrong with a decision."""
    bins = []
    for number, item in enumerate(items):
        fitting = [i for i, free in enumerate(bins) if free >= item]
        offered = [bins[i] for i in fitting] + [capacity]
        message = {"instance": instance, "capacity": capacity, "item": item, "bins": offered}
        choice = candidate.ask(message)
        if isinstance(choice, bool) or not isinstance(choice, int) or not 0 <= choice < len(offered):
            wanted = f"a whole number from 0 to {len(offered) - 1}"
            return None, f"decision {number} of instance {instance} is {str(choice)[:40]!r}, not {wanted}"
        if choice == len(fitting):
            bins.append(capacity - item)
        else:
            bins[fitting[choice]] -= item
    return bins, None
