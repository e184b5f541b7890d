"""Whether a text says something: what counts whole, and what counts for nothing."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import AnswerKey, Case, Submission, Ticket, credit, load_registry, readable, unquoted
from supportbench.prose import TextField
from tests.offering import a_task, an_action

TICKET = Ticket(
    ticket_id="A-1",
    subject="Charged two times for the March invoice",
    body="""
Hello,

our card was charged two times for invoice INV-4481, on the third of March, 348 EUR each. Both are booked by now, and
nobody here has ordered anything else. Please send one of them back to the same card before we close the month on
Friday, and tell us in writing when it is done. The postcode on the invoice is still the old one, by the way.
""",
    recent_events=("second charge after a time-out of the payment provider", "no refund on record"),
)

NOTES = """
Dup charge INV-4481, refund pending check
Charged twice, wants one back
502 all sites since 13:15 deploy, 600 users out, status page green
Acct locked after pw reset, single user, lock lifts on unlock
Rogue OAuth app, contractor acct still active, 18,200 rows exported, revoke, preserve logs, regulator 72h
Renewal quote Q-5528 lacks promised 18 % discount; CFO signs Thu 10:00; account manager left, no approval on file
API 500s on /v2/bookings since 4.12, webhook retries growing, invoices to guests blocked, no workaround
SSO down for one tenant, cert expired 2 Mar, others fine, admin locked out, break-glass account unknown
Phishing mail in our name, two staff clicked, one typed password, sessions ended, no sign-in from abroad so far
Seat change request 40 -> 55 from 1 April, PO attached, no discount asked
""".strip().splitlines()

SUMMARIES = """
The customer was charged twice for invoice INV-4481 (EUR 348 each, 3 March) after a time-out at the payment provider. \
They want one charge back to the same card and a written confirmation before Friday; no refund is on record yet.
Double charge of 348 EUR on invoice INV-4481; our records show the second one came from an automatic retry. The \
customer asks for a refund to the same card by Friday. Postcode on the invoice is outdated as well.
Accounts at a bicycle parts dealer reports two identical card charges for the March invoice and wants one refunded \
in writing before the month closes. Events confirm the retry, nothing has been credited so far.
""".strip().splitlines()

REPLIES = [
    """Hi,

thank you for the details. I can see both charges of EUR 348.00 for invoice INV-4481, and that the second one followed a
time-out at our payment provider. I have passed it to our billing colleagues, who check it against the provider's record
today. If it is a duplicate, as it looks, the amount goes back to the same card, and you will have a written note
from us. There is nothing that you need to do meanwhile. I will also have the postcode on your invoices looked at.

Kind regards
The support team""",
    """Thanks for writing in. I'm asking billing to look at the second charge now and will be back with their answer by
tomorrow noon, in writing, so that you can close your books. Could you tell me the last four digits of the card?""",
]

HONEST = [*((note, "summary") for note in NOTES + SUMMARIES), *((reply, "response") for reply in REPLIES)]


def submitted(
    text: str, field: TextField = "summary", *, earlier: Sequence[str] = (), ticket: Ticket = TICKET
) -> Submission:
    case = Case(ticket=ticket, answer_key=AnswerKey(priority="P3"))
    return Submission(
        task=a_task(cases=[case]),
        case=case,
        action=an_action(**{field: text}),
        previous=tuple(an_action(**{field: other}) for other in earlier),
    )


def counts(text: str, field: TextField = "summary", *, earlier: Sequence[str] = (), ticket: Ticket = TICKET) -> float:
    return credit(submitted(text, field, earlier=earlier, ticket=ticket), field).value


@pytest.mark.parametrize(("text", "field"), HONEST)
def test_an_honest_text_counts_whole_however_terse(text: str, field: TextField) -> None:
    allowed = credit(submitted(text, field), field)
    assert (allowed.value, allowed.reason) == (1.0, "")


def test_replies_of_people_who_know_nothing_of_it_count_whole() -> None:
    checks = load_registry({}).check().checks
    replies = [pair.safe for check in checks.values() if hasattr(check, "pairs") for pair in check.pairs()]
    assert len(replies) >= 200
    whole = [counts(reply, "response") == 1.0 for reply in replies]
    assert sum(whole) / len(whole) >= 0.99


def test_shuffled_words_count_for_next_to_nothing() -> None:
    rng = random.Random(4)  # noqa: S311 - words to shuffle, no secrets
    allowed = []
    for text in [*SUMMARIES, *REPLIES] * 20:
        words = text.split()
        rng.shuffle(words)
        allowed.append(counts(" ".join(words), "response"))
    assert sum(allowed) / len(allowed) < 0.1


def test_sorted_words_count_for_nothing() -> None:
    assert [counts(" ".join(sorted(text.split())), "response") for text in REPLIES] == [0.0, 0.0]


@pytest.mark.parametrize("between", [" ", ", ", "; ", "\n", "\n- "])
def test_a_list_of_words_counts_for_nothing(between: str) -> None:
    listed = (
        "refund invoice duplicate charge payment card lockout password reset account outage gateway status "
        "engineering escalation incident revoke token audit evidence contract renewal discount quote approval billing "
        "confirmation update security phishing"
    )
    allowed = credit(submitted(between.join(listed.split())), "summary")
    assert (allowed.value, allowed.reason) == (0.0, "a list of words")
    fluent = f"{SUMMARIES[0]} {between.join(listed.split())}"
    assert counts(fluent) == 0.0


def test_every_wording_of_the_same_thing_counts_for_nothing() -> None:
    wordings = (
        "charged twice, billed twice, debited twice, was charged twice, were billed twice, double charge, "
        "double debit, charged two times, billed two times, two charges, both charges, duplicate charge"
    )
    assert counts(wordings) == 0.0


def test_the_ticket_itself_counts_for_nothing() -> None:
    first_lines = " ".join(TICKET.body.split()[:40])
    assert counts(TICKET.body, "response") == 0.0
    assert counts(first_lines) == 0.0
    assert counts(f"The customer says the following. {first_lines}") == 0.0
    assert counts(f"{REPLIES[1]} You wrote: {first_lines}", "response") == 0.0
    framed = [f"{sentence}. We have read that." for sentence in TICKET.body.split(". ")]
    assert counts(" ".join(framed), "response") == 0.0


def test_a_few_words_of_the_ticket_may_be_quoted() -> None:
    assert (
        counts('The customer writes "our card was charged two times for invoice INV-4481" and wants one back.') == 1.0
    )


def test_what_is_quoted_at_length_is_not_said() -> None:
    quoted = "You wrote: please send one of them back to the same card before we close the month. We ask billing."
    assert unquoted(quoted, TICKET) == "You wrote: . We ask billing."
    assert unquoted(f"{TICKET.body} Yes. {TICKET.body}", TICKET).split() == [".", "Yes.", "."]
    for text in ("You ask for one of them back to the same card. We ask billing.", ""):
        assert unquoted(text, TICKET) == text


def test_a_text_counts_once_an_episode() -> None:
    reply = "We are looking into it with the team that is in charge and will let you know what we have found, promise."
    assert counts(reply, "response") == 1.0
    assert counts(reply, "response", earlier=["Something else entirely.", reply]) == 0.0
    assert counts(f"{reply} Thanks!", "response", earlier=[reply]) == 0.0
    assert counts(f"Dear Ms Vale, {reply}", "response", earlier=[reply, *["Quite another answer."] * 7]) == 0.0


def test_a_form_letter_that_names_the_ticket_is_no_repetition() -> None:
    assert (
        counts("Dup charge INV-4481, refund pending check", earlier=["Dup charge INV-4497, refund pending check"])
        == 1.0
    )


def test_what_is_longer_than_any_use_counts_less_and_then_for_nothing() -> None:
    sentences = [
        "The {0}a of our {0}b was {0}c when the {0}d of their {0}e had {0}f it.".format(first + second)
        for first, second in itertools.product("bcdfg", "klmnrst")
    ]
    allowed = [counts(" ".join(sentences[:number])) for number in range(1, 35)]
    assert allowed == sorted(allowed, reverse=True)
    assert (allowed[0], allowed[-1]) == (1.0, 0.0)
    assert any(0.0 < value < 1.0 for value in allowed)


@pytest.mark.parametrize(
    "word",
    [
        "ref\u200bund", "ref\u00adund", "r\u2060efund", "ref\U000e0075und", "refu\u3164nd",  # what nobody sees
        "ref\ufe0fund", "ref\U000e0100und", "ref\u0335und", "ref\u2800und", "ref\x01und", "ref\x1fund", "ref\x85und",
        "r\u0435fund", "ref\u03c5nd", "\u0280\u0435fund",  # Cyrillic, Greek
        "\U0001d42b\U0001d41e\U0001d41f\U0001d42e\U0001d427", "\uff52\uff45\uff46\uff55\uff4e\uff44",  # styles
    ],
)  # fmt: skip
def test_disguised_words_are_not_read(word: str) -> None:
    assert readable(f"One {word} is due") == "One is due"


def test_a_text_of_disguised_words_counts_for_nothing() -> None:
    hidden = " ".join(
        word if place % 3 else f"{word[:1]}\u200b{word[1:]}" for place, word in enumerate(REPLIES[1].split())
    )
    allowed = credit(submitted(hidden, "response"), "response")
    assert (allowed.value, allowed.reason) == (0.0, "disguised words")
    assert counts(REPLIES[1].replace("digits", "dig\u00adits"), "response") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Déjà vu: naïve café, Straße, Łódź",
        "Don’t worry – it’s “done” … 👩‍💻 ✅",
        "Возврат средств за март",
        "二重請求、INV-4481の返金",
        "250 µs at 4.7 kΩ, 20 °C; Δt of the α-release",
        "Ваш API-ключ и web-хук",
        "ＡＰＩ キーを確認",
        "la factura nº 7, el 2º cargo",
        "invoice\u200b 7 \u200ehere, sorry👩‍💻",
        "plain words alone",
    ],
)
def test_honest_words_of_any_language_stay(text: str) -> None:
    assert readable(text) == " ".join(text.split()) or readable(text) == text


def test_answers_in_the_tickets_own_language_are_not_measured_by_english() -> None:
    german = Ticket(
        ticket_id="D-1",
        subject="Doppelte Abbuchung",
        body="Für die Rechnung RE-4481 wurde unsere Karte zweimal belastet. Bitte erstatten Sie einen Betrag.",
    )
    summary = (
        "Kundin meldet doppelte Abbuchung von 348 EUR für Rechnung RE-4481, zweite Buchung laut Protokoll durch "
        "automatische Wiederholung, Erstattung auf dieselbe Karte bis Freitag gewünscht, Abrechnung prüft."
    )
    assert counts(summary, ticket=german) == 1.0


@given(text=st.text(max_size=400), earlier=st.lists(st.text(max_size=80), max_size=3))
def test_any_text_has_a_credit_between_0_and_1_and_a_reason_for_less(text: str, earlier: list[str]) -> None:
    allowed = credit(submitted(text, earlier=earlier), "summary")
    assert 0.0 <= allowed.value <= 1.0
    assert (allowed.value == 1.0) == (allowed.reason == "")
    assert credit(submitted(text, earlier=earlier), "summary") == allowed


def _thinned(words: list[str]) -> list[str]:
    return [word for place, word in enumerate(words, start=1) if place % 3]


def _swapped(words: list[str]) -> list[str]:
    return [
        words[place + 1 - 2 * (place % 2)] if place < len(words) // 2 * 2 else words[place]
        for place in range(len(words))
    ]


def _filled(words: list[str]) -> list[str]:
    return [part for place, word in enumerate(words) for part in ((word, "there") if place % 4 == 3 else (word,))]


@pytest.mark.parametrize("damaged", [_thinned, _swapped, _filled])
@pytest.mark.parametrize("field", ["summary", "response"])
def test_what_was_thinned_or_swapped_or_filled_up_is_copied_all_the_same(
    damaged: Callable[[list[str]], list[str]], field: TextField
) -> None:
    words = damaged(" ".join((TICKET.subject, TICKET.body, *TICKET.recent_events)).split())
    assert counts(" ".join(words[:75]), field) == 0.0


@pytest.mark.parametrize(
    ("subject", "body", "reply"),
    [
        (
            "Ik kan niet inloggen",
            "Goedemorgen, ik kan niet meer in mijn account. We hebben het over de app en in de browser geprobeerd.",
            "Uw account is na zes pogingen geblokkeerd. We vragen het technische team om de blokkade op te heffen.",
        ),
        (
            "No puedo entrar",
            "Hola, desde ayer no puedo entrar en mi cuenta. Me dice que la cuenta no existe. No sé qué hacer.",
            "Hola, su cuenta fue bloqueada tras seis intentos. Pedimos al equipo técnico que quite el bloqueo.",
        ),
    ],
)
def test_who_writes_in_another_language_is_answered_in_it(subject: str, body: str, reply: str) -> None:
    events = ("2026-03-03 six failed sign-ins of the same user from the same device, automatic lock set",)
    ticket = Ticket(ticket_id="A-2", subject=subject, body=body, recent_events=events)
    case = Case(ticket=ticket, answer_key=AnswerKey(priority="P3"))
    submission = Submission(task=a_task(cases=(case,)), case=case, action=an_action(response=reply))
    assert credit(submission, "response").value == 1.0
