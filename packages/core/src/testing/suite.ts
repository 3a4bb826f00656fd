import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

import type { Ports } from "../ports/ports.ts";

/** The part of a test runner that the suites need; Vitest's and Node's own both fit. */
export interface TestApi {
  readonly describe: (title: string, body: () => void) => void;
  readonly test: (title: string, body: () => Promise<void>) => void;
}

/** Where a suite's tests get their processes from. Each test has a namespace to itself. */
export interface Suite {
  /** A network, or a namespace on a server, that nobody else uses. */
  open(): Promise<{
    /** One more process in it. */
    connect(): Promise<Ports>;
    close(): Promise<void>;
  }>;
}

/** Runs `body` with a fresh namespace, and closes it and every process in it. */
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

/** Collects what a callback hears, and waits for what it has not heard yet. No polling: it looks when something comes. */
export class Heard<T> {
  readonly items: T[] = [];
  readonly #waiting: (() => void)[] = [];

  readonly hear = (item: T): void => {
    this.items.push(item);
    for (const check of this.#waiting) check();
  };

  /** Resolves with the items once `enough` holds of them. */
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

/** The changes that a watch may hear of several at once: the last one, and any of those before it, in their order. */
export function assertInOrder(heard: readonly unknown[], changes: readonly unknown[]): void {
  assert.deepEqual(heard.at(-1), changes.at(-1));
  const places = heard.map((one) => changes.findIndex((change) => isDeepStrictEqual(one, change)));
  assert.equal(places.includes(-1), false, "something was heard that never was");
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
}
