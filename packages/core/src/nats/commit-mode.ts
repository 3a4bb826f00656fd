import { nuid } from "@nats-io/nats-core";

import { EncodedHeaders } from "./headers.ts";
import type { Keys } from "./keys.ts";
import type { NatsLink } from "./link.ts";

/**
 * The mode of commits into a bucket with one replica. `pipelined` sends many single writes at once. `grouped` sends one atomic batch at a time with
 * all queued writes, which is faster on a server that syncs every write. `auto` measures both. Replicated buckets always use `grouped`.
 */
export type CommitMode = "auto" | "pipelined" | "grouped";

const WRITES = 64;
const ROUNDS = 2;
const TIMEOUT_MS = 5_000;
const DATA = Buffer.alloc(256, 120);

/**
 * Measures the faster mode, because neither stream nor account information shows the server's `sync_interval`. The measurement writes to a scratch
 * key, whose last write stays. It compares 64 single writes with one batch of 64, and takes the better of two rounds each. A batch takes 2 to 4 ms in
 * any size; 64 singles take about 1 ms, or 15 to 30 ms with a sync each.
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
    // The server is slow or in trouble. Single commits are correct on any server, even if they are not the fastest.
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
