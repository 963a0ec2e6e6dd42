"""The bus between the roles: streams in Redis, each of one kind of record (live.records).

An entry's id comes from its record, so that Redis itself refuses repeats and disorder. Redis may
lose its last second; an entry that would follow on lost ones is refused as well, and who publishes
begins again after what is left. All trouble after the start is a `RedisError`.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from live.journal_records import Record as JournalRecord
from live.records import (
    ACCOUNT,
    ALIVE,
    CANDLES,
    CONTROL,
    EQUITY,
    FILLS,
    HEALTH,
    IDENTITY,
    ORDERS,
    SIGNALS,
    TAPE,
    Batch,
    Beat,
    ClosedCandle,
    Control,
    EquityPoint,
    Health,
)
from live.session import Session
from strategy.errors import WickError

Record: TypeAlias = ClosedCandle | Batch | Control | EquityPoint | JournalRecord
ROLES = ("market_data", "signal_generator", "trader", "performance_tracker")
WICK_REDIS = "WICK_REDIS"
BEAT_KEPT_MS = 86_400_000

_FIELD = b"m"
_TYPES: dict[str, Any] = {
    "candles": ClosedCandle,
    "signals": Batch,
    "control": Control,
    "orders": JournalRecord,
    "fills": JournalRecord,
    "account": JournalRecord,
    "equity": EquityPoint,
}
_LOST, _OLD, _ADDED = -1, 0, 1
# KEYS: the stream. ARGV: the new id, the newest id that is known to have been there, the record.
_PUBLISH = f"""
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local at = top[1] and tonumber(string.match(top[1][1], '^%d+')) or 0
if at < tonumber(ARGV[2]) then return {_LOST} end
if at >= tonumber(ARGV[1]) then return {_OLD} end
redis.call('XADD', KEYS[1], ARGV[1] .. '-0', 'm', ARGV[3])
return {_ADDED}
"""
_ANSWER_S = 10.0
_MOST_BLOCK_MS = 5_000
_PAUSE_S = 0.1


class Entry(NamedTuple):
    """One entry of a stream; `id` is Redis' text, such as 1746835200000-0."""

    stream: str
    id: str
    record: Any

    @property
    def number(self) -> int:
        """The id's first part."""
        return int(self.id.partition("-")[0])


class Bus:
    """The streams and keys of one session.

    Parameters
    ----------
    url : str
        Of Redis: redis://, rediss:// or unix://.
    prefix : str
        Stands in front of all names: the session's id.
    given : str
        Where the URL came from, for a hint.

    Raises
    ------
    WickError
        The URL cannot be read.
    """

    def __init__(self, url: str, prefix: str, given: str = WICK_REDIS) -> None:
        try:
            # Any: its types are unions of the answers of every protocol and setting.
            self._redis: Any = Redis.from_url(
                url,
                protocol=2,
                socket_timeout=None,  # see _answer
                # A repeat would add a control message twice; roles begin again by themselves.
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:  # its text may quote the password
            raise WickError(
                f"the URL in {given} cannot be read, expected redis://HOST:PORT/0",
                "such as redis://127.0.0.1:6379/0",
            ) from None
        self._prefix = prefix
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoders = {name: msgspec.msgpack.Decoder(its) for name, its in _TYPES.items()}
        self._known: dict[str, int] = {}

    async def ping(self) -> None:
        """Ask whether Redis is there; raise a RedisError if not."""
        await _answer(self._redis.ping())

    async def publish(self, stream: str, record: Record, id: int) -> bool:
        """Append a record, and say whether it is new.

        Parameters
        ----------
        id : int
            Of the entry; the stream's newest one or an older one changes nothing and gives False.

        Raises
        ------
        RedisError
            Redis is not there, or has lost entries that were in this stream: ask `last_id` and
            publish again what follows it.
        """
        newest, packed = self._known.get(stream, 0), self._encode(record)
        result = await _answer(self._redis.eval(_PUBLISH, 1, self._key(stream), id, newest, packed))
        return self._took(stream, id, result)

    async def ask(self, control: Control) -> str:
        """Ask the trader for something, and return the id of what it will read."""
        fields = {_FIELD: self._encode(control)}
        entry: bytes = await _answer(self._redis.xadd(self._key(CONTROL), fields))
        return entry.decode()

    async def publish_all(self, entries: Sequence[tuple[str, Record, int]]) -> list[bool]:
        """Append records in one round trip, in order; each result is that of `publish`."""
        if len(entries) == 1:  # a pipeline of one command takes 40 µs more
            stream, record, number = entries[0]
            return [await self.publish(stream, record, number)]
        if not entries:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for stream, record, number in entries:
            newest, packed = self._known.get(stream, 0), self._encode(record)
            pipeline.eval(_PUBLISH, 1, self._key(stream), number, newest, packed)
        results = await _answer(pipeline.execute())
        return [
            self._took(stream, number, result)
            for (stream, _, number), result in zip(entries, results, strict=True)
        ]

    async def read(self, after: Mapping[str, str | int], block_ms: int) -> list[Entry]:
        """Return what streams have after the ids given; wait for it up to `block_ms`.

        At most a thousand entries of each stream come at once. Without any, an empty list.
        """
        keys = {self._key(name): _id(last) for name, last in after.items()}
        found = await _answer(
            self._redis.xread(keys, count=1_000, block=min(block_ms, _MOST_BLOCK_MS))
        )
        entries = []
        for key, items in found or ():
            entries += self._entries(key.decode()[len(self._prefix) + 1 :], items)
        return entries

    async def range(
        self, stream: str, first: int = 0, last: int | None = None, count: int | None = None
    ) -> list[Entry]:
        """Return a stream's entries from one id to another, both included, oldest first."""
        high = "+" if last is None else str(last)
        items = await _answer(self._redis.xrange(self._key(stream), str(first), high, count))
        return self._entries(stream, items)

    async def newest(self, stream: str, count: int) -> list[Entry]:
        """Return a stream's newest entries, oldest first."""
        items = await _answer(self._redis.xrevrange(self._key(stream), count=count))
        return self._entries(stream, items[::-1])

    async def last_id(self, stream: str) -> int:
        """Return the newest entry's id, 0 for an empty stream, and go on publishing after it."""
        items = await _answer(self._redis.xrevrange(self._key(stream), count=1))
        last = _newest(items)
        self._known[stream] = last
        return last

    async def check(self, streams: Iterable[str]) -> None:
        """Ask whether what was published is still there.

        Redis may lose entries, come back and be connected to again between two requests, and nobody
        is told: who waits for something that hangs on its entries has to look.

        Raises
        ------
        RedisError
            As `publish`.
        """
        # What is known now: more may be published before the answer is here.
        known = {stream: self._known.get(stream, 0) for stream in streams}
        pipeline = self._redis.pipeline(transaction=False)
        for stream in known:
            pipeline.xrevrange(self._key(stream), count=1)
        found = await _answer(pipeline.execute())
        for (stream, number), items in zip(known.items(), found, strict=True):
            if _newest(items) < number:
                raise _lost(stream)

    async def written(self) -> None:
        """Wait until a Redis that is killed would come back with all that it has answered so far.

        While its disk is slow it answers up to two seconds before it writes. A server without a log
        of its own, and one that does not let us ask, is not waited for.
        """
        while await self._unwritten():
            await asyncio.sleep(_PAUSE_S)

    async def _unwritten(self) -> int:
        try:
            said = await _answer(self._redis.info("persistence"))
        except ResponseError:
            return 0
        return int(said.get("aof_buffer_length", 0))

    async def set_health(self, health: Health) -> None:
        """Leave a sign of life."""
        key = self._key(HEALTH.format(role=health.role))
        await _answer(self._redis.set(key, self._encode(health)))

    async def health(self) -> dict[str, Health]:
        """Return the newest sign of life of every role that ever gave one."""
        keys = [self._key(HEALTH.format(role=role)) for role in ROLES]
        found = await _answer(self._redis.mget(keys))
        signs = (msgspec.msgpack.decode(one, type=Health) for one in found if one)
        return {one.role: one for one in signs}

    async def beat(self, role: str, beat: Beat) -> None:
        """Show that a role's process is there; forgotten after a day."""
        key = self._key(ALIVE.format(role=role))
        await _answer(self._redis.set(key, self._encode(beat), px=BEAT_KEPT_MS))

    async def beats(self) -> dict[str, tuple[Beat, int]]:
        """Return every role's newest beat and its age in ms, which is by the server's clock."""
        pipeline = self._redis.pipeline(transaction=False)
        for role in ROLES:
            key = self._key(ALIVE.format(role=role))
            pipeline.get(key)
            pipeline.pttl(key)
        found = await _answer(pipeline.execute())
        return {
            role: (msgspec.msgpack.decode(one, type=Beat), BEAT_KEPT_MS - left_ms)
            for role, one, left_ms in zip(ROLES, found[::2], found[1::2], strict=True)
            if one
        }

    async def has_ended(self, role: str) -> bool:
        """Tell whether a role has said that its work is done."""
        sign = (await self.health()).get(role)
        return sign is not None and sign.state == "ended"

    async def keep(self, name: str, value: bytes) -> None:
        """Store bytes under a plain key."""
        await _answer(self._redis.set(self._key(name), value))

    async def kept(self, name: str) -> bytes | None:
        """Return the bytes stored under a plain key, None where there are none."""
        found: bytes | None = await _answer(self._redis.get(self._key(name)))
        return found

    async def owner(self, identity: str, *, claim: bool) -> str:
        """Return whose all this is; ours where nobody has claimed it."""
        key = self._key(IDENTITY)
        if claim:
            await _answer(self._redis.set(key, identity, nx=True))
        found: bytes | None = await _answer(self._redis.get(key))
        return found.decode() if found else identity

    async def forget(self, session: Session) -> None:
        """Delete what a session has here."""
        names = [SIGNALS, CONTROL, ORDERS, FILLS, ACCOUNT, EQUITY, IDENTITY]
        names += [name.format(role=role) for name in (HEALTH, ALIVE) for role in ROLES]
        for symbol in session.symbols:
            names.append(CANDLES.format(symbol=symbol, timeframe=session.timeframe))
            names.append(TAPE.format(symbol=symbol))
        await _answer(self._redis.delete(*map(self._key, names)))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _took(self, stream: str, number: int, result: int) -> bool:
        if result == _LOST:
            raise _lost(stream)
        if result == _ADDED:
            self._known[stream] = number
        return result == _ADDED

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _entries(self, stream: str, items: Any) -> list[Entry]:
        decode = self._decoders[stream.partition(":")[0]].decode
        return [Entry(stream, id.decode(), decode(fields[_FIELD])) for id, fields in items]


async def _answer(asked: Awaitable[Any]) -> Any:
    # Instead of redis-py's own timeout, which waits with asyncio.wait_for: that loses a task's
    # cancellation in Python 3.11 (test_a_cancelled_role_ends), and a role would not hear SIGTERM.
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await asked
    except TimeoutError:
        raise RedisTimeoutError(f"no answer within {_ANSWER_S:g} s") from None


def _newest(items: Any) -> int:
    return int(items[0][0].partition(b"-")[0]) if items else 0


def _lost(stream: str) -> RedisConnectionError:
    return RedisConnectionError(f"Redis has lost entries of {stream}")


def _id(last: str | int) -> str:
    return last if isinstance(last, str) else f"{last}-0"
