"""Tasks begun inside an awaited step are contained; all others, and the loop's own factory, stay as they are."""

import asyncio
import inspect
import sys
from contextvars import Context, ContextVar, copy_context

import pytest

from langgraph_conductor.containment import AWAITED, contained_tasks

MARK: ContextVar[str] = ContextVar("mark", default="none")


def inside() -> Context:
    context = copy_context()
    context.run(AWAITED.set, True)
    return context


async def exits():
    await asyncio.sleep(0)
    sys.exit(3)


async def gives(value="given"):
    await asyncio.sleep(0)
    return value, MARK.get()


def running(scenario):
    """Run it in a loop whose factory tells what it was given."""
    made = []

    def own(loop, coro, **options):
        made.append((coro, options))
        return asyncio.Task(coro, loop=loop, **options)

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(own)
        await scenario(loop)
        assert loop.get_task_factory() is own

    asyncio.run(main())
    return made


def test_a_task_of_a_step_that_exits_has_failed():
    async def scenario(loop):
        with contained_tasks(loop):
            task = loop.create_task(exits(), context=inside())
            with pytest.raises(RuntimeError, match="SystemExit was raised: 3") as caught:
                await task
        assert isinstance(caught.value.__context__, SystemExit)

    made = running(scenario)
    assert "exits" in [coroutine.__qualname__ for coroutine, _ in made]  # by the loop's own factory


def test_a_task_of_the_host_still_ends_it():
    async def main():
        loop = asyncio.get_running_loop()
        with contained_tasks(loop):
            await loop.create_task(exits())

    with pytest.raises(SystemExit):
        asyncio.run(main())


def test_a_task_of_the_host_is_given_its_own_coroutine():
    async def scenario(loop):
        with contained_tasks(loop):
            coroutine = gives()
            task = loop.create_task(coroutine, name="theirs")
            assert task.get_coro() is coroutine
            assert task.get_name() == "theirs"
            assert await task == ("given", "none")

    running(scenario)


def test_ctrl_c_still_ends_the_loop():
    async def interrupts():
        raise KeyboardInterrupt

    async def main():
        loop = asyncio.get_running_loop()
        with contained_tasks(loop):
            await loop.create_task(interrupts(), context=inside())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_names_contexts_results_and_looks_stay():
    async def scenario(loop):
        context = inside()
        context.run(MARK.set, "its own")
        with contained_tasks(loop):
            task = loop.create_task(gives(), name="ours", context=context)
            assert (task.get_name(), "gives" in repr(task)) == ("ours", True)
            assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED  # anyio asks
            await asyncio.sleep(0)
            assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_SUSPENDED
            assert task.get_stack()
            assert await task == ("given", "its own")

    running(scenario)


def test_a_task_cancelled_before_it_starts_or_while_it_waits_is_cancelled():
    async def scenario(loop):
        with contained_tasks(loop):
            for begun in (0, 1):
                task = loop.create_task(gives(), context=inside())  # "never awaited" would be an error here
                for _ in range(begun):
                    await asyncio.sleep(0)
                task.cancel("why")
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert task.cancelled()

    running(scenario)


def test_a_task_that_waits_for_a_cancelled_one_is_cancelled_too():
    async def scenario(loop):
        other = loop.create_task(asyncio.sleep(60))

        async def waits():
            await other

        with contained_tasks(loop):
            task = loop.create_task(waits(), context=inside())
            await asyncio.sleep(0)
            other.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    running(scenario)


def test_a_task_that_exits_when_it_is_cancelled_is_cancelled():
    async def scenario(loop):
        async def stubborn():
            try:
                await asyncio.sleep(60)
            finally:
                sys.exit(1)

        with contained_tasks(loop):
            task = loop.create_task(stubborn(), context=inside())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    running(scenario)


def test_a_step_can_cancel_and_catch_in_its_tasks():
    async def scenario(loop):
        async def catches():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                asyncio.current_task().uncancel()
                return await gives("caught")

        with contained_tasks(loop):
            task = loop.create_task(catches(), context=inside())
            await asyncio.sleep(0)
            task.cancel()
            assert await task == ("caught", "none")

    running(scenario)


def test_the_factory_stays_until_the_last_step_is_over():
    async def scenario(loop):
        own = loop.get_task_factory()
        first, second = contained_tasks(loop), contained_tasks(loop)
        first.__enter__()
        ours = loop.get_task_factory()
        second.__enter__()
        assert loop.get_task_factory() is ours
        first.__exit__(None, None, None)
        assert loop.get_task_factory() is ours
        second.__exit__(None, None, None)
        assert loop.get_task_factory() is own

    running(scenario)


def test_a_factory_that_someone_else_sets_meanwhile_stays():
    async def main():
        loop = asyncio.get_running_loop()

        def theirs(loop, coro, **options):
            return asyncio.Task(coro, loop=loop, **options)

        with contained_tasks(loop):
            loop.set_task_factory(theirs)
        assert loop.get_task_factory() is theirs

    asyncio.run(main())


def test_a_loop_without_a_factory_has_none_again():
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="out"), contained_tasks(loop):
            raise ValueError("out")
        assert loop.get_task_factory() is None

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_are_contained_and_stay_eager():
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)

        async def at_once():
            sys.exit(1)

        async def value():
            return 1

        async def both():
            assert loop.create_task(value()).done()
            await loop.create_task(at_once())

        with contained_tasks(loop), pytest.raises(RuntimeError, match="SystemExit"):
            await loop.create_task(both(), context=inside())

    asyncio.run(main())
