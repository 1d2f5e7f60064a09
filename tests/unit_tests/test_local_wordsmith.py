"""Word operations: each row of the table, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_conductor.local.wordsmith import transform


@pytest.mark.parametrize(
    ("order", "result"),
    [
        ("Sort these words: pear, Kiwi, fig", "fig, Kiwi, pear"),
        ("Put these words in alphabetical order: pear, fig and plum", "fig, pear, plum"),
        ("Arrange alphabetically: zebra ant mole", "ant mole zebra"),
        ("Sort in reverse alphabetical order: a, c, b", "c, b, a"),
        ("Sort the words banana, apple and cherry.", "apple, banana, cherry"),
        ("Reverse the word 'planet'.", "tenalp"),
        ("Reverse the word planet.", "tenalp"),
        ("What is 'stressed' spelled backwards?", "desserts"),
        ("Reverse the order of the words: one two three", "three two one"),
        ("Write these words in the opposite order: one, two", "two, one"),
        ("How many letters are in 'well-known fact'?", "13"),
        ("Count the letters in the word “butterfly”.", "9"),
        ("Number of words in: we went home early", "4"),
        ("How many vowels does 'Education' have?", "5"),
        ("How often does the letter s occur in 'Mississippi'?", "4"),
        ("How many times does 's' appear in 'mississippi'?", "4"),
        ("How many s's are in 'mississippi'?", "4"),
        ("Make this upper case: hello world", "HELLO WORLD"),
        ("Write 'good morning' in capital letters.", "GOOD MORNING"),
        ('Convert "MAKE IT QUIET" to lower-case.', "make it quiet"),
        ("What are the first letters of: big old house?", "b o h"),
    ],
)
def test_does_the_operation(order, result):
    assert transform(order) == result


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("What is the capital of France?", "no quoted text"),
        ("Sort these words:", "no quoted text"),
        ("Write a poem: roses", "nothing known"),
        ("Sort and then reverse the words: a, b", "sort words .* and reverse"),
        ("How many capital letters are in 'ABC def'?", "upper case"),
        ("Sort these words: a, b. Then explain.", "unclear where"),
        ("Reverse 'one' or 'two'", "several quoted texts"),
    ],
)
def test_refuses_and_lists_what_it_can(order, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        transform(order)
    assert "sort words alphabetically" in str(caught.value)


def test_words_in_the_material_are_no_order():
    assert transform("Make upper case: reverse and sort") == "REVERSE AND SORT"
    assert transform("Reverse 'count the letters'") == "srettel eht tnuoc"


WORDS = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=6)


@given(WORDS)
def test_agrees_with_python(words):
    text = " ".join(words)
    assert transform(f"Sort these words: {text}") == " ".join(sorted(words))
    assert transform(f"Reverse the order of the words in: {text}") == " ".join(words[::-1])
    assert transform(f"How many words are in: {text}") == str(len(words))
    assert transform(f"How many letters are in: {text}") == str(len("".join(words)))
    assert transform(f'How often does the letter a occur in "{text}?"') == str(text.count("a"))


@given(st.text())
def test_answers_or_refuses_any_text(text):
    try:
        assert isinstance(transform(text), str)
    except ValueError as error:
        refusal = str(error)
    else:
        return
    assert "The wordsmith can" in refusal
