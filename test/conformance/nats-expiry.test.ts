import { connectNats, openNats } from "@ergon/core/nats";
import { expect } from "vitest";

import { test, uniqueNamespace } from "../support/nats-fixtures.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a record whose time has run out does not come back as it was before, when the server is killed soon after (I-1)", async ({
  start,
}) => {
  const server = await start();
  const shape = { namespace: uniqueNamespace(), shards: 1, buckets: 1, replicas: 1 };
  const ids = ["a", "b", "c"];
  const link = await connectNats({ servers: server.url });
  const { records } = await openNats(link, shape);
  const readAll = (): Promise<unknown> => Promise.all(ids.map((id) => records.read(0, id)));
  const claim = await records.claim(0, "me", 0);
  const fence = claim.kind === "claimed" ? claim.fence : 0;
  for (const id of ids) await records.commit([{ shard: 0, id, data: bytes("live"), fence }]);
  for (const id of ids) await records.commit([{ shard: 0, id, data: bytes("ended"), fence, ttlMs: 1_000 }]);
  await expect.poll(readAll, { timeout: 20_000 }).toEqual([undefined, undefined, undefined]);

  await server.kill();
  await server.restart();

  await expect.poll(readAll, { timeout: 20_000 }).toEqual([undefined, undefined, undefined]);
  await link.close();
});
