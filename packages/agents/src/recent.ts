import type { Answer } from "./answer.ts";

const ANSWERS = 10_000;
const BYTES = 16 * 1_024 * 1_024;

/**
 * The answers recorded last, so that a repeated dispatch gets its answer again and never runs twice: at least
 * the last 10,000 or 16 MiB, whichever is less, and at most twice that.
 */
export class Recent {
  // There are two generations. A full young generation becomes the old one, and the former old one is dropped as a whole. Dropping the
  // oldest entries of a Map one by one would step over the holes of earlier entries.
  #young: Map<string, Answer> = new Map();
  #old: Map<string, Answer> = new Map();
  #bytes = 0;

  add(answer: Answer): void {
    this.#young.set(answer.key, answer);
    this.#bytes += answer.data.length;
    if (this.#young.size < ANSWERS && this.#bytes < BYTES) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#bytes = 0;
  }

  find(key: string): Answer | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }
}
