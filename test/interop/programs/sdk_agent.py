"""An SDK agent of Ergon, written from docs/protocol.md alone. The names of its parts are those of that page.

    sdk_agent.py PORT NAMESPACE DRIVER AGENT CONCURRENCY

The payload of a task is {"ms"?, "until"?, "hold"?, "fail"?, "progress"?}: it takes so long, goes on until it is dispatched once more
("again"), never ends in the agent that is named, and fails with that code. It writes JSON lines: for each attempt that begins or ends, and
for its own end. SIGTERM stops it; what runs may go on for half a second then.
"""
import asyncio
import datetime
import json
import signal
import sys
import time
import uuid

from nats_client import Nats

PORT, NAMESPACE, DRIVER, AGENT, CONCURRENCY = int(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
ROOT = f"ergon.{NAMESPACE}."
# Whose credit is under an attempt that its node has given up.
NOBODY = ""
PRIORITY = 5
CLAIM_S, SILENT_NODE_S, CUT_OFF_S, DRAIN_S = 0.25, 5, 10, 0.5


def write(line):
    print(json.dumps(line), flush=True)


class Attempt:
    def __init__(self, message):
        self.task, self.number = message.headers["Ergon-Task"], int(message.headers["Ergon-Attempt"])
        self.deadline, self.node, self.reply = message.headers["Ergon-Deadline"], message.headers["Ergon-Node"], message.reply
        self.shard = message.reply.split(".")[3]
        self.seconds = int(message.headers["Ergon-Timeout-Ms"]) / 1000
        self.beat = int(message.headers.get("Ergon-Heartbeat-Timeout-Ms", "0")) / 3000
        self.payload = message.data
        self.running = None
        self.stop_reason = None
        self.answer = None
        self.recorded = False
        self.repeat = asyncio.Event()
        self.again = asyncio.Event()
        self.sender = None


class Credits:
    """The slots of the one driver ("Credits")."""

    def __init__(self, tell):
        self.tell = tell
        self.held, self.used, self.demand, self.recalled, self.idle_for = {}, {}, {}, {}, {}
        self.priority, self.line = {}, []
        self.gone_nodes = {NOBODY}

    def free(self):
        return CONCURRENCY - sum(self.held.values())

    def add(self, table, node, count):
        table[node] = table.get(node, 0) + count

    def reserve(self, node, want, priority):
        self.gone_nodes.discard(node)
        granted = min(want, self.free())
        self.add(self.held, node, granted)
        self.waits(node, want - granted, priority)
        self.recall()
        return granted

    def waits(self, node, demand, priority):
        if self.demand.get(node, 0) == 0:
            self.to_the_end_of_the_line(node)
        self.demand[node], self.priority[node] = demand, priority

    def to_the_end_of_the_line(self, node):
        self.line = [other for other in self.line if other != node] + [node]

    def waiting(self):
        """Those that wait: the most urgent first, then those that hold least, then those that have waited longest."""
        nodes = [node for node in self.line if self.demand.get(node, 0) > 0]
        return sorted(nodes, key=lambda node: (-self.priority[node], self.held.get(node, 0)))

    def recall(self):
        nodes = {node for table in (self.held, self.demand) for node, count in table.items() if count > 0} - {NOBODY}
        fair = CONCURRENCY // max(1, len(nodes))
        coming = sum(self.recalled.values())
        for taker in self.waiting():
            got = min(coming, self.demand[taker])
            coming -= got
            for giver in sorted(nodes - {taker}, key=lambda node: -self.held.get(node, 0)):
                left = self.held.get(giver, 0) - self.recalled.get(giver, 0)
                most = min(left - fair, max(1, fair) - self.held.get(taker, 0) - got)
                if self.priority.get(giver, PRIORITY) < self.priority[taker]:
                    most = left
                count = min(most, self.demand[taker] - got)
                if count > 0:
                    self.add(self.recalled, giver, count)
                    got += count
                    self.tell(giver, recall=count)

    def release(self, node, count, want, priority):
        idle = self.held.get(node, 0) - self.used.get(node, 0)
        self.add(self.held, node, -min(count, idle))
        self.recalled[node] = max(0, self.recalled.get(node, 0) - count)
        if want is not None:
            self.waits(node, want, priority)
        self.distribute()

    def distribute(self):
        granted = {}
        while self.free() > 0 and self.waiting():
            node = self.waiting()[0]
            self.add(self.held, node, 1)
            self.demand[node] -= 1
            self.to_the_end_of_the_line(node)
            self.add(granted, node, 1)
        for node, count in granted.items():
            self.tell(node, granted=count)
        if granted:
            self.recall()

    def begin(self, node):
        if self.used.get(node, 0) == self.held.get(node, 0):
            if self.free() == 0:
                return False
            self.add(self.held, node, 1)
        self.add(self.used, node, 1)
        return True

    def end(self, node):
        self.add(self.used, node, -1)
        if node in self.gone_nodes:
            self.add(self.held, node, -1)
            self.distribute()

    def move(self, giver, taker):
        for table in (self.held, self.used):
            self.add(table, giver, -1)
            self.add(table, taker, 1)

    def review(self, heard):
        """To be called once a second: what a node was told may not have reached it."""
        for node in heard:
            idle, recall = self.held.get(node, 0) - self.used.get(node, 0), self.recalled.get(node, 0)
            unheard = idle > 0 and self.demand.get(node, 0) + recall > 0
            self.idle_for[node] = self.idle_for.get(node, 0) + 1 if unheard else 0
            if self.idle_for[node] >= 3:
                self.tell(node, held=self.held[node], **({"recall": min(recall, idle)} if recall else {}))

    def gone(self, node):
        self.gone_nodes.add(node)
        self.demand.pop(node, None)
        self.recalled.pop(node, None)
        self.held[node] = self.used.get(node, 0)
        self.distribute()


class Agent:
    def __init__(self):
        self.nats = Nats(PORT, self.up)
        self.credits = Credits(self.tell)
        self.incarnation = uuid.uuid4().hex
        self.started_at = datetime.datetime.now(datetime.timezone.utc).isoformat()
        self.stopping = asyncio.Event()
        self.replaced = False
        self.state = None
        self.attempts = {}
        self.nodes = {}
        self.lost_at = None
        self.seen = {"most at once": 0, "again": 0, "resent": 0, "aborted": 0, "returned": 0, "moved": 0}

    async def main(self):
        self.nats.subscribe(f"{ROOT}agent.{DRIVER}.{AGENT}", self.dispatched)
        self.nats.subscribe(f"{ROOT}control.{AGENT}", self.control)
        self.nats.subscribe(f"{ROOT}recorded.{AGENT}.>", self.recorded)
        self.nats.subscribe(f"{ROOT}roll", self.roll)
        self.nats.subscribe(f"{ROOT}owned.*", self.owned)
        connection = asyncio.ensure_future(self.nats.run())
        beats = asyncio.ensure_future(self.beats())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopping.set)
        await self.stopping.wait()
        if not self.replaced:
            await self.drain()
        self.state = "gone"
        self.presence()
        beats.cancel()
        await self.nats.close()
        connection.cancel()
        write({"end": self.seen, "replaced": self.replaced})

    # Presence, roll, and the connection

    async def up(self):
        await self.nats.flush()
        first, self.state = self.state is None, self.state or "here"
        self.presence()
        self.nodes = {node: time.monotonic() for node in self.nodes}
        for attempt in self.running():
            self.say(attempt, "claimed")
        for attempt in self.attempts.values():
            attempt.repeat.set()
        if first:
            write({"ready": AGENT})

    def presence(self):
        drivers = [{"name": DRIVER, "concurrency": CONCURRENCY}]
        said = {"agent": AGENT, "incarnation": self.incarnation, "startedAt": self.started_at, "drivers": drivers, "state": self.state}
        if self.replaced:
            said["replaced"] = True
        self.nats.publish(f"{ROOT}presence", json.dumps(said).encode())

    async def beats(self):
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            if not self.nats.connected:
                self.lost_at = self.lost_at or now
                if now - self.lost_at > CUT_OFF_S:
                    self.stop_all("lost")
                continue
            self.lost_at = None
            if self.state is not None:
                self.presence()
            for node in [node for node, at in self.nodes.items() if now - at > SILENT_NODE_S]:
                self.gone(node)
            self.credits.review(self.nodes)

    def roll(self, message):
        said = message.json()
        if said["state"] == "gone":
            return self.gone(said["node"])
        if said["node"] not in self.nodes and self.state is not None:
            self.presence()
        self.nodes[said["node"]] = time.monotonic()

    def gone(self, node):
        self.nodes.pop(node, None)
        self.credits.gone(node)

    def tell(self, node, **word):
        said = {"agent": AGENT, "driver": DRIVER, **word}
        self.nats.publish(f"{ROOT}node.{node}.credit", json.dumps(said).encode())

    # Control

    def control(self, message):
        event = message.headers["Ergon-Event"]
        if event == "ping":
            self.nats.publish(message.reply)
        elif event == "abort":
            if message.reply:
                self.nats.publish(message.reply)
            attempt = self.attempts.get((message.headers["Ergon-Task"], int(message.headers["Ergon-Attempt"])))
            if attempt is not None and attempt.answer is None:
                self.seen["aborted"] += 1
                self.stop(attempt, message.headers["Ergon-Reason"])
                if message.headers["Ergon-Reason"] != "cancelled":
                    self.credits.move(attempt.node, NOBODY)
                    attempt.node = NOBODY
            elif "Ergon-Node" in message.headers:
                node = message.headers["Ergon-Node"]
                self.tell(node, held=self.credits.held.get(node, 0))
        elif event == "replaced":
            self.replaced = message.json()["incarnation"] == self.incarnation
            if self.replaced:
                self.stopping.set()
        elif event == "reserve":
            body = message.json()
            granted = 0
            if self.state == "here":
                granted = self.credits.reserve(body["node"], body["want"], body.get("priority", PRIORITY))
            self.nats.publish(message.reply, json.dumps({"granted": granted}).encode())
        elif event == "release":
            body = message.json()
            self.credits.release(body["node"], body["count"], body.get("want"), body.get("priority", PRIORITY))

    # Attempts

    def running(self):
        return [attempt for attempt in self.attempts.values() if attempt.answer is None]

    def dispatched(self, message):
        attempt = Attempt(message)
        key = (attempt.task, attempt.number)
        known = self.attempts.get(key)
        if known is not None and known.deadline == attempt.deadline:
            return self.dispatched_again(known, attempt.node)
        if message.headers.get("Ergon-Again") == "true":
            return self.give_back(attempt, "not known here")
        if self.state != "here":
            return self.give_back(attempt, "AGENT_DRAINING")
        if not self.credits.begin(attempt.node):
            self.tell(attempt.node, held=self.credits.held.get(attempt.node, 0))
            return self.give_back(attempt, "AGENT_BUSY")
        self.attempts[key] = attempt
        self.seen["most at once"] = max(self.seen["most at once"], len(self.running()))
        write({"runs": attempt.task, "attempt": attempt.number})
        attempt.running = asyncio.ensure_future(self.run(attempt))

    def dispatched_again(self, attempt, node):
        self.seen["again"] += 1
        attempt.again.set()
        if attempt.answer is not None:
            attempt.recorded = False
            return self.send(attempt)
        if node != attempt.node:
            self.seen["moved"] += 1
            self.credits.move(attempt.node, node)
            attempt.node = node
        self.say(attempt, "claimed")

    def give_back(self, attempt, reason):
        self.attempts.setdefault((attempt.task, attempt.number), attempt)
        self.end(attempt, "returned", {"Ergon-Reason": reason})

    async def run(self, attempt):
        words = asyncio.ensure_future(self.words(attempt))
        try:
            job = json.loads(attempt.payload or b"{}")
            if "progress" in job:
                self.say(attempt, "progress", json.dumps(job["progress"]).encode())
            await asyncio.wait_for(self.work(attempt, job), attempt.seconds)
            if "fail" in job:
                self.fail(attempt, job["fail"], "retryable", "as it was asked to")
            else:
                response = json.dumps({"task": attempt.task, "attempt": attempt.number, "agent": AGENT}).encode()
                self.end(attempt, "succeeded", {"Content-Type": "application/json"}, response)
        except asyncio.TimeoutError:
            self.fail(attempt, "ATTEMPT_TIMEOUT", "retryable", "the attempt's time is up")
        except asyncio.CancelledError:
            if attempt.stop_reason in ("drain", "lost"):
                self.end(attempt, "returned", {"Ergon-Reason": "AGENT_DRAINING"})
            else:
                self.fail(attempt, "STOPPED", "terminal", attempt.stop_reason)
        finally:
            words.cancel()
            self.credits.end(attempt.node)

    async def work(self, attempt, job):
        await asyncio.sleep(job.get("ms", 0) / 1000)
        if job.get("until") == "again":
            await attempt.again.wait()
        if job.get("hold") == AGENT:
            await asyncio.sleep(3600)

    async def words(self, attempt):
        """The claim, then heartbeats."""
        await asyncio.sleep(min(CLAIM_S, attempt.beat or CLAIM_S))
        self.say(attempt, "claimed")
        while attempt.beat:
            await asyncio.sleep(attempt.beat)
            self.say(attempt, "heartbeat")

    def stop(self, attempt, reason):
        if attempt.running is not None and attempt.answer is None:
            attempt.stop_reason = attempt.stop_reason or reason
            attempt.running.cancel()

    def stop_all(self, reason):
        for attempt in self.running():
            self.stop(attempt, reason)

    # Answers

    def say(self, attempt, event, body=b"", headers=None, reply=None):
        self.nats.publish(attempt.reply, body, reply, {"Ergon-Event": event, "Ergon-Agent": AGENT, **(headers or {})})

    def fail(self, attempt, code, kind, message):
        error = {"Nats-Service-Error-Code": "500", "Nats-Service-Error": message, "Ergon-Error": code, "Ergon-Error-Kind": kind}
        self.end(attempt, "failed", error)

    def end(self, attempt, event, headers, body=b""):
        if event == "returned":
            self.seen["returned"] += 1
        attempt.answer = (event, headers, body)
        write({"ends": attempt.task})
        self.send(attempt)

    def send(self, attempt):
        if attempt.sender is None or attempt.sender.done():
            attempt.sender = asyncio.ensure_future(self.send_until_recorded(attempt))

    async def send_until_recorded(self, attempt):
        event, headers, body = attempt.answer
        for tries in range(720):
            attempt.repeat.clear()
            if tries > 0:
                self.seen["resent"] += 1
            self.say(attempt, event, body, headers, f"{ROOT}recorded.{AGENT}.{attempt.task}.{attempt.number}")
            try:
                await asyncio.wait_for(attempt.repeat.wait(), (1, 2, 4, 5)[min(tries, 3)])
            except asyncio.TimeoutError:
                pass
            if attempt.recorded:
                return

    def recorded(self, message):
        task, number = message.subject.split(".")[-2:]
        attempt = self.attempts.get((task, int(number)))
        if attempt is None:
            return
        if message.status == "503" or message.headers.get("Ergon-Error-Kind") == "unavailable":
            asyncio.get_running_loop().call_later(0.25, attempt.repeat.set)
            return
        attempt.recorded = True
        attempt.repeat.set()

    def owned(self, message):
        shard = message.subject.split(".")[-1]
        for attempt in self.attempts.values():
            if attempt.shard == shard and attempt.answer is not None:
                attempt.repeat.set()
            elif attempt.shard == shard:
                self.say(attempt, "claimed")

    # Stop

    async def drain(self):
        self.state = "draining"
        self.presence()
        await self.until(lambda: not self.running(), DRAIN_S)
        self.stop_all("drain")
        await self.until(lambda: all(attempt.recorded for attempt in self.attempts.values()), 5)

    async def until(self, is_so, seconds):
        end = time.monotonic() + seconds
        while not is_so() and time.monotonic() < end:
            await asyncio.sleep(0.02)


async def main():
    await Agent().main()


asyncio.run(main())
