import type { Clock, TimerHandle } from "../base/clock.ts";
import type { Bus } from "../ports/bus.ts";
import type { Names } from "../wire/subjects.ts";

/** A take-over moves many shards within moments; each waiting call is notified once. */
const DEBOUNCE_MS = 50;

/** Notifies calls that wait for a shard's answer when its owner has changed: the new owner has never received their requests. */
export interface Moves {
  /** Calls `run` after each change that may concern `shard`, or any shard if it is `undefined`. Returns a function that stops the calls. */
  listen(shard: number | undefined, run: () => void): () => void;
  /** How often the connection has come back. Each return notifies every waiting call. */
  readonly connections: number;
  close(): void;
}

interface Listener {
  readonly shard: number | undefined;
  readonly run: () => void;
}

export function createMoves(bus: Bus, names: Names, clock: Clock): Moves {
  const listeners = new Set<Listener>();
  const moved = new Set<number>();
  let timer: TimerHandle;

  const tell = (concerns: (listener: Listener) => boolean): void => {
    for (const listener of [...listeners]) if (concerns(listener)) listener.run();
  };

  const subscription = bus.subscribe(names.ownedAll, ({ subject }) => {
    moved.add(Number(subject.slice(subject.lastIndexOf(".") + 1)));
    timer ??= clock.after(DEBOUNCE_MS, () => {
      timer = undefined;
      const shards = new Set(moved);
      moved.clear();
      tell(({ shard }) => shard === undefined || shards.has(shard));
    });
  });

  const all = (): void => tell(() => true);
  let lost = false;
  let connections = 0;
  bus.onStatus((status) => {
    // The client missed every message while the connection was lost.
    if (status === "connected" && lost) {
      connections += 1;
      all();
    }
    lost = status === "disconnected";
  });

  return {
    listen: (shard, run) => {
      const listener = { shard, run };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get connections() {
      return connections;
    },
    close: () => {
      subscription.unsubscribe();
      if (timer !== undefined) clock.cancel(timer);
      all();
    },
  };
}
