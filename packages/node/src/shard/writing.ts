import type { CommitResult } from "@ergon/core";

export type Refusal = Extract<CommitResult, { kind: "refused" }>;

/** Called when the write is stored (`undefined`), or when the actor's creation was refused. Not called when the shard is lost. */
export type Settled = (refusal: Refusal | undefined) => void;

interface Waiter {
  readonly sequence: number;
  readonly run: Settled;
}

/** How far an actor's changes are stored. The commit queue reports here; everybody else only reads, and waits. */
export class Writing {
  #sequence = 0;
  #stored = 0;
  #out = 0;
  #waiters: Waiter[] | undefined;

  /** The number of the actor's last change; 0: none. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The number of the last change that is stored; 0: none. */
  get stored(): number {
    return this.#stored;
  }

  /** Whether the store holds the actor as it is now. */
  get isDone(): boolean {
    return this.#stored >= this.#sequence;
  }

  /** Whether a write is with the store. */
  get isOut(): boolean {
    return this.#out > 0;
  }

  /** The actor came from its record. */
  restored(): void {
    this.#sequence = 1;
    this.#stored = 1;
  }

  /** The actor has changed. Answers the number of the change. */
  changed(): number {
    return ++this.#sequence;
  }

  /** A write has left for the store. */
  sent(): void {
    this.#out++;
  }

  /** The store has answered it. */
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

  /** Takes out those who wait for what is stored by now; `all`: whatever they wait for. */
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
