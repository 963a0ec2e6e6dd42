"""The live side as a section: `python -m tests.benchmarks.live_page` prints it alone."""

from collections.abc import Sequence
from dataclasses import asdict

from tests.benchmarks.live import Hop, Live, measure_live
from tests.benchmarks.section import Rows, Section, Target

LIVE = """The processes of `wick live` on loopback, Redis between them (load {load:.1f}). *Lockstep*
is `wick parity`: each candle waits until all roles are done with the one before. Then time runs
freely and a strategy with W's indicators enters at every second close: from the exchange's last
closing event to the entry order's arrival, and from the event of its fill to the stop's. The bare
chain is as many processes on the same road, with the plain libraries, a line and an fdatasync, and
no work.

With one symbol ({orders} entries) the whole way takes {ratio:.1f} times as long as the bare
chain's. With seven every order of an instant counts, the last of them too; processes and simulated
exchange share this machine's cores. With a load above their number these times cannot be relied on:
measure again on a quiet machine.

Profiled once in lockstep, under load: of each role's samples 52 to 60 % wait for a socket and 14 to
26 % write to one; indicators are a tenth of signal_generator's, decisions a twentieth of the
trader's."""


def section(markets: object, folder: object) -> Section:
    """Measure the live side; it draws its own market in folders of its own."""
    live = measure_live()
    whole = live.latency[0].entry[-1]
    ratio = whole.p50 / live.bare[-1].p50
    text = LIVE.format(load=live.load, ratio=ratio, orders=whole.count)
    against = "as many bare processes on the same road"
    target = Target("candle close → order, by Redis", against, ratio, 1.8, 1.3, "×", False,
                    "work of the roles, a process a hop")  # fmt: skip
    return Section("Live", _live_tables(live), text, [target], asdict(live))


def _live_tables(live: Live) -> list[tuple[tuple[str, ...], Rows]]:
    lockstep: Rows = [
        (_symbols(one.symbols), f"{one.per_second:.0f}", f"{one.per_second / one.symbols:.0f}")
        for one in live.lockstep
    ]
    head = (
        "µs: half of them within, 99 % within",
        *(_symbols(one.symbols) for one in live.latency),
    )
    entries = [one.entry for one in live.latency]
    return [
        (("lockstep", "candles/s", "instants/s"), lockstep),
        ((*head, "bare chain"), _hop_rows([*entries, live.bare])),
        (head, _hop_rows([one.stop for one in live.latency])),
    ]


def _hop_rows(columns: Sequence[Sequence[Hop]]) -> Rows:
    found = [{hop.name: hop for hop in column} for column in columns]
    return [
        (name, *(_micros(one.get(name)) for one in found)) for name in (h.name for h in columns[0])
    ]


def _micros(hop: Hop | None) -> str:
    return f"{hop.p50 * 1e6:,.0f}, {hop.p99 * 1e6:,.0f}" if hop else ""


def _symbols(count: int) -> str:
    return f"{count} symbol{'s' if count > 1 else ''}"


if __name__ == "__main__":
    from rich.console import Console

    from tests.benchmarks.section import markdown

    found = section(None, None)
    Console().print(*(markdown(*table) for table in found.tables), found.text, sep="\n\n")
