"""Plan a memory for what comes after its text: the last tokens as text, near segments fine, far ones coarse.

A pure function of numbers, which knows no tensors. How it was chosen is in docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, product

from ccf_core.errors import BudgetTooSmall
from ccf_core.memory.segments import slot_count

#: A segment's ratio when it is read as text: one position a token.
TEXT = 1
#: Share of a budget that is spent on text, chosen on half A: docs/experiments.md.
TAIL_SHARE = Fraction(7, 8)


def grades(
    budget: int,
    tokens: Sequence[int],
    ratios: Sequence[int],
    tail: int | None = None,
    most_text: int | None = None,
    share: Fraction = TAIL_SHARE,
) -> tuple[int, tuple[int, ...]]:
    """Plan (tail, ratios): how many of the last tokens are text, and the ratio at which each segment is read.

    budget : positions of cache, of slots and text together.  tokens : of each segment, in their order.
    ratios : that may be chosen, finest first.  tail : tokens of text (all there are, if fewer), or None to choose.
    most_text : most tokens of text where they are chosen, None for no limit.

    A segment that the tail holds all of has no slots (its ratio is ``TEXT``); one that the tail cuts keeps all of
    them. A tail that is to be chosen is ``share`` of the budget, less if the coarsest slots of everything leave less.
    All segments begin at the coarsest ratio. Then the next finer ratio is bought for one segment after the other, the
    last one first, and the one after that likewise, while the next fits: so none is finer than one behind it. What is
    left of the budget lengthens a chosen tail.

    Raises BudgetTooSmall if the coarsest slots and the tail take more than the budget.
    """
    total, coarsest = sum(tokens), ratios[-1]
    distances = [total - start for start in accumulate(tokens[:-1], initial=0)]
    all_slots = sum(slot_count(n, coarsest) for n in tokens)
    limit = total if most_text is None else min(total, most_text)
    if tail is not None:
        chosen = min(tail, total)
    else:
        chosen = total if total <= min(budget, limit) else max(0, min(int(share * budget), budget - all_slots, limit))

    def spend(text: int) -> tuple[int, tuple[int, ...]]:
        """Plan with so much text: (what is left of the budget, the ratios)."""
        plan = [TEXT if distance <= text else coarsest for distance in distances]
        left = budget - text - sum(slot_count(n, r) for n, r in zip(tokens, plan, strict=True) if r != TEXT)
        as_slots = [segment for segment in reversed(range(len(plan))) if plan[segment] != TEXT]
        for ratio, segment in product(reversed(ratios[:-1]), as_slots):
            more = slot_count(tokens[segment], ratio) - slot_count(tokens[segment], plan[segment])
            if more > left:
                break
            plan[segment] = ratio
            left -= more
        return left, tuple(plan)

    left, plan = spend(chosen)
    if left < 0:
        raise BudgetTooSmall(
            f"A budget of {budget} positions is too small: {total} tokens, the last {chosen} of them as text, take "
            f"{budget - left} even at {coarsest}x."
        )
    while tail is None and left and chosen < limit:
        chosen = min(chosen + left, limit)
        left, plan = spend(chosen)
    return chosen, plan
