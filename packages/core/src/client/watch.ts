import type { TimerHandle } from "../base/clock.ts";
import { UnavailableError, type ErgonError } from "../base/errors.ts";
import type { Bus, Message } from "../ports/bus.ts";
import type { TaskView } from "../views/task-view.ts";
import { decodeError } from "../wire/error-headers.ts";
import { H } from "../wire/headers.ts";
import type { Names } from "../wire/subjects.ts";
import type { Caller } from "./caller.ts";
import type { Moves } from "./moves.ts";
import { readTask, type TaskReply } from "./task-reply.ts";
import { isUnavailable } from "./tries.ts";

/** Nodes send a message every 5 s. A watch that hears nothing for longer asks again. */
const SILENCE_MS = 12_000;

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined;
}

export interface WatchParts {
  readonly bus: Bus;
  readonly caller: Caller;
  readonly moves: Moves;
  readonly names: Names;
  /** A subject without any other listener. */
  readonly newInbox: () => string;
}

type Item =
  | { readonly kind: "task"; readonly reply: TaskReply }
  | { readonly kind: "alive" }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "moved" }
  | { readonly kind: "ended" };

/**
 * The task as it is, then each change of it, until it has ended. After a change of owner, the watch asks again: the history contains the changes in
 * between, and the same view never comes twice in a row. The watch continues through any outage. Only if no node has ever answered this client, it
 * gives up after the client's `timeoutMs`.
 */
export async function* watchTask(
  parts: WatchParts,
  id: string,
  options: WatchOptions = {},
): AsyncGenerator<TaskView, void, void> {
  const { caller } = parts;
  let heardAt = caller.clock.monotonic();
  let seen: string | undefined;
  let shard: number | undefined;
  for (let failures = 0; ;) {
    caller.requireOpen();
    const stream = openStream(parts, id, shard, options.signal);
    try {
      let item = await stream.next();
      for (; item.kind === "task" || item.kind === "alive"; item = await stream.next()) {
        heardAt = caller.clock.monotonic();
        failures = 0;
        caller.noteServed();
        if (item.kind === "alive") continue;
        const { view, final } = item.reply;
        shard = item.reply.shard;
        const text = JSON.stringify(view);
        if (text !== seen) yield view;
        seen = text;
        if (final) return;
      }
      if (item.kind === "ended") return;
      if (item.kind === "moved") continue;
      if (!isUnavailable(item.error)) throw item.error;
      if (caller.lonely && caller.clock.monotonic() - heardAt >= caller.timeoutMs) throw item.error;
      failures += 1;
      await caller.pause(failures, item.error, shard);
    } finally {
      stream.close();
    }
  }
}

interface Stream {
  next(): Promise<Item>;
  close(): void;
}

/** One watch request with an inbox of its own, so that late messages of a former owner are dropped. */
function openStream(
  { bus, caller, moves, names, newInbox }: WatchParts,
  id: string,
  shard: number | undefined,
  signal: AbortSignal | undefined,
): Stream {
  const { clock } = caller;
  const items: Item[] = [];
  let wake: (() => void) | undefined;
  let silence: TimerHandle;

  const put = (item: Item): void => {
    items.push(item);
    wake?.();
  };
  const expect = (): void => {
    if (silence !== undefined) clock.cancel(silence);
    silence = clock.after(SILENCE_MS, () => put({ kind: "failed", error: silent(id) }));
  };
  const aborted = (): void => put({ kind: "ended" });

  const inbox = newInbox();
  const subscription = bus.subscribe(inbox, (message) => {
    expect();
    put(read(message, id));
  });
  const forget = moves.listen(shard, () => put({ kind: "moved" }));
  signal?.addEventListener("abort", aborted);
  if (signal?.aborted === true) aborted();
  expect();
  bus.publish(names.verb("watch", id), new Uint8Array(), { reply: inbox });

  return {
    next: async () => {
      for (;;) {
        const item = items.shift();
        if (item !== undefined) return item;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => {
      clock.cancel(silence);
      signal?.removeEventListener("abort", aborted);
      forget();
      subscription.unsubscribe();
    },
  };
}

function read(message: Message, id: string): Item {
  if (message.noResponders)
    return {
      kind: "failed",
      error: new UnavailableError(
        "NO_NODE",
        `no node answers a watch of task ${id}; start a node, or check the namespace`,
      ),
    };
  const error: ErgonError | undefined = decodeError(message);
  if (error !== undefined) return { kind: "failed", error };
  if (message.header(H.event) === "keepalive") return { kind: "alive" };
  try {
    return { kind: "task", reply: readTask(message) };
  } catch (cause) {
    return { kind: "failed", error: cause };
  }
}

function silent(id: string): UnavailableError {
  return new UnavailableError("REQUEST_TIMEOUT", `the watch of task ${id} received nothing for ${SILENCE_MS} ms`);
}
