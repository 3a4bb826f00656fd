import { UnavailableError } from "../base/errors.ts";
import type { LoadRange, StoredRecord } from "../ports/store.ts";
import { silenceOf } from "./api.ts";
import type { NatsLink } from "./connection.ts";
import { openConsumer } from "./consumer.ts";
import type { OrderedConsumer } from "./consumer.ts";
import type { Keys } from "./keys.ts";
import { isGoneHeader } from "./keys.ts";
import { asBuffer } from "./message.ts";
import type { NatsMessage } from "./message.ts";
import type { Silence } from "./replies.ts";

/**
 * How a load is complete although any replica may answer it: each shard's owner key is read along with its records. A claim wrote it after
 * every write under an older fence, and replicas apply the stream in order, so whoever shows us the owner key at our fence, or a later one,
 * has all that came before. With one replica the answer is the leader's anyway.
 */
export interface Loader {
  readonly link: NatsLink;
  readonly keys: Keys;
  /** The fence that this process knows of a shard, 0 when none. */
  fenceOf(shard: number): number;
}

type Visit = (shard: number, record: StoredRecord) => void;

/** The server answers at most 1,024 subjects a call. */
const NAMES_PER_CALL = 1_000;
const TIMEOUT_MS = 10_000;
const TRIES = 3;
const OWNER = "owner";

/** Reads ranges of one bucket; answers the last revision that is covered. */
export async function loadRanges(loader: Loader, ranges: readonly LoadRange[], visit: Visit): Promise<number> {
  const named = await loadNamed(loader, ranges);
  const covered = await loadAfter(loader, ranges, (shard, record) => {
    named.delete(nameOf(shard, record.id));
    visit(shard, record);
  });
  for (const [name, record] of named) visit(Number(name.slice(0, name.indexOf("."))), record);
  return covered;
}

const nameOf = (shard: number, id: string): string => `${shard}.${id}`;

/** Everything written after each range's `after`, in order, by one consumer. */
async function loadAfter(loader: Loader, ranges: readonly LoadRange[], visit: Visit): Promise<number> {
  for (let tries = 1; ; tries++) {
    const found = new Map<string, { readonly shard: number; readonly record: StoredRecord }>();
    try {
      const covered = await readStream(loader, ranges, (shard, record) => {
        if (record.data.length === 0) found.delete(nameOf(shard, record.id));
        else found.set(nameOf(shard, record.id), { shard, record });
      });
      for (const { shard, record } of found.values()) visit(shard, record);
      return covered;
    } catch (error) {
      if (tries === TRIES || loader.link.status !== "connected") throw error;
    }
  }
}

async function readStream(loader: Loader, ranges: readonly LoadRange[], take: Visit): Promise<number> {
  const { link, keys } = loader;
  const after = new Map(ranges.map((range) => [range.shard, range.after]));
  /** Shards whose owner key is still to come. */
  const awaited = new Map<number, number>();
  let from = Number.POSITIVE_INFINITY;
  for (const { shard, after: mark } of ranges) {
    const fence = loader.fenceOf(shard);
    if (fence > 0) awaited.set(shard, fence);
    // The owner key has to be in what is read, or nothing would show how far the replica has come.
    from = Math.min(from, (fence > 0 ? Math.min(mark, fence - 1) : mark) + 1);
  }
  const filters = ranges.flatMap(({ shard }) => [keys.subject(`${shard}.>`), keys.subject(`${OWNER}.${shard}`)]);
  const prefixLength = keys.subject("").length;

  let consumer: OrderedConsumer | undefined;
  let heard = 0;
  let covered = from - 1;
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>();
  const timer = { stop: () => undefined as void };
  const guard = (): void => {
    const before = heard;
    const handle = link.clock.after(TIMEOUT_MS, () => {
      if (heard === before) reject(new UnavailableError("STORE_UNAVAILABLE", `reading ${keys.stream} came to a halt`));
      else guard();
    });
    timer.stop = () => link.clock.cancel(handle);
  };
  guard();
  try {
    consumer = await openConsumer(link, {
      stream: keys.stream,
      filters,
      deliver: { from },
      onMessage: (message, revision, pending) => {
        heard++;
        covered = revision;
        const name = message.subject.slice(prefixLength);
        const dot = name.indexOf(".");
        const first = name.slice(0, dot);
        const rest = name.slice(dot + 1);
        if (first === OWNER) {
          if (revision >= (awaited.get(Number(rest)) ?? 0)) awaited.delete(Number(rest));
        } else if (revision > (after.get(Number(first)) ?? 0)) {
          // A copy: a view would hold on to the whole block that came from the socket.
          const data = isGoneHeader(message) ? new Uint8Array(0) : message.data.slice();
          take(Number(first), { id: rest, data, revision });
        }
        if (pending === 0 && awaited.size === 0) resolve();
      },
      onBroken: (reason) => reject(new UnavailableError("STORE_UNAVAILABLE", `reading ${keys.stream} broke off: ${reason}`)),
    });
    if (heard >= consumer.initial && awaited.size === 0) resolve();
    await complete;
    return covered;
  } finally {
    timer.stop();
    consumer?.stop();
  }
}

/** The named records, wherever in the stream they are. */
async function loadNamed(loader: Loader, ranges: readonly LoadRange[]): Promise<Map<string, StoredRecord>> {
  const found = new Map<string, StoredRecord>();
  const names = ranges.flatMap(({ shard, ids }) => [...new Set(ids)].map((id) => ({ shard, id })));
  for (let start = 0; start < names.length; start += NAMES_PER_CALL) {
    const part = names.slice(start, start + NAMES_PER_CALL);
    if (await directGet(loader, part, found)) continue;
    // No replica that has come far enough: the leader, one by one.
    for (const { shard, id } of part) {
      const entry = await loader.keys.read(nameOf(shard, id));
      if (entry !== undefined && !entry.gone) found.set(nameOf(shard, id), { id, data: entry.data, revision: entry.revision });
    }
  }
  return found;
}

interface Name {
  readonly shard: number;
  readonly id: string;
}

/** One call for many subjects. `false` when the replica that answered lags behind a fence of ours, or answered nothing useful. */
async function directGet(loader: Loader, names: readonly Name[], found: Map<string, StoredRecord>): Promise<boolean> {
  const { keys } = loader;
  const shards = [...new Set(names.map((name) => name.shard))].filter((shard) => loader.fenceOf(shard) > 0);
  if (keys.replicas > 1 && shards.length + names.length > 1_024) return false;
  for (let tries = 1; tries <= TRIES; tries++) {
    const subjects = [
      ...names.map(({ shard, id }) => keys.subject(nameOf(shard, id))),
      ...(keys.replicas > 1 ? shards.map((shard) => keys.subject(`${OWNER}.${shard}`)) : []),
    ];
    const answers = await askMulti(loader.link, keys.stream, subjects);
    if (answers === undefined) return false;
    const revisions = new Map(answers.map((answer) => [answer.subject, answer]));
    const isFresh = keys.replicas === 1 || shards.every((shard) => {
      return (revisions.get(keys.subject(`${OWNER}.${shard}`))?.revision ?? 0) >= loader.fenceOf(shard);
    });
    if (!isFresh) continue;
    for (const { shard, id } of names) {
      const answer = revisions.get(keys.subject(nameOf(shard, id)));
      if (answer !== undefined && !answer.gone) found.set(nameOf(shard, id), { id, data: answer.data, revision: answer.revision });
    }
    return true;
  }
  return false;
}

interface DirectAnswer {
  readonly subject: string;
  readonly revision: number;
  readonly data: Uint8Array;
  readonly gone: boolean;
}

const END_OF_BATCH = 204;
const NO_RESULTS = 404;

function askMulti(link: NatsLink, stream: string, subjects: readonly string[]): Promise<readonly DirectAnswer[] | undefined> {
  return new Promise((resolve, reject) => {
    const answers: DirectAnswer[] = [];
    const what = `DIRECT.GET.${stream}`;
    const waiter = {
      answer: (message: NatsMessage): boolean => {
        const { status } = message;
        if (status === 0) {
          answers.push({
            subject: message.header("Nats-Subject") ?? "",
            revision: Number(message.header("Nats-Sequence") ?? 0),
            data: message.data.slice(),
            gone: isGoneHeader(message),
          });
          return false;
        }
        const isWhole = status === END_OF_BATCH && (message.header("Nats-Num-Pending") ?? "0") === "0";
        resolve(isWhole ? answers : status === NO_RESULTS ? [] : undefined);
        return true;
      },
      fail: (why: Silence) => reject(silenceOf(what, why)),
    };
    const body = asBuffer(Buffer.from(JSON.stringify({ multi_last: subjects })));
    link.replies.ask(`$JS.API.${what}`, body, undefined, TIMEOUT_MS, waiter);
  });
}

/** One record from a bucket with a single replica, where the one that answers is the leader; cheaper than asking the API. */
export function readDirect(link: NatsLink, keys: Keys, shard: number, id: string): Promise<StoredRecord | undefined> {
  return new Promise((resolve, reject) => {
    const what = `DIRECT.GET.${keys.stream}`;
    const waiter = {
      answer: (message: NatsMessage): boolean => {
        if (message.status === 0) {
          const isGone = isGoneHeader(message);
          const revision = Number(message.header("Nats-Sequence") ?? 0);
          resolve(isGone ? undefined : { id, data: message.data.slice(), revision });
        } else if (message.status === NO_RESULTS) resolve(undefined);
        else reject(new UnavailableError("STORE_UNAVAILABLE", `reading ${keys.stream}: status ${message.status}`));
        return true;
      },
      fail: (why: Silence) => reject(silenceOf(what, why)),
    };
    link.replies.ask(`$JS.API.${what}.${keys.subject(nameOf(shard, id))}`, new Uint8Array(0), undefined, TIMEOUT_MS, waiter);
  });
}
