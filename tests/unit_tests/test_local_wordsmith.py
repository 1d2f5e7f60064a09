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
        ("Put these words in alphabetical order: pear, kiwi, fig, plum", "fig, kiwi, pear, plum"),
        ("How many vowels does 'education' have?", "5"),
        ("Count the letters in the word 'butterfly'.", "9"),
        ("Give the first letter of each word: red orange yellow", "r o y"),
        ("Write these words in the opposite order: one two three", "three two one"),
        ("How often does the letter s occur in 'mississippi'?", "4"),
        ("Convert 'MAKE IT QUIET' to lower case.", "make it quiet"),
        ("Reverse the word 'abc'.", "cba"),
        ("Sort these words: plum, apple, grape", "apple, grape, plum"),
        ("Sort the words banana, apple, cherry.", "apple, banana, cherry"),
        ("Spell 'river' backwards.", "revir"),
        ("Make 'Green Tea' lower case.", "green tea"),
        ("Write 'silent night' in capital letters.", "SILENT NIGHT"),
        ("Reverse the word 'table'.", "elbat"),
        ("What is 'abc' backwards?", "cba"),
        ("How many letters are in the word 'window'?", "6"),
        ("Count the words in: we went home early", "4"),
        ("Count the words in: hello, big world", "3"),
        ("How many words are in 'one, two three'?", "3"),
        ("How many letters a in 'banana'", "3"),
        ("Please count the words in 'a b', thank you.", "2"),
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
        ("Sort and then reverse the words: a, b", "nothing known"),
        ("How many capital letters are in 'ABC def'?", "nothing known"),
        ("Sort these words: a, b. Then explain.", "unclear where"),
        ("Reverse 'one' or 'two'", "several quoted texts"),
    ],
)
def test_refuses_and_lists_what_it_can(order, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        transform(order)
    assert "sort words alphabetically" in str(caught.value)


@pytest.mark.parametrize(
    "order",
    [
        "Sort these words in descending order: a, b, c",
        "Sort these words by length: pear, fig, banana",
        "Sort these numbers: 10, 9, 2",
        "Sort these words: 10, 9, 2",
        "Reverse the order of letters in 'abc'",
        "Reverse each word in 'hello world'",
        "Sort the letters of 'banana' alphabetically",
        "Which word comes first in alphabetical order: pear, apple",
        "How many words start with a: apple, bee, ant",
        "How many letters does the first word in 'a big house' have?",
        "how many letters in 'hello world' excluding o",
        "How many words rhyme with 'cat'?",
        "Capitalize the first letters of 'big old house'",
        "Don't reverse 'abc'",
        "Reverse the word lemon tree",
        "Explain reverse osmosis: water",
        "How many letters are in the word don't?",
        "Is 'ABC' upper case?",
        "Write 'abc' in reverse order",
        "Reverse: one, two",
        "Reverse these words: cat dog",
        "Sort: rock and roll, jazz",
        "Sort: pear and fig",
        "Sort: zebra, école",
        "How many letters are in the word above?",
        "How many vowels are in 'café'?",
        "How often does s occur in 'Straße'?",
        "Count the words in: pear,fig",
        "Reverse 'e\u0301a'",
        "How many \1 are in 'abc'?",
        "Reverse \0 'abc'",
        "What is the first letter of 'big old house'?",
    ],
)
def test_refuses_what_could_mean_something_else(order):
    with pytest.raises(ValueError, match="The wordsmith can"):
        transform(order)


def test_words_in_the_material_are_no_order():
    assert transform("Make upper case: reverse and sort") == "REVERSE AND SORT"
    assert transform("Reverse 'count the letters'") == "srettel eht tnuoc"


WORDS = st.lists(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda word: word != "and"), min_size=1, max_size=6
)


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
