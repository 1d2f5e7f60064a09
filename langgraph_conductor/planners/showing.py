"""What a planner is shown of the workers: a line on each."""

from collections.abc import Sequence
from typing import Final, Literal

from langgraph_conductor.attachments import attachments, labels
from langgraph_conductor.history import recent
from langgraph_conductor.planners.profiles import Measured, Profiles, WorkerProfile
from langgraph_conductor.records import ContentBlock
from langgraph_conductor.workers import Worker, WorkerPool

Show = Literal["anonymous", "described"]

MAX_DOMAINS: Final = 6
"""Most domains a profile is shown of."""

SURE: Final = 0.1
"""A share whose 95 % interval reaches further than this from its middle is shown with it."""


def worker_lines(
    pool: WorkerPool, show: Show, profiles: Profiles | None = None, question: Sequence[ContentBlock] = ()
) -> list[str]:
    """A line on each worker, in order; with profiles, what was measured, and a last line that says on what.

    Of the domains those are shown in which the offered workers differ beyond doubt: the best one's 95 % interval
    lies above the worst one's. The widest gap comes first, and at most `MAX_DOMAINS` are shown.

    Args:
        pool: The offered workers.
        show: Whether names, descriptions and prices are shown, or ordinals alone.
        profiles: What was measured. Workers it does not know are shown as unmeasured.
        question: The question, for what each worker reads of its attachments.
    """
    lines = [
        _line(n, pool[name], show) + read_by(pool[name], question) for n, name in pool.ordinals.items()
    ]
    if profiles is None:
        return lines
    known = [profiles.workers[name] for name in pool.names if name in profiles.workers]
    domains = telling_domains(known)
    shown = [_measured(profiles.workers.get(name), domains) for name in pool.names]
    return [
        *(f"{line}; {facts}" for line, facts in zip(lines, shown, strict=True)),
        _told(profiles, bool(known)),
    ]


def telling_domains(profiles: Sequence[WorkerProfile]) -> tuple[str, ...]:
    """The domains in which these workers differ beyond doubt, see `worker_lines`."""
    gaps: dict[str, float] = {}
    for domain in {domain for profile in profiles for domain in profile.domains}:
        intervals = [profile.domains[domain].interval for profile in profiles if domain in profile.domains]
        gaps[domain] = max(low for low, _ in intervals) - min(high for _, high in intervals)
    telling = [domain for domain, gap in gaps.items() if gap > 0]
    return tuple(sorted(telling, key=lambda domain: (-gaps[domain], domain))[:MAX_DOMAINS])


def _line(ordinal: int, worker: Worker, show: Show) -> str:
    last = "" if worker.may_be_last else " (not for the last step)"
    if show == "anonymous":
        return f"Model {ordinal}{last}"
    said = f"{worker.name}: {_on_its_line(worker.description)}".rstrip(": ")
    if price := worker.prices.get(""):
        said += f" (${price.input} in, ${price.output} out per million tokens)"
    return said + last


def read_by(worker: Worker, question: Sequence[ContentBlock]) -> str:
    """What a worker reads of a question's attachments, in brackets; empty if there is none."""
    if not attachments(question):
        return ""
    question = recent(question, worker.history)
    named = labels(attachments(question))
    if not named:
        return " (gets none of what the question carries)"
    if not worker.reader.models:
        return f" (gets {', '.join(named)}; whether it can read that is not known)"
    unread = {at for at, _ in worker.reader.withheld(question)}
    can = ", ".join(name for at, name in enumerate(named) if at not in unread)
    cannot = ", ".join(named[at] for at in sorted(unread))
    parts = [f"reads {can}"] * bool(can) + [f"cannot read {cannot}"] * bool(cannot)
    return f" ({'; '.join(parts)})"


def _measured(profile: WorkerProfile | None, domains: Sequence[str]) -> str:
    if profile is None:
        return "unmeasured"
    overall = profile.overall
    shares = [f"right {_share(overall)} (n={overall.n})"]
    for domain in domains:
        measured = profile.domains.get(domain)
        shares.append(f"{_on_its_line(domain)} {_share(measured) if measured else 'unmeasured'}")
    if overall.readable < 0.995:
        shares.append(f"answer readable {overall.readable:.0%}")
    costs = [f"{overall.seconds:.2g} s"]
    if overall.usd is not None:
        costs.insert(0, f"${float(overall.usd):.2g}")
    return f"{', '.join(shares)}, {' and '.join(costs)} an answer"


def _share(measured: Measured) -> str:
    low, high = measured.interval
    doubt = f" ({low:.0%} to {high:.0%})" if high - low > 2 * SURE else ""
    return f"{measured.accuracy:.0%}{doubt}"


def _told(profiles: Profiles, known: bool) -> str:
    if not known:
        return "None of these models was measured."
    source = _on_its_line(
        ", ".join(part for part in (profiles.suite, profiles.split, profiles.date) if part)
    )
    return (
        f"Measured when each answered alone{f' ({source})' if source else ''}: the share of right answers, "
        "overall and by kind of question; in brackets, where few were asked, the range it lies in with 95 % "
        "confidence."
    )


def _on_its_line(text: str) -> str:
    """`text` without line breaks, so that it cannot look like another worker."""
    return " ".join(text.split())
