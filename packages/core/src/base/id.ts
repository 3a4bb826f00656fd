import { crc32 } from "node:zlib";

import { customRandom, urlAlphabet } from "nanoid";

import type { Random } from "./random.ts";

/** Between the id of a schedule and what tells one of its runs from the others. Keys of NATS buckets may have it, and ids that clients choose may not. */
const RUN_MARK = "=";

const ID = /^[A-Za-z0-9_-]{1,128}$/;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const ACTOR_ID = /^[A-Za-z0-9_-]{1,128}(=[A-Za-z0-9_-]{1,64})?$/;
const TASK_ID = /^[A-Za-z0-9_-]{1,128}(=[A-Za-z0-9_-]{1,64})?(~\d{1,9})?$/;

/** Returns true if a client may give `id` to an actor. Such an id has 1 to 128 letters, digits, `_` or `-`. */
export function isId(id: string): boolean {
  return ID.test(id);
}

/** Returns true if `text` may be the name of a namespace, driver, machine or agent. Such a name has 1 to 64 letters, digits, `_` or `-`. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Returns true if `id` may be the id of an actor. A client may give such an id, or it is the id of a schedule's run, `<schedule>=<due time>`. */
export function isActorId(id: string): boolean {
  return ACTOR_ID.test(id);
}

/** The id of a run of a schedule; `name` tells it from the others, in at most 64 letters, digits, `_` or `-`. */
export function runIdOf(schedule: string, name: string): string {
  return `${schedule}${RUN_MARK}${name}`;
}

/** The id of a run with no mark in it: what is named after it has a shard of its own. */
export function withoutRunMark(id: string): string {
  return id.replace(RUN_MARK, "-");
}

/** Returns true if `id` may name a task. The task is an actor of its own, or it is embedded in another record under `<id>~<number>`. */
export function isTaskId(id: string): boolean {
  return TASK_ID.test(id);
}

/** The shard of an id: `crc32(id) mod shards` (IEEE CRC-32 of its ASCII bytes, ADR-0002). A schedule's run is in the schedule's shard (ADR-0022). */
export function shardOf(id: string, shards: number): number {
  const mark = id.indexOf(RUN_MARK);
  return crc32(mark < 0 ? id : id.slice(0, mark)) % shards;
}

/** Makes ids of 21 URL-safe characters (126 random bits) from a random source. None begins with `-`, as an option of a command does. */
export function createIdFactory(random: Random): () => string {
  const make = customRandom(urlAlphabet, 21, (size) => {
    const bytes = new Uint8Array(size);
    for (let index = 0; index < size; index++) bytes[index] = random() * 256;
    return bytes;
  });
  return () => make().replace(/^-/, "_");
}
