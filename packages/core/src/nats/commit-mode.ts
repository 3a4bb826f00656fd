import { nuid } from "@nats-io/nats-core";

import { EncodedHeaders } from "./headers.ts";
import type { Keys } from "./keys.ts";
import type { NatsLink } from "./link.ts";

/**
 * How commits go into a bucket that has one replica: `pipelined`, many singles under way at once; or `grouped`, one atomic batch at a time of
 * all that has queued, which is faster where the server syncs every write. `auto` measures which. Replicated buckets are always grouped.
 */
export type CommitMode = "auto" | "pipelined" | "grouped";

const WRITES = 64;
const ROUNDS = 2;
const TIMEOUT_MS = 5_000;
const DATA = Buffer.alloc(256, 120);

/**
 * No client learns the server's `sync_interval`: neither stream nor account information has it. So the thing itself is measured, on a
 * scratch key, whose last write stays: 64 single writes against one batch of 64, the better of two rounds each. A batch costs 2 to 4 ms
 * whatever its size; 64 singles about 1 ms, and 15 to 30 ms with a sync each.
 */
export async function measureCommits(link: NatsLink, keys: Keys): Promise<"pipelined" | "grouped"> {
  const subject = keys.subject("scratch");
  let [single, batch] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      single = Math.min(single, await timeSingles(link, subject));
      batch = Math.min(batch, await timeBatch(link, subject));
    }
  } catch {
    // A slow or troubled server; single commits are right whatever it does, only perhaps not the fastest.
    return "pipelined";
  }
  link.logger.debug({ singleMs: single, batchMs: batch }, "measured how long commits to the bucket take");
  return single <= batch ? "pipelined" : "grouped";
}

async function timeSingles(link: NatsLink, subject: string): Promise<number> {
  const headers = new EncodedHeaders("NATS/1.0\r\n\r\n");
  const start = link.clock.monotonic();
  await Promise.all(Array.from({ length: WRITES }, () => acknowledged(link, subject, headers)));
  return link.clock.monotonic() - start;
}

async function timeBatch(link: NatsLink, subject: string): Promise<number> {
  const id = nuid.next();
  const headersOf = (sequence: number, end: string): EncodedHeaders =>
    new EncodedHeaders(`NATS/1.0\r\nNats-Batch-Id: ${id}\r\nNats-Batch-Sequence: ${sequence}\r\n${end}\r\n`);
  const start = link.clock.monotonic();
  for (let sequence = 1; sequence < WRITES; sequence++) {
    link.connection.publish(subject, DATA, { headers: headersOf(sequence, "").forNats });
  }
  await acknowledged(link, subject, headersOf(WRITES, "Nats-Batch-Commit: 1\r\n"));
  return link.clock.monotonic() - start;
}

function acknowledged(link: NatsLink, subject: string, headers: EncodedHeaders): Promise<void> {
  return new Promise((resolve, reject) => {
    link.replies.ask(subject, DATA, headers, TIMEOUT_MS, {
      answer: () => {
        resolve();
        return true;
      },
      fail: (why) => reject(new Error(why)),
    });
  });
}
