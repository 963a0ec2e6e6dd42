"""The USDT wallet as the exchange last reported it."""

from live.exchange.port import AccountEvent, Balance


class Wallet:
    """The newest wallet; an older report never replaces a newer one."""

    def __init__(self) -> None:
        self.units = 0
        self._time = -1

    def take(self, balance: Balance) -> None:
        """Take in a balance that was asked for; the stream may have told a newer one since."""
        if balance.time >= self._time:
            self.units, self._time = balance.wallet, balance.time

    def hear(self, event: AccountEvent) -> None:
        """Take in what the private stream says."""
        if event.balance is not None and event.time >= self._time:
            self.units, self._time = event.balance.wallet, event.time
