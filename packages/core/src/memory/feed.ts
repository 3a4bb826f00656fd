import type { Watch } from "../ports/store.ts";
import type { Link } from "./link.ts";

interface Watcher<V> {
  readonly link: Link;
  readonly tell: (key: string, value: V) => void;
}

/** The keys with values at the broker, and the processes that watch them. */
export class Feed<V> {
  readonly values: Map<string, V> = new Map();
  readonly #watchers: Set<Watcher<V>> = new Set();

  set(key: string, value: V): void {
    this.values.set(key, value);
    this.#tell(key, value);
  }

  /** Removes the key. Watchers receive `last`. */
  delete(key: string, last: V): void {
    if (this.values.delete(key)) this.#tell(key, last);
  }

  /**
   * Reports every value to `handler`, and then each change. Resolves after the present values. After a lost connection it starts over, and reports
   * `ended(key)` for every key that has gone.
   */
  async watch(link: Link, handler: (value: V) => void, ended: (key: string) => V): Promise<Watch> {
    const known = new Set<string>();
    let current: Watcher<V> | undefined;
    let stopped = false;

    const start = async (): Promise<void> => {
      const watcher: Watcher<V> = {
        link,
        tell: (key, value) => {
          if (stopped || current !== watcher) return;
          if (this.values.has(key)) known.add(key);
          handler(value);
        },
      };
      current = watcher;
      const present = await link.call(() => {
        this.#watchers.add(watcher);
        return new Map(this.values);
      });
      if (stopped) return;
      const gone = [...known].filter((key) => !present.has(key));
      known.clear();
      for (const key of gone) handler(ended(key));
      for (const [key, value] of present) {
        known.add(key);
        handler(value);
      }
    };

    link.onStatus((status) => {
      if (current !== undefined) this.#watchers.delete(current);
      if (status === "connected" && !stopped) void start().catch(() => undefined);
    });
    await start();
    return {
      stop: () => {
        stopped = true;
        if (current !== undefined) this.#watchers.delete(current);
      },
    };
  }

  #tell(key: string, value: V): void {
    for (const watcher of this.#watchers) watcher.link.inbound.send(() => watcher.tell(key, value));
  }
}
