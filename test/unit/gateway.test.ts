import { createNames, silentLogger, type Message } from "@ergon/core";
import { Gateway, HostedShard } from "@ergon/node/testing";
import { expect, test } from "vitest";

const names = createNames("default");

function stage() {
  const failed: (string | undefined)[] = [];
  const listeners = {
    fail: (reply: string | undefined, { code }: { code: string }) => failed.push(`${reply} ${code}`),
  };
  const context = { names, logger: silentLogger, random: () => 0.5 };
  return { failed, gateway: new Gateway(context as never, { listeners } as never), shard: new HostedShard(3, 0) };
}

const messageOf = (reply: string | undefined): Message => ({
  subject: names.shard(3, "get", "id"),
  data: new Uint8Array(),
  reply,
  header: () => undefined,
  headers: () => ({}),
  noResponders: false,
});

test("a shard that cannot serve keeps what comes, but of very much only what nobody would send again", () => {
  const { failed, gateway, shard } = stage();

  for (let count = 0; count < 5_000; count++) gateway.shardMessage(shard, messageOf("_INBOX.a"));
  expect(failed).toEqual([]);
  gateway.shardMessage(shard, messageOf("_INBOX.b"));
  gateway.shardMessage(shard, messageOf(undefined));

  expect(failed).toEqual(["_INBOX.b SHARD_MOVED"]);
  expect(shard.buffer).toHaveLength(5_001);
});
