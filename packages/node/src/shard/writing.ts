import type { CommitResult } from "@ergon/core/engine";

export type Refusal = Extract<CommitResult, { kind: "refused" }>;

/**
 * The shard calls this with `undefined` when the write is stored, or with the error when the actor's creation was refused. It does not call it if the
 * node loses the shard.
 */
export type Settled = (refusal: Refusal | undefined) => void;

interface Waiter {
  readonly sequence: number;
  readonly run: Settled;
}

/** The number of an actor's changes that are stored. Only the commit queue reports here, and everybody else reads or waits. */
export class Writing {
  #sequence = 0;
  #stored = 0;
  #out = 0;
  #waiters: Waiter[] | undefined;

  /** The number of the actor's last change, or 0 if there is none. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The number of the last stored change, or 0 if there is none. */
  get stored(): number {
    return this.#stored;
  }

  /** Tells whether the store holds the actor's present state. */
  get isDone(): boolean {
    return this.#stored >= this.#sequence;
  }

  /** Tells whether a write is in flight. */
  get isOut(): boolean {
    return this.#out > 0;
  }

  /** The node restored the actor from its record. */
  restored(): void {
    this.#sequence = 1;
    this.#stored = 1;
  }

  /** The actor has changed. Returns the number of the change. */
  changed(): number {
    return ++this.#sequence;
  }

  /** The queue has sent a write to the store. */
  sent(): void {
    this.#out++;
  }

  /** The store has answered the write. */
  answered(): void {
    this.#out--;
  }

  /** The store holds this change, and with it every earlier one. */
  storedUpTo(sequence: number): void {
    if (sequence > this.#stored) this.#stored = sequence;
  }

  /** Keeps `run` until the actor's last change is stored. */
  wait(run: Settled): void {
    (this.#waiters ??= []).push({ sequence: this.#sequence, run });
  }

  /** Removes and returns the callbacks whose change is stored by now. `all` returns every callback. */
  takeWaiters(all: boolean): readonly Waiter[] {
    const waiters = this.#waiters;
    if (waiters === undefined) return NOBODY;
    const due = all ? waiters : waiters.filter(({ sequence }) => sequence <= this.#stored);
    if (due.length === waiters.length) this.#waiters = undefined;
    else if (due.length > 0) this.#waiters = waiters.filter(({ sequence }) => sequence > this.#stored);
    return due;
  }
}

const NOBODY: readonly Waiter[] = [];
