"""A small world for the delivery protocol: bridges, shards and a log, moved one step at a time.

The bridges run the code of `eventbridge.domain` (`assignment.plan`, `PartitionLedger`), the shards are
`MemoryShard`; what is made up here is what lies between: calls and replies that are late, lost or sent
again, crashes, second owners, rollbacks of single shards, rebalances.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eventbridge.adapters.memory.shard import MemoryShard, ShardState
from eventbridge.domain.assignment import AssignmentPolicy, Halt, Initialise, Resume, Situation, plan
from eventbridge.domain.delivery import Answer, Applied, Batch, Commit, Entry, Mark, Partition
from eventbridge.domain.partition_ledger import PartitionLedger, Rewind, Span
from eventbridge.domain.routing import EventScope, Target

SHARDS = 3
PARTITIONS = (Partition("t", 0), Partition("t", 1))
TARGETS = tuple(Target(EventScope.USER, f"user-{n}") for n in range(6))
BRIDGES = 3


class Reader:
    """One bridge's reading of one partition: the order of steps that `PartitionRun` keeps."""

    def __init__(self, ledger: PartitionLedger, metadata: str) -> None:
        self.ledger = ledger
        self.metadata = metadata
        self.polls: list[tuple[int, int, int]] = []
        """Polls under way: (run, from, to)."""
        self.undecoded: list[Span] = []
        self.decoded: list[Span] = []


@dataclass
class Call:
    """A call on its way to a shard."""

    batch: Batch
    readers: Sequence[tuple[Reader, int]]
    """Who asked, and in which run; one per mark."""
    span: Span | None


@dataclass
class Reply:
    """An answer on its way back."""

    call: Call
    answers: Sequence[Answer]


class World:
    """The state of everything, and its steps."""

    def __init__(self, shard_type: type[MemoryShard] = MemoryShard) -> None:
        self.log: dict[Partition, list[Target | None]] = {partition: [] for partition in PARTITIONS}
        """Per offset whom the record is for; None: filtered."""
        self.commits: dict[Partition, Commit] = {}
        self.shards = [shard_type() for _ in range(SHARDS)]
        self.history: list[list[ShardState]] = [[] for _ in range(SHARDS)]
        self.bridges: list[dict[Partition, Reader]] = [{} for _ in range(BRIDGES)]
        self.owners: dict[Partition, Reader] = {}
        """Who was assigned each partition last."""
        self.calls: list[Call] = []
        self.replies: list[Reply] = []
        self.policy = AssignmentPolicy()
        self.epochs = 0
        self.now = 1

    # Steps; `a` and `b` choose among what there is.

    def append(self, a: int, b: int) -> None:
        """Records reach the log."""
        targets: Sequence[Target | None] = (*TARGETS, None)
        for n in range(1 + b % 3):
            self.log[PARTITIONS[a % 2]].append(targets[(a + 3 * b + n) % len(targets)])

    def assign(self, a: int, b: int) -> None:
        """A bridge gets a partition; it may crash half-way through. In one of four cases the owner before
        it has not noticed, and goes on."""
        partition = PARTITIONS[a % 2]
        reader = self.open(partition, give_up_after=b % SHARDS if b % 8 == 7 else None)
        if reader is not None:
            if a % 4:
                for bridge in self.bridges:
                    bridge.pop(partition, None)
            self.bridges[b % BRIDGES][partition] = reader
            self.owners[partition] = reader

    def revoke(self, a: int, b: int) -> None:
        """A bridge loses a partition; its calls live on."""
        self.bridges[b % BRIDGES].pop(PARTITIONS[a % 2], None)

    def crash(self, a: int, _b: int) -> None:
        """A bridge loses everything it knew; its calls live on."""
        self.bridges[a % BRIDGES] = {}

    def poll(self, a: int, b: int) -> None:
        """A poll is begun or, where one is under way, returns."""
        if (reader := self._reader(a)) is None:
            return
        if not reader.polls:
            upto = min(reader.ledger.position + 1 + b % 4, len(self.log[reader.ledger.partition]))
            reader.polls.append((reader.ledger.run, reader.ledger.position, upto))
            return
        run, start, upto = reader.polls.pop()
        last = (upto - 1, upto - 1) if upto > start else None
        span = reader.ledger.polled(run, upto, last)
        if span is not None:
            reader.undecoded.append(span)

    def decode(self, a: int, _b: int) -> None:
        """The oldest poll's records are sorted."""
        if (reader := self._reader(a)) is None or not reader.undecoded:
            return
        span = reader.undecoded.pop(0)
        reader.ledger.routed(span, self._entries(reader.ledger.partition, span))
        reader.decoded.append(span)

    def send(self, a: int, b: int) -> None:
        """The next call of a shard sets out; sent again if its reply has not come."""
        if (reader := self._reader(a)) is None:
            return
        while reader.decoded and (reader.decoded[0].run != reader.ledger.run or not reader.decoded[0].shards):
            reader.decoded.pop(0)
        if reader.decoded:
            span = reader.decoded[0]
            shard = span.shards[b % len(span.shards)]
            batch = reader.ledger.next_batch(span, shard)
            assert batch is not None
            self.calls.append(Call(batch, [(reader, span.run)], span))

    def checkpoint(self, a: int, b: int) -> None:
        """A bridge asks a shard how far it is, for all its partitions."""
        shard = b % SHARDS
        readers = list(self.bridges[a % BRIDGES].values())
        if readers:
            marks = tuple(reader.ledger.checkpoint(shard) for reader in readers)
            asked = [(reader, reader.ledger.run) for reader in readers]
            self.calls.append(Call(Batch(shard, marks), asked, None))

    def deliver(self, a: int, b: int) -> None:
        """A call reaches its shard, perhaps not for the last time."""
        if not self.calls:
            return
        call = self.calls[a % len(self.calls)]
        if b % 4:
            self.calls.remove(call)
        self.replies.append(Reply(call, self._apply(call.batch)))

    def lose_call(self, a: int, _b: int) -> None:
        """A call never arrives."""
        if self.calls:
            self.calls.pop(a % len(self.calls))

    def reply(self, a: int, b: int) -> None:
        """A reply arrives, or (one in eight) is lost."""
        if not self.replies:
            return
        reply = self.replies.pop(a % len(self.replies))
        if b % 8:
            self._hear(reply)

    def progress(self, a: int, _b: int) -> None:
        """A reader polls, decodes and applies without any trouble."""
        if (reader := self._reader(a)) is not None:
            self._work_off(reader.ledger.partition, reader)

    def commit(self, a: int, _b: int) -> None:
        """A bridge commits what it holds to be applied, a second owner included."""
        if (reader := self._reader(a)) is not None:
            upto = reader.ledger.applied_upto
            self.commits[reader.ledger.partition] = Commit(upto + 1, reader.metadata)

    def roll_back(self, a: int, b: int) -> None:
        """Shards lose their last writes, each back to a point of its own, but never that they were
        initialised (DELIVERY.md G1)."""
        for shard in {a % SHARDS, (a + b) % SHARDS}:
            kept = [
                state
                for state in self.history[shard][-(2 + (a + b + shard) % 12) :]
                if all(partition in state.watermarks for partition in self.commits)
            ]
            if kept:
                self.shards[shard].restore(kept[0])

    # What the steps are made of.

    def open(self, partition: Partition, give_up_after: int | None = None) -> Reader | None:
        """Do as `application.Opening` does; None where the bridge crashed half-way or must not read."""
        while True:
            decision = plan(self._situation(partition), self.policy)
            if isinstance(decision, Halt):
                return None
            if isinstance(decision, Resume):
                return self._resume(partition, decision)
            if not self._initialise(partition, decision, give_up_after):
                return None

    def _situation(self, partition: Partition) -> Situation:
        return Situation(
            partition=partition,
            committed=self.commits.get(partition),
            siblings=[commit for p, commit in self.commits.items() if p != partition],
            partitions=len(PARTITIONS),
            log_start=0,
            log_end=len(self.log[partition]),
            shards=[shard.position(partition) for shard in self.shards],
        )

    def _initialise(self, partition: Partition, decision: Initialise, give_up_after: int | None) -> bool:
        answers = []
        for number, (shard, mark) in enumerate(decision.marks.items()):
            if number == give_up_after:
                return False
            answers.append(self._mark(shard, mark))
        lowest = min(answer.watermark for answer in answers if isinstance(answer, Applied))
        self.commits[partition] = Commit(lowest + 1, decision.stamp.encode())
        return True

    def _resume(self, partition: Partition, decision: Resume) -> Reader:
        ledger = decision.ledger(partition)
        for shard, mark in decision.rotations.items():
            ledger.checkpointed(ledger.run, shard, self._mark(shard, mark))
        return Reader(ledger, self.commits[partition].metadata)

    def _mark(self, shard: int, mark: Mark) -> Answer:
        return self._apply(Batch(shard, (mark,)))[0]

    def _apply(self, batch: Batch) -> Sequence[Answer]:
        shard = self.shards[batch.shard]
        self.history[batch.shard].append(shard.snapshot())
        self.epochs += 1
        self.now += 1
        shard.clock_ms = self.now
        return shard.apply(batch, f"epoch-{self.epochs}")

    def _hear(self, reply: Reply) -> None:
        call = reply.call
        for (reader, run), answer in zip(call.readers, reply.answers, strict=True):
            if call.span is None:
                consequence = reader.ledger.checkpointed(run, call.batch.shard, answer)
            elif not call.span.queues or call.batch.shard not in call.span.queues:
                continue
            elif call.span.queues[call.batch.shard][0] is not call.batch.entries:
                continue  # the answer to a call that was sent twice
            else:
                consequence = reader.ledger.answered(call.span, call.batch, answer)
            if isinstance(consequence, Rewind):
                reader.undecoded.clear()
                reader.decoded.clear()

    def _reader(self, a: int) -> Reader | None:
        reading = [reader for bridge in self.bridges for reader in bridge.values()]
        return reading[a % len(reading)] if reading else None

    def _entries(self, partition: Partition, span: Span) -> dict[int, list[Entry]]:
        entries: dict[int, list[Entry]] = {}
        for offset in range(span.after + 1, span.upto + 1):
            target = self.log[partition][offset]
            if target is not None:
                entry = Entry(offset, target, "E", b"{}", offset)
                entries.setdefault(TARGETS.index(target) % SHARDS, []).append(entry)
        return entries

    # The end.

    def quiesce(self, *, anew: bool) -> None:
        """Let each partition's last owner, or (`anew`) a new one, work until all is applied."""
        owners = {} if anew else self.owners
        self.bridges = [{p: r for p, r in bridge.items() if owners.get(p) is r} for bridge in self.bridges]
        for partition in PARTITIONS:
            if not any(partition in bridge for bridge in self.bridges):
                reader = self.open(partition)
                assert reader is not None
                self.bridges[0][partition] = reader
        for _ in range(12 + 3 * max(map(len, self.log.values()))):
            for owner, bridge in enumerate(self.bridges):
                for partition in bridge:
                    self._work_off(partition, bridge[partition])
                for shard in range(SHARDS):
                    self.checkpoint(owner, shard)
            while self.calls:
                self.deliver(0, 1)
            while self.replies:
                self.reply(0, 1)

    def _work_off(self, partition: Partition, reader: Reader) -> None:
        ledger = reader.ledger
        reader.polls.clear()
        end = min(len(self.log[partition]), ledger.position + 4)
        span = ledger.polled(ledger.run, end, (end - 1, end - 1))
        if span is not None:
            reader.undecoded.append(span)
        while reader.undecoded:
            span = reader.undecoded.pop(0)
            ledger.routed(span, self._entries(partition, span))
            reader.decoded.append(span)
        for span in list(reader.decoded):
            for shard in span.shards:
                while (batch := ledger.next_batch(span, shard)) is not None:
                    self._hear(Reply(Call(batch, [(reader, span.run)], span), self._apply(batch)))
        reader.decoded.clear()

    def found(self) -> dict[tuple[Target, Partition], list[int]]:
        """The offsets in each stream, by source partition, in the stream's order."""
        offsets: dict[tuple[Target, Partition], list[int]] = {}
        for shard in self.shards:
            for target, entries in shard.streams():
                for entry in entries:
                    assert entry.source is not None
                    partition, offset = entry.source
                    offsets.setdefault((target, partition), []).append(offset)
        return offsets

    def expected(self) -> dict[tuple[Target, Partition], list[int]]:
        """What they must be: every accepted record, once, in order."""
        offsets: dict[tuple[Target, Partition], list[int]] = {}
        for partition, targets in self.log.items():
            for offset, target in enumerate(targets):
                if target is not None:
                    offsets.setdefault((target, partition), []).append(offset)
        return offsets
