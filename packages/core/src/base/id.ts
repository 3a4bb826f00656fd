import { crc32 } from "node:zlib";

import { customRandom, urlAlphabet } from "nanoid";

import type { Random } from "./random.ts";

const ID = /^[A-Za-z0-9_-]{1,128}$/;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const TASK_ID = /^[A-Za-z0-9_-]{1,128}(~\d{1,9})?$/;

/** Whether `id` may name an actor: 1 to 128 letters, digits, `_` or `-` (design section 4). */
export function isId(id: string): boolean {
  return ID.test(id);
}

/** Whether `text` may be a namespace, driver, machine or agent name: 1 to 64 letters, digits, `_` or `-`. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Whether `id` may name a task: an actor of its own, or `<id>~<number>`, one that is embedded in the record of another. */
export function isTaskId(id: string): boolean {
  return TASK_ID.test(id);
}

/** The shard of an id: `crc32(id) mod shards` (IEEE CRC-32 of its ASCII bytes, ADR-0002). */
export function shardOf(id: string, shards: number): number {
  return crc32(id) % shards;
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
