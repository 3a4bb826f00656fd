import { nuid } from "@nats-io/nats-core";

import type { CommitResult, Fence, Write } from "../ports/store.ts";
import { isFenced, isUndecided, refusalOf } from "./errors.ts";
import { EncodedHeaders } from "./headers.ts";
import { readAcknowledgement, ttlHeader } from "./keys.ts";
import type { NatsLink } from "./link.ts";
import type { NatsMessage } from "./message.ts";
import { asBuffer } from "./message.ts";
import type { Silence, Waiter } from "./replies.ts";

/** The longest wait for an acknowledgement. The outcome of a commit is unknown after it. */
const ACK_TIMEOUT_MS = 5_000;
/** The time to live of a deletion, which is a message without data that the server then removes. */
const TOMBSTONE_MS = 1_000;
/** The most bytes of headers in a batch. The server counts headers and data, but not subjects. */
const HEADER_BYTES = 512;
/** The server's limit for the writes of one atomic batch. */
export const MAX_WRITES = 1_000;
/** The number of distinct header blocks that are kept. They differ by fence and retention. */
const MAX_CACHED = 4_096;

/** The answer to a commit, before the committer decides about a repetition. */
type Outcome = CommitResult | { readonly kind: "undecided" };

/** Writes fenced commits into one bucket. A single write is a plain message, and several writes are an atomic batch. */
export class Committer {
  readonly #link: NatsLink;
  readonly #prefix: string;
  readonly #acknowledgementStart: Buffer;
  readonly #blocks: Map<string, EncodedHeaders> = new Map();
  /** True if an undecided commit may be repeated ({@link Committer.commit}). */
  readonly #mayRepeat: boolean;

  constructor(link: NatsLink, bucket: string, mayRepeat: boolean) {
    this.#link = link;
    this.#prefix = `$KV.${bucket}.`;
    this.#acknowledgementStart = Buffer.from(`{"stream":"KV_${bucket}","seq":`);
    this.#mayRepeat = mayRepeat;
  }

  /**
   * Commits writes, and never throws. It repeats an undecided commit (10164, another check of the fence is in progress) at once if commits go one at
   * a time. A pipelined commit is not repeated, because the repetition would come after younger ones; the server gives it no such answer.
   */
  commit(writes: readonly Write[]): Promise<CommitResult> {
    // Each commit makes only one promise, because commits are a node's most frequent promises.
    return new Promise((resolve) => {
      const refusal = this.#precheck(writes);
      if (refusal !== undefined) return resolve(refusal);
      const end = this.#link.clock.monotonic() + ACK_TIMEOUT_MS;
      const heard = (outcome: Outcome): void => {
        if (outcome.kind !== "undecided") resolve(outcome);
        else if (this.#mayRepeat && this.#link.clock.monotonic() <= end) this.#send(writes, heard);
        else resolve(notSent("the bucket was busy with another check of the fence; nothing was stored"));
      };
      this.#send(writes, heard);
    });
  }

  #precheck(writes: readonly Write[]): CommitResult | undefined {
    if (writes.length === 0) return { kind: "committed", revision: 0 };
    if (writes.length > MAX_WRITES) return notSent(`a commit takes up to ${MAX_WRITES} writes`);
    if (this.#link.status !== "connected")
      return { ...notSent("not connected to NATS; nothing was sent"), disconnected: true };
    const largest = (this.#link.connection.info?.max_payload ?? 1_048_576) - HEADER_BYTES;
    for (const write of writes) {
      if (write.data.length > largest) {
        const message = `record ${write.id} has ${write.data.length} bytes, the server takes ${largest}: raise its max_payload`;
        return { kind: "refused", code: "PAYLOAD_TOO_LARGE", message };
      }
    }
    return undefined;
  }

  #send(writes: readonly Write[], heard: (outcome: Outcome) => void): void {
    const waiter = new CommitWaiter(this.#acknowledgementStart, heard);
    try {
      const [first] = writes;
      if (writes.length === 1 && first !== undefined) this.#sendOne(first, waiter);
      else this.#sendBatch(writes, waiter);
    } catch (error) {
      // Only a connection that has just closed throws. The server drops a batch without its end.
      heard(notSent(`nothing was stored: ${error instanceof Error ? error.message : String(error)}`));
    }
  }

  #sendOne(write: Write, waiter: Waiter): void {
    this.#link.replies.ask(this.#subject(write), write.data, this.#single(write), ACK_TIMEOUT_MS, waiter);
  }

  #sendBatch(writes: readonly Write[], waiter: Waiter): void {
    const { connection, replies } = this.#link;
    const id = nuid.next();
    const fenced = new Set<number>();
    const last = writes.length - 1;
    for (let index = 0; index <= last; index++) {
      const write = writes[index] as Write;
      let block = `NATS/1.0\r\nNats-Batch-Id: ${id}\r\nNats-Batch-Sequence: ${index + 1}\r\n`;
      // The server checks a fence once for all later writes of the batch. It refuses a second check of a subject that the batch has written.
      if (!fenced.has(write.shard)) {
        fenced.add(write.shard);
        block += this.#fenceLines(write.shard, write.fence);
      }
      block += lifeLines(write);
      if (index === last) block += "Nats-Batch-Commit: 1\r\n";
      const headers = new EncodedHeaders(`${block}\r\n`);
      if (index === last) replies.ask(this.#subject(write), write.data, headers, ACK_TIMEOUT_MS, waiter);
      else connection.publish(this.#subject(write), write.data, { headers: headers.forNats });
    }
  }

  #subject(write: Write): string {
    return `${this.#prefix}${write.shard}.${write.id}`;
  }

  #fenceLines(shard: number, fence: Fence): string {
    return `Nats-Expected-Last-Subject-Sequence: ${fence}\r\nNats-Expected-Last-Subject-Sequence-Subject: ${this.#prefix}owner.${shard}\r\n`;
  }

  /** Returns the headers of a shard's writes, encoded once per fence and retention. */
  #single(write: Write): EncodedHeaders {
    const life = write.data.length === 0 ? "-" : write.ttlMs === undefined ? "" : ttlHeader(write.ttlMs);
    const key = `${write.shard} ${write.fence} ${life}`;
    let headers = this.#blocks.get(key);
    if (headers === undefined) {
      const block = `NATS/1.0\r\n${this.#fenceLines(write.shard, write.fence)}${lifeLines(write)}\r\n`;
      headers = new EncodedHeaders(block);
      if (this.#blocks.size >= MAX_CACHED) this.#blocks.clear();
      this.#blocks.set(key, headers);
    }
    return headers;
  }
}

function lifeLines(write: Write): string {
  if (write.data.length === 0) return `KV-Operation: DEL\r\nNats-TTL: ${ttlHeader(TOMBSTONE_MS)}\r\n`;
  return write.ttlMs === undefined ? "" : `Nats-TTL: ${ttlHeader(write.ttlMs)}\r\n`;
}

function notSent(message: string): Extract<CommitResult, { kind: "refused" }> {
  return { kind: "refused", code: "STORE_UNAVAILABLE", message };
}

class CommitWaiter implements Waiter {
  readonly #start: Buffer;
  readonly #resolve: (outcome: Outcome) => void;

  constructor(start: Buffer, resolve: (outcome: Outcome) => void) {
    this.#start = start;
    this.#resolve = resolve;
  }

  answer(message: NatsMessage): boolean {
    this.#resolve(this.#outcomeOf(message));
    return true;
  }

  fail(why: Silence): void {
    if (why === "not-permitted") {
      this.#resolve({
        kind: "refused",
        code: "NOT_PERMITTED",
        message: "the NATS user may not write to the bucket: grant it publish on $KV.>",
      });
    } else
      this.#resolve({
        kind: "unknown",
        disconnected: why !== "timeout",
        message: why === "timeout" ? "no acknowledgement in time" : "the connection broke before the acknowledgement",
      });
  }

  #outcomeOf(message: NatsMessage): Outcome {
    const revision = this.#fastRevision(message.data);
    if (revision > 0) return { kind: "committed", revision };
    if (message.noResponders) return notSent("the bucket has no leader, or was removed; nothing was stored");
    const result = readAcknowledgement(message);
    if (result.ok) return { kind: "committed", revision: result.revision };
    if (isFenced(result.error)) return { kind: "fenced" };
    return isUndecided(result.error) ? { kind: "undecided" } : refusalOf(result.error);
  }

  /** Reads the sequence from `{"stream":"KV_…","seq":123…`, the form of nearly every acknowledgement, or returns 0 for any other form. */
  #fastRevision(data: Uint8Array): number {
    const start = this.#start.length;
    if (data.length <= start || asBuffer(data).compare(this.#start, 0, start, 0, start) !== 0) return 0;
    let revision = 0;
    for (let index = start; index < data.length; index++) {
      const digit = (data[index] as number) - 48;
      if (digit < 0 || digit > 9) return revision;
      revision = revision * 10 + digit;
    }
    return 0;
  }
}
