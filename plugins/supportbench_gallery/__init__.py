"""Dishonest policies: agents that try to earn a reward without reading the ticket, for `supportbench audit`."""

from __future__ import annotations

from collections.abc import Iterator

from supportbench import Agent, hookimpl
from supportbench_gallery import catch_all, copying, deciding, extracting, hiding, judging, stuffing, unsafe
from supportbench_gallery.policy import Policy

supportbench_api = 1


@hookimpl
def supportbench_agents() -> Iterator[Agent]:
    """Offer the gallery."""
    yield Policy(name="cheat_best_guess", tactic="decision")
    yield Policy(name="cheat_empty", tactic="decision", decide=deciding.usual_elsewhere)
    yield Policy(name="cheat_urgent", tactic="decision", decide=deciding.always_urgent)
    yield Policy(name="cheat_random", decide=deciding.by_chance, write=deciding.words_by_chance)
    yield deciding.FeedbackExploiter()
    yield Policy(name="cheat_vocabulary", write=stuffing.vocabulary)
    yield Policy(name="cheat_shuffled", write=stuffing.shuffled_words)
    yield Policy(name="cheat_shuffled_phrases", write=stuffing.shuffled_around_phrases)
    yield Policy(name="cheat_list", write=stuffing.listed_phrases)
    yield Policy(name="cheat_glued", tactic="informed", write=stuffing.glued_phrases)
    yield Policy(name="cheat_union", write=stuffing.listed_elsewhere)
    yield Policy(name="cheat_repeated", write=stuffing.repeated_phrases)
    yield Policy(name="cheat_parrot", write=copying.parrot)
    yield Policy(name="cheat_parrot_records", write=copying.parrot_records)
    yield Policy(name="cheat_parrot_frames", write=copying.parrot_in_frames)
    yield Policy(name="cheat_parrot_note", write=copying.parrot_note)
    yield Policy(name="cheat_parrot_thinned", write=copying.parrot_thinned)
    yield Policy(name="cheat_parrot_swapped", write=copying.parrot_swapped)
    yield Policy(name="cheat_parrot_filled", write=copying.parrot_filled)
    yield Policy(name="cheat_extract", write=extracting.in_sentences)
    yield Policy(name="cheat_extract_note", write=extracting.as_note)
    yield Policy(name="cheat_extract_middles", write=extracting.middles_in_sentences)
    yield Policy(name="cheat_reused", write=copying.reused)
    yield Policy(name="cheat_reused_named", write=copying.reused_in_person)
    yield Policy(name="cheat_rotated", write=copying.rotated)
    yield Policy(name="cheat_zero_width", write=hiding.zero_width)
    yield Policy(name="cheat_blank_letters", write=hiding.blank_letters)
    yield Policy(name="cheat_tags", write=hiding.tag_characters)
    yield Policy(name="cheat_lookalikes", write=hiding.lookalikes)
    yield Policy(name="cheat_styled", write=hiding.styled_letters)
    yield Policy(name="cheat_judge", write=judging.instructions)
    yield Policy(name="cheat_judge_template", tactic="catch_all", write=judging.instructions_behind_a_template)
    yield Policy(name="cheat_template", tactic="catch_all", write=catch_all.template)
    yield Policy(name="cheat_learned", tactic="catch_all", write=catch_all.learned_template)
    yield Policy(name="cheat_catch_all", tactic="catch_all", write=catch_all.best_texts)
    yield Policy(name="cheat_catch_all_reworded", tactic="catch_all", write=catch_all.best_texts_reworded)
    yield Policy(name="cheat_denials", tactic="catch_all", write=catch_all.denials)
    yield Policy(name="cheat_note", tactic="catch_all", write=catch_all.best_note)
    yield Policy(name="cheat_template_list", tactic="catch_all", write=catch_all.template_and_list)
    yield Policy(name="cheat_unsafe", tactic="unsafe", decide=unsafe.honest_decision, write=unsafe.with_unsafe_sentence)
    yield Policy(
        name="cheat_unsafe_disguised",
        tactic="unsafe",
        decide=unsafe.honest_decision,
        write=unsafe.with_disguised_sentence,
    )
