import { InvalidError, silentLogger, type Message } from "@ergon/core";
import { createNames } from "@ergon/core/engine";
import { Forwarder, Guard, HostedShard, ShardMessages, WaitingMessages } from "@ergon/node/testing";
import { expect, test } from "vitest";

const names = createNames("default");

function stage() {
  const failed: (string | undefined)[] = [];
  const replies = {
    fail: (reply: string | undefined, { code, retryAfterMs }: { code: string; retryAfterMs: number }) =>
      failed.push(`${reply} ${code} ${retryAfterMs}`),
  };
  const forwarder = { waiting: new WaitingMessages() };
  const context = { names, logger: silentLogger, random: () => 0.5 };
  const intake = { requireStore: () => undefined };
  return {
    failed,
    messages: new ShardMessages(
      context as never,
      { replies, forwarder, intake, guard: new Guard(context as never, replies as never) } as never,
    ),
    shard: new HostedShard(3, 0),
  };
}

const messageOf = (reply: string | undefined, data = new Uint8Array()): Message => ({
  subject: names.shard(3, "get", "id"),
  data,
  reply,
  header: () => undefined,
  headers: () => ({}),
  noResponders: false,
});

test("a shard that cannot serve keeps what comes, but of very much only what nobody would send again", () => {
  const { failed, messages, shard } = stage();

  for (let count = 0; count < 5_000; count++) messages.receive(shard, messageOf("_INBOX.a"));
  expect(failed).toEqual([]);
  messages.receive(shard, messageOf("_INBOX.b"));
  messages.receive(shard, messageOf(undefined));

  expect(failed).toEqual(["_INBOX.b SHARD_MOVED 500"]);
  expect(shard.buffer).toHaveLength(5_001);
});

test("the messages that wait for all shards together have a bound in bytes, and messages that stop waiting make room", () => {
  const { failed, messages, shard } = stage();
  const other = new HostedShard(4, 0);
  const large = new Uint8Array(1_000_000);

  for (let count = 0; count < 33; count++) {
    messages.receive(shard, messageOf("_INBOX.a", large));
    messages.receive(other, messageOf("_INBOX.a", large));
  }
  expect(failed).toEqual([]);
  messages.receive(shard, messageOf("_INBOX.b", large.subarray(0, 999_999)));
  messages.receive(other, messageOf("_INBOX.c", large));
  messages.receive(other, messageOf(undefined, large));

  expect(failed).toEqual(["_INBOX.c OVERLOADED 500", "undefined OVERLOADED 500"]);
  const [first] = shard.buffer.splice(0, 1);
  if (first !== undefined) messages.receive(shard, first);
  expect(failed).toHaveLength(2);
  expect(shard.buffer).toHaveLength(34);
});

test("a message that cannot be sent on to the next owner is refused, and keeps none of those behind it back", () => {
  const sent: (string | undefined)[] = [];
  const failed: string[] = [];
  const publish = (_: string, data: Uint8Array, { reply }: { readonly reply?: string }): void => {
    if (data.length > 1) throw new InvalidError("PAYLOAD_TOO_LARGE", "too large");
    sent.push(reply);
  };
  const context = {
    names,
    node: "n1",
    clock: { monotonic: () => 0, after: () => undefined },
    ports: { bus: { publish } },
  };
  const replies = { fail: (reply: string, { code }: { code: string }) => failed.push(`${reply} ${code}`) };
  const forwarder = new Forwarder(context as never, { ownerOf: () => "n2" } as never, replies as never);
  const shard = new HostedShard(3, 0);
  shard.buffer = [messageOf("_INBOX.a", new Uint8Array(2)), messageOf("_INBOX.b")];

  forwarder.handOn(shard, () => false);

  expect(failed).toEqual(["_INBOX.a PAYLOAD_TOO_LARGE"]);
  expect(sent).toEqual(["_INBOX.b"]);
});
