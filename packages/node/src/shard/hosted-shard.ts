import type { Fence, Message, Subscription } from "@ergon/core";

import type { LiveActor } from "./actor.ts";

export type ShardPhase = "loading" | "serving" | "suspended" | "draining" | "closed";

/** Between the id of an actor and the number of a task that is embedded in its record; no id has it. */
const EMBEDDED = "~";

export function embeddedId(id: string, key: number): string {
  return `${id}${EMBEDDED}${key}`;
}

/** A shard that this node hosts, or is about to. */
export class HostedShard {
  fence: Fence = 0;
  phase: ShardPhase = "loading";
  readonly actors: Map<string, LiveActor> = new Map();
  /** Records that cannot be read here, by id, with the reason; left as they are (B-21). */
  readonly unreadable: Map<string, string> = new Map();
  /** Messages that came while the shard could not serve them. */
  buffer: Message[] = [];
  subscription: Subscription | undefined;
  /** Writes queued or in flight, and who waits for none. */
  writes = 0;
  onIdle: (() => void) | undefined;
  /** The newest revision of its records that this node knows, and the writes since the last mark. */
  revision = 0;
  writesSinceMark = 0;
  readonly number: number;
  readonly bucket: number;

  constructor(number: number, bucket: number) {
    this.number = number;
    this.bucket = bucket;
  }

  /** The live actor of an id, or the task embedded in one: `<id>~<number>`. */
  find(id: string): LiveActor | undefined {
    const mark = id.indexOf(EMBEDDED);
    if (mark < 0) return this.actors.get(id);
    return this.actors.get(id.slice(0, mark))?.embedded?.get(Number(id.slice(mark + 1)));
  }
}
