"""What the `heuristic` agent reads in a ticket: facts, how strongly they are said, and details for its sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from supportbench import Ticket, fold
from supportbench_agents.heuristic_lexicon import Lexicon
from supportbench_agents.heuristic_rules import Rules, Slot

_TIMESTAMP: Final = re.compile(r"^[\d\s:.,/+TZ-]*(?:\bto\b[\d\s:.,/+TZ-]*)?(?:UTC\b|GMT\b)?[\s,:;-]*")
_LONGEST_RECORD: Final = 120
_LONGEST_TEXT: Final = 20_000


@attrs.frozen(kw_only=True)
class Reading:
    """What a ticket says: facts, the weight of each cue by where it stands, details by slot, all its stems.

    `told` are the details that the customer told us, which a reply may repeat; the others stand in our records alone.
    """

    facts: frozenset[str]
    strengths: Mapping[str, float]
    details: Mapping[str, str]
    told: Mapping[str, str]
    stems: frozenset[str]


def read(ticket: Ticket, rules: Rules, lexicon: Lexicon) -> Reading:
    """Return what the ticket says by these rules; of a very long text, what its first 20,000 characters say."""
    subject, body = ticket.subject[:_LONGEST_TEXT], ticket.body[:_LONGEST_TEXT]
    subject_stems, body_stems = lexicon.stems_of(subject), lexicon.stems_of(body)
    in_subject, in_body = lexicon.found(subject_stems), lexicon.found(body_stems)
    records = [
        (event[:_LONGEST_TEXT], lexicon.found(lexicon.stems_of(event[:_LONGEST_TEXT])))
        for event in ticket.recent_events[:100]
    ]
    recorded: set[str] = set().union(*(cues for _, cues in records))
    weights = rules.weights
    strengths: dict[str, float] = {}
    for cues, weight in ((in_subject, weights.subject), (in_body, weights.body), (recorded, weights.recent_events)):
        for cue in cues:
            strengths[cue] = strengths.get(cue, 0.0) + weight
    facts = {*strengths, *(f"said:{cue}" for cue in in_subject | in_body), *(f"recorded:{cue}" for cue in recorded)}
    if len(body_stems) < weights.few_words:
        facts.add("few_words")
        strengths["few_words"] = 1.0
    if "?" in subject or "?" in body:
        facts.add("asks")
        strengths["asks"] = 1.0
    if ticket.sla_hours is not None and ticket.sla_hours <= weights.short_sla_hours:
        facts.add("sla:short")
    if ticket.customer_tier:
        facts.add(f"tier:{ticket.customer_tier.strip().lower()}")
    product = frozenset(fold((ticket.product_area or "")[:_LONGEST_TEXT].replace("_", " ")).split())
    for area in rules.area:
        if area.product_stems & product:
            facts.add(f"product:{area.name}")
            strengths[f"product:{area.name}"] = 1.0
    details: dict[str, str] = {}
    told: dict[str, str] = {}
    for slot, detail, by_customer in _details(rules.slot, f"{subject}\n{body}", records, facts):
        details[slot] = detail
        if by_customer:
            told[slot] = detail
        facts.add(f"slot:{slot}")
        strengths[f"slot:{slot}"] = 1.0
    return Reading(
        facts=frozenset(facts),
        strengths=strengths,
        details=details,
        told=told,
        stems=frozenset((*subject_stems, *body_stems)),
    )


def _details(
    slots: Sequence[Slot], text: str, records: Sequence[tuple[str, set[str]]], facts: set[str]
) -> Iterator[tuple[str, str, bool]]:
    """Yield slot, detail, and whether the customer told it; what both tell is the customer's."""
    whole = "\n".join((text, *(record for record, _ in records)))
    for slot in slots:
        if slot.pattern:
            match = slot.regex.search(whole) if slot.hint in whole else None
            if match:
                yield slot.name, next(group for group in match.groups() if group), match.end() <= len(text)
        elif slot.record_with:
            record = next((record for record, cues in records if slot.record_with in cues), None)
            if record:
                yield slot.name, _TIMESTAMP.sub("", record)[:_LONGEST_RECORD].rstrip(".;, "), False
        else:
            found = next(((cue, name) for cue, name in slot.names if cue in facts), None)
            if found:
                yield slot.name, found[1], f"said:{found[0]}" in facts
