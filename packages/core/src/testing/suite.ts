import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

import type { Ports } from "../ports/ports.ts";

/** The part of a test runner that the suites need. Vitest and Node's own runner both provide it. */
export interface TestApi {
  readonly describe: (title: string, body: () => void) => void;
  readonly test: (title: string, body: () => Promise<void>) => void;
}

/** The source of processes for a suite's tests. Each test has its own namespace. */
export interface Suite {
  /** Opens a network, or a namespace on a server, that no other test uses. */
  open(): Promise<{
    /** Opens one more process in it. */
    connect(): Promise<Ports>;
    close(): Promise<void>;
  }>;
}

/** Runs `body` with a fresh namespace, and then closes the namespace and every process in it. */
export async function within(suite: Suite, body: (connect: () => Promise<Ports>) => Promise<void>): Promise<void> {
  const space = await suite.open();
  const processes: Ports[] = [];
  try {
    await body(async () => {
      const ports = await space.connect();
      processes.push(ports);
      return ports;
    });
  } finally {
    for (const ports of processes) await ports.close();
    await space.close();
  }
}

/** Collects the items that a callback receives, and waits for further ones. It checks when an item arrives, and never polls. */
export class Heard<T> {
  readonly items: T[] = [];
  readonly #waiting: (() => void)[] = [];

  readonly hear = (item: T): void => {
    this.items.push(item);
    for (const check of this.#waiting) check();
  };

  /** Resolves with the items after `enough` has returned true for them. */
  until(enough: (items: readonly T[]) => boolean): Promise<readonly T[]> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (enough(this.items)) resolve(this.items);
      };
      this.#waiting.push(check);
      check();
    });
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : new TextDecoder().decode(data);

/** The reports that a watch may give of several quick changes. They end with the last change, and may include earlier ones in their order. */
export function assertInOrder(heard: readonly unknown[], changes: readonly unknown[]): void {
  assert.deepEqual(heard.at(-1), changes.at(-1));
  const places = heard.map((one) => changes.findIndex((change) => isDeepStrictEqual(one, change)));
  assert.equal(places.includes(-1), false, "something was heard that never was");
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
}
