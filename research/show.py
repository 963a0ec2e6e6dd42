"""How a tuning looks on the terminal: in sample beside out of sample."""

from rich.console import Console
from rich.table import Table

from data.dates import show_time
from data.runs import Run
from data.show import print_notes, shown

_SHOWN = (
    "total_return", "sharpe", "sortino", "max_drawdown", "profit_factor", "trades", "win_rate",
    "expectancy_r", "fees", "funding",
)  # fmt: skip


def print_tune(run: Run, strategy: str) -> None:
    """Print the winner's params and its figures on both spans."""
    record, console = run.record, Console()
    tune = record.tune
    assert tune is not None
    test = {figure.key: figure for figure in tune.out_of_sample}
    found = ", ".join(f"{name}={value:.4g}" for name, value in record.params.items())
    console.print(
        f"[bold]{record.strategy.name}[/]  best of {tune.trials} trials by {tune.objective}"
        f" ({tune.sampler}, seed {record.seed})\n{found}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 2))
    table.add_column("")
    table.add_column(f"in sample\nto {show_time(tune.split_ms)}", justify="right")
    table.add_column(
        f"out of sample\nto {show_time(tune.test_to_ms)}", justify="right", style="bold"
    )
    for key in _SHOWN:
        table.add_row(record.figure(key).label, shown(record.figure(key)), shown(test[key]))
    console.print(table)
    console.print(
        f"The first column is the best of {tune.trials} tries and flatters;"
        " the second is what to expect.",
        style="dim",
    )
    print_notes(console, record)
    console.print(f"run {run.folder}", highlight=False, soft_wrap=True)
    again = f"wick backtest {strategy} --params {run.folder}"
    console.print(f"next: {again}", style="dim", highlight=False, soft_wrap=True)
