"""Online bin packing: the bin that an item leaves the least room in (best fit)."""


# EVOLVE-BLOCK-START
def priority(item, free, capacity):
    """How gladly `item` goes into a bin with `free` room; the highest wins, the first of equals."""
    left = (free - item) / capacity
    return -left


# EVOLVE-BLOCK-END


def decide(message):
    """Index of the bin the item goes into. The last bin offered is always a new, empty one."""
    item, bins, capacity = message["item"], message["bins"], message["capacity"]
    scores = [priority(item, free, capacity) for free in bins]
    return scores.index(max(scores))
