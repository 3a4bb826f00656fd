/** A node that is silent for this long counts as gone. */
const SILENT_MS = 5_000;
const LATELY_MS = 1_500;
/** If the time since the last check is longer than this, this agent was paused or cut off, and the silence of the nodes proves nothing. */
const STALL_MS = 2_500;

/** The nodes that this agent hears, by the monotonic time of their last message. */
export class Nodes {
  readonly #heardAt: Map<string, number> = new Map();
  #lookedAt: number;

  constructor(now: number) {
    this.#lookedAt = now;
  }

  /** Returns whether the node was unknown. */
  heard(node: string, now: number): boolean {
    const unknown = !this.#heardAt.has(node);
    this.#heardAt.set(node, now);
    return unknown;
  }

  /** Whether the node has sent a message lately. */
  isHeard(node: string, now: number): boolean {
    return now - (this.#heardAt.get(node) ?? -Infinity) < LATELY_MS;
  }

  gone(node: string): void {
    this.#heardAt.delete(node);
  }

  /** Removes and returns the nodes that have fallen silent. Call it once a second while there is a connection. */
  silent(now: number): readonly string[] {
    if (now - this.#lookedAt > STALL_MS) for (const node of this.#heardAt.keys()) this.#heardAt.set(node, now);
    this.#lookedAt = now;
    const silent: string[] = [];
    for (const [node, at] of this.#heardAt) if (now - at >= SILENT_MS) silent.push(node);
    for (const node of silent) this.#heardAt.delete(node);
    return silent;
  }
}
