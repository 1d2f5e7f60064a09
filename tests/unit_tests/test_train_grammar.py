"""Everything the grammar allows is a plan that can be run, and every such plan is allowed."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_conductor import ACCEPT, Step, Worker, WorkerPool, Workflow, parse_workflow
from langgraph_conductor.local.conductor import EmbeddedPlanner, plan_text
from langgraph_conductor.local.specialists import SUBTASKS
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ACCEPT_TEXT, ScriptedModel
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.train.learning.grammar import Grammar, PlanGrammar
from langgraph_conductor.train.tiny import conducting, naming
from langgraph_conductor.train.tiny.thoughts import Thoughts
from tests.helpers import Recorder

TASK = Task("What is it?", "it", "exact")
MENU = ("Solve it.", 'Say "yes" or \\frac{1}{2}.', "Solve it. Then check\nit.", "Größer?")
SIGNS = sorted(
    {*"0123456789", *'model_id = []\nsubtasks = []\naccess_list = ["all"], \\u', *"Do it.", *"".join(MENU)}
)


class Letters:
    """A tokenizer with a token for each of `pieces`, which cuts greedily; the last token ends a text."""

    def __init__(self, pieces):
        self.pieces = list(dict.fromkeys(pieces))
        self.eos_token_id = len(self.pieces)
        self.all_special_ids = [self.eos_token_id]

    def get_vocab(self):
        return {piece: i for i, piece in enumerate([*self.pieces, "<end>"])}

    def encode(self, text, add_special_tokens=False):
        found = []
        while text:
            piece = max((p for p in self.pieces if text.startswith(p)), key=len, default="")
            if not piece:
                return [*found, self.eos_token_id]  # a special token for what is unknown
            found.append(self.pieces.index(piece))
            text = text[len(piece) :]
        return found

    def decode(self, tokens):
        return "".join([*self.pieces, ""][token] for token in tokens)

    def batch_decode(self, rows, clean_up_tokenization_spaces):
        return [self.decode(row) for row in rows]


def pool(count, dropped=(), not_last=()):
    workers = [Worker(f"w{i}", Recorder(), may_be_last=i not in not_last) for i in range(count)]
    return WorkerPool(workers).without(*(f"w{i}" for i in dropped))


def record(answer):
    """An earlier round that gave an answer."""
    return {"round": 0, "workflow": None, "answer": answer, "plan": None, "steps": [], "wall_seconds": 0.0}


def write(writing, tokenizer, rng):
    """A plan written at random, and its tokens."""
    tokens = []
    while True:
        token = rng.choice(writing.allowed(tuple(tokens)))
        if token == tokenizer.eos_token_id:
            return tokenizer.decode(tokens), tuple(tokens)
        tokens.append(token)


POOLS = [pool(1), pool(3), pool(12, dropped=(2, 3)), pool(11, not_last=(0, 10))]
pieces = st.lists(st.text(st.sampled_from(SIGNS), min_size=2, max_size=6), max_size=40)
subtasks = st.lists(st.sampled_from(MENU), min_size=1, unique=True)
earlier = st.sampled_from([(), (record("42"),)])


@given(
    pieces, subtasks, st.integers(1, 4), st.sampled_from(POOLS), earlier, st.randoms(use_true_random=False)
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_allowed_is_a_canonical_plan_the_pool_can_run(more, menu, steps, offered, rounds, rng):
    tokenizer = Letters([*SIGNS, *more])
    writing = PlanGrammar(tokenizer, menu, steps)(Ask(TASK, offered, rounds))
    for _ in range(3):
        text, _ = write(writing, tokenizer, rng)
        plan = parse_workflow(text, offered, max_steps=steps, allow_accept=bool(rounds))
        if plan is ACCEPT:
            assert rounds
            assert text == ACCEPT_TEXT.split("\n\n")[1]
        else:
            offered.check(plan)
            assert plan.to_text(offered) == text
            assert {step.subtask for step in plan.steps} <= set(menu)
            assert rounds or plan.steps[0].access == ()


@st.composite
def plans(draw, offered, menu, most):
    last = [name for name in offered.names if offered[name].may_be_last]
    count = draw(st.integers(1, most))
    names = [draw(st.sampled_from(offered.names)) for _ in range(count - 1)] + [draw(st.sampled_from(last))]
    reads = [()] + [draw(st.sampled_from([(), "all"])) for _ in range(count - 1)]
    asked = [draw(st.sampled_from(menu)) for _ in range(count)]
    return Workflow(tuple(map(Step, names, asked, reads)))


@given(st.data(), pieces, st.sampled_from(POOLS), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_every_canonical_plan_is_allowed_however_it_is_cut(data, more, offered, rng):
    tokenizer = Letters([*SIGNS, *more])
    writing = PlanGrammar(tokenizer, MENU, 3)(Ask(TASK, offered))
    text = data.draw(plans(offered, MENU, 3)).to_text(offered)
    tokens, rest = [], text
    while rest:
        fitting = [i for i, piece in enumerate(tokenizer.pieces) if rest.startswith(piece)]
        tokens.append(rng.choice(fitting))
        rest = rest[len(tokenizer.pieces[tokens[-1]]) :]
    for length, token in enumerate(tokens):
        assert token in writing.allowed(tuple(tokens[:length]))
    end = (tokenizer.eos_token_id,)
    rests = [writing.rest(tuple(tokens[:length])) for length in range(len(tokens) + 1)]
    for length, known in enumerate(rests):
        if known:
            assert tokenizer.decode([*tokens[:length], *known]) == text
            assert known[-1] == end[0]
            assert all(rests[length:])
    assert rests[-1] == end
    assert tuple(writing.allowed(tuple(tokens))) == end
    assert tuple(writing.allowed((*tokens, *end))) == end


def test_a_later_round_may_accept_and_read_the_round_before():
    tokenizer = Letters(SIGNS)
    first, later = (
        PlanGrammar(tokenizer, ["Do it."])(Ask(TASK, POOLS[1], rounds)) for rounds in ((), (record("42"),))
    )
    for text in (
        "model_id = []\nsubtasks = []\naccess_list = []",
        'model_id = [1]\nsubtasks = ["Do it."]\naccess_list = [["all"]]',
    ):
        with pytest.raises(ValueError, match="continues no plan"):
            first.allowed(tuple(tokenizer.encode(text)))
        assert later.allowed(tuple(tokenizer.encode(text))) == (tokenizer.eos_token_id,)


def test_no_token_leads_into_a_dead_end():
    """A tokenizer that can begin a subtask in a way it cannot end."""
    whole = ["model_id = [", "0", "]\nsubtasks = [", '"Do it."', "]\naccess_list = [", "[]", "]"]
    tokenizer = Letters([*whole, '"', "D", '"Do'])
    writing = PlanGrammar(tokenizer, ["Do it."], 1)(Ask(TASK, POOLS[0]))
    text, tokens = write(writing, tokenizer, random.Random(0))
    assert text == 'model_id = [0]\nsubtasks = ["Do it."]\naccess_list = [[]]'
    assert [list(writing.allowed(tokens[:length])) for length in range(7)] == [[i] for i in range(7)]


def test_the_rest_is_known_where_the_last_choice_was_made():
    tokenizer = Letters([*SIGNS, " = [", "subtasks", "access_list"])
    writing = PlanGrammar(tokenizer, ["Do it.", "Do."], 2)(Ask(TASK, POOLS[1]))
    for text, chosen in (
        ('model_id = [1]\nsubtasks = ["Do it."]\naccess_list = [[]]', '["Do '),
        ('model_id = [0]\nsubtasks = ["Do."]\naccess_list = [[]]', '["Do.'),
        ('model_id = [1, 2]\nsubtasks = ["Do.", "Do."]\naccess_list = [[], ["all"]]', '[[], ["'),
    ):
        tokens = tuple(tokenizer.encode(text))
        first = next(n for n in range(len(tokens)) if writing.rest(tokens[:n]))
        assert tokenizer.decode(tokens[:first]).endswith(chosen)
        assert tokenizer.decode(writing.rest(tokens[:first])) == text[text.index(chosen) + len(chosen) :]
        # As few tokens as the tokenizer has for it, and the end.
        assert writing.rest(tokens[:first]) == (*tokens[first:], tokenizer.eos_token_id)


def test_a_tokenizer_may_put_spaces_of_its_own_where_a_text_begins():
    class Stripping(Letters):
        def decode(self, tokens):
            return super().decode(tokens).removeprefix(" ")

    tokenizer = Stripping([*SIGNS, " ="])
    writing = PlanGrammar(tokenizer, ["Do it."], 1)(Ask(TASK, POOLS[0]))
    begun = tuple(tokenizer.encode("model_id"))
    assert set(writing.allowed(begun)) == {tokenizer.pieces.index(" ="), tokenizer.pieces.index(" ")}


def test_what_cannot_be_written_is_refused_before_anything_is():
    poor = Letters([sign for sign in SIGNS if sign != "ö"])
    with pytest.raises(ValueError, match=r"cannot write this plan:\n(.|\n)*Größer"):
        PlanGrammar(poor, MENU, 2)(Ask(TASK, POOLS[1]))
    endless = Letters(SIGNS)
    endless.eos_token_id = None
    for arguments, wrong in (
        ((Letters(SIGNS), []), "menu is empty"),
        ((Letters(SIGNS), MENU, 0), "max_steps is at least 1"),
        ((endless, MENU), "no end token"),
    ):
        with pytest.raises(ValueError, match=wrong):
            PlanGrammar(*arguments)


# The embedded conductor's own language: thoughts first, then lists that repeat them.


def embedded(rng, anonymous, rounds=()):
    """What may be written about an embedded pool under other names, a planner that reads it, and the ask."""
    offered, _ = naming.drawn_pool(lambda *_: ScriptedModel(replies=["-"]), rng)
    ask = Ask(TASK, offered, rounds)
    signs = sorted(
        {*SIGNS, *"".join(SUBTASKS.values()), *"".join(w.description + w.name for w in offered), ":"}
    )
    tokenizer = Letters([*signs, *SUBTASKS.values(), "model_id", "subtasks"])
    grammar = Grammar(tokenizer, lambda one: Thoughts.of(one, anonymous=anonymous))
    planner = EmbeddedPlanner(ScriptedModel(replies=["-"]), show="anonymous" if anonymous else "described")
    return grammar(ask), tokenizer, planner, ask


@pytest.mark.parametrize("anonymous", [False, True])
def test_whatever_the_small_conductor_may_write_can_be_run(anonymous):
    rng = random.Random(1)
    lengths = set()
    for _ in range(6):
        writing, tokenizer, planner, ask = embedded(rng, anonymous)
        text, _ = write(writing, tokenizer, rng)
        plan = planner.parse(text, ask.request(conducting.MOST_STEPS))
        lengths.add(len(plan.steps))
        assert plan_text(plan, ask.pool, anonymous=anonymous) == text
        assert {step.subtask for step in plan.steps} <= {*SUBTASKS.values()}
    assert lengths <= {1, 2, 3}
    assert len(lengths) > 1


@pytest.mark.parametrize("anonymous", [False, True])
def test_the_small_conductor_may_write_all_it_is_taught(anonymous):
    rng = random.Random(2)
    for _ in range(6):
        writing, tokenizer, _, ask = embedded(rng, anonymous)
        names = rng.choices(ask.pool.names, k=rng.choice((1, 2, 3)))
        asked = rng.choices([*SUBTASKS.values()], k=len(names))
        reads = ["all" if i and rng.random() < 0.7 else () for i in range(len(names))]
        taught = plan_text(Workflow(tuple(map(Step, names, asked, reads))), ask.pool, anonymous=anonymous)
        assert tuple(writing.allowed(tuple(tokenizer.encode(taught)))) == (tokenizer.eos_token_id,)


def test_the_small_conductor_may_accept_an_earlier_answer_and_no_other():
    rng = random.Random(3)
    for rounds in ((), (record("42"),)):
        writing, tokenizer, planner, ask = embedded(rng, False, rounds)
        accepting = tuple(tokenizer.encode(conducting.ACCEPTED))
        if rounds:
            assert tuple(writing.allowed(accepting)) == (tokenizer.eos_token_id,)
            assert planner.parse(conducting.ACCEPTED, ask.request(3)) is ACCEPT
        else:
            with pytest.raises(ValueError, match="continues no plan"):
                writing.allowed(accepting)
