import type { Clock, Logger } from "@ergon/core";
import { MAX_TIMER_MS, decodeBody } from "@ergon/core/engine";

import { AttemptAborted } from "./abort.ts";
import type { AbortReason } from "./abort.ts";
import type { Dispatch } from "./dispatch.ts";
import { EARLY_MS } from "./sweep.ts";

/**
 * One attempt of one task, as its handler gets it. Work may run twice, because a node may take a running attempt for lost. So a handler
 * should send `taskId` and `number` with everything that it writes elsewhere: the number grows with every attempt, and the receiver can
 * refuse an older one.
 */
export interface Attempt {
  readonly taskId: string;
  /** 1 for the first attempt. */
  readonly number: number;
  readonly driver: string;
  readonly payload: Uint8Array;
  readonly contentType: string | undefined;
  readonly correlationId: string | undefined;
  /** The task's resource URI. */
  readonly resource: string | undefined;
  readonly arguments: Readonly<Record<string, string>>;
  /** The time by which the attempt must have ended, in epoch milliseconds of the node's clock; `undefined` without a limit. */
  readonly deadline: number | undefined;
  /** Milliseconds until the signal fires for the deadline; `Infinity` without a limit. */
  readonly remainingMs: number;
  /** Fires, with an {@link AttemptAborted} as its reason, when the attempt has to stop. */
  readonly signal: AbortSignal;
  /** Each line carries task, attempt and driver. */
  readonly logger: Logger;
  /**
   * Sends a heartbeat if the task asks for heartbeats (`heartbeatTimeout`); else it does nothing. A call is cheap: the agent sends
   * at most three heartbeats per timeout, and the node never sees a longer silence than that of the handler.
   */
  readonly heartbeat: () => void;
  /** Reports the progress of the work: any JSON value. The agent sends at most ten a second, and always the last one. Counts as a heartbeat. */
  readonly progress: (value: unknown) => void;
  /** The payload as UTF-8 text. */
  readonly text: () => string;
  /** The payload by its content type: JSON (also without a content type) or MessagePack. Throws `InvalidError` (final). */
  readonly json: <T = unknown>() => T;
  /** Resolves after `ms`; rejects with the signal's reason as soon as the signal fires. */
  readonly sleep: (ms: number) => Promise<void>;
}

/** The functions of the agent that a running attempt uses. */
export interface RunHost {
  readonly clock: Clock;
  readonly logger: Logger;
  wake(due: number): void;
  tell(run: Run, event: "claimed" | "heartbeat" | "progress", data: Uint8Array): void;
}

/** After this time, the agent tells the node that the attempt runs; a shorter attempt only sends its answer. */
const CLAIM_MS = 250;
const PROGRESS_MS = 100;
const EMPTY = new Uint8Array();

/** A running attempt: the {@link Attempt} for its handler, and its timers in the agent. */
export class Run implements Attempt {
  readonly dispatch: Dispatch;
  /** The node whose credit the attempt uses. */
  node: string;
  aborted: AttemptAborted | undefined;
  /** The answer is given: later results of the handler are ignored. */
  over = false;
  /** A later task has the same id, and an attempt with the same number: a message of this attempt would be taken for one of that attempt. */
  superseded = false;
  readonly #host: RunHost;
  readonly #deadlineAt: number;
  readonly #beatMs: number;
  readonly #beatsByItself: boolean;
  #claimAt: number;
  #beatAt = Infinity;
  #beatenAt: number;
  #progressAt = Infinity;
  #progressedAt = -Infinity;
  #latest: Uint8Array | undefined;
  #controller: AbortController | undefined;
  #logger: Logger | undefined;

  constructor(dispatch: Dispatch, host: RunHost, beatsByItself: boolean) {
    const now = host.clock.monotonic();
    this.dispatch = dispatch;
    this.node = dispatch.node;
    this.#host = host;
    this.#deadlineAt = now + dispatch.timeoutMs;
    this.#beatMs = dispatch.heartbeatMs / 3;
    this.#beatsByItself = beatsByItself && dispatch.heartbeatMs > 0;
    this.#beatenAt = now;
    this.#claimAt = now + CLAIM_MS;
    if (this.#beatsByItself) this.#beatAt = now + this.#beatMs;
  }

  get taskId(): string {
    return this.dispatch.task;
  }
  get number(): number {
    return this.dispatch.attempt;
  }
  get driver(): string {
    return this.dispatch.driver;
  }
  get payload(): Uint8Array {
    return this.dispatch.payload;
  }
  get contentType(): string | undefined {
    return this.dispatch.contentType;
  }
  get correlationId(): string | undefined {
    return this.dispatch.correlationId;
  }
  get resource(): string | undefined {
    return this.dispatch.resource;
  }
  get arguments(): Readonly<Record<string, string>> {
    return this.dispatch.arguments;
  }
  get deadline(): number | undefined {
    return this.dispatch.deadline;
  }
  get remainingMs(): number {
    return Math.max(0, this.#deadlineAt - this.#host.clock.monotonic());
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.aborted !== undefined) this.#controller.abort(this.aborted);
    }
    return this.#controller.signal;
  }

  get logger(): Logger {
    const { task, attempt, driver } = this.dispatch;
    this.#logger ??= this.#host.logger.child({ task, attempt, driver });
    return this.#logger;
  }

  readonly heartbeat = (): void => {
    if (this.#beatMs === 0 || this.over) return;
    const now = this.#host.clock.monotonic();
    if (now - this.#beatenAt >= this.#beatMs) this.#beat(now);
    else if (this.#beatAt === Infinity) this.#expect((this.#beatAt = this.#beatenAt + this.#beatMs));
  };

  readonly progress = (value: unknown): void => {
    const data = Buffer.from(JSON.stringify(value) ?? "null");
    if (this.over) return;
    this.#latest = data;
    const now = this.#host.clock.monotonic();
    if (now - this.#progressedAt >= PROGRESS_MS) this.flushProgress();
    else if (this.#progressAt === Infinity) this.#expect((this.#progressAt = this.#progressedAt + PROGRESS_MS));
  };

  readonly text = (): string =>
    Buffer.from(this.payload.buffer, this.payload.byteOffset, this.payload.byteLength).toString();

  readonly json = <T>(): T => decodeBody(this.payload, this.contentType) as T;

  readonly sleep = (ms: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const { clock } = this.#host;
      const { signal } = this;
      if (this.aborted !== undefined) return reject(this.aborted);
      const end = clock.monotonic() + ms;
      const arm = () => clock.after(Math.min(MAX_TIMER_MS, Math.max(0, end - clock.monotonic())), wake);
      const wake = () => {
        if (clock.monotonic() < end - EARLY_MS) {
          timer = arm();
          return;
        }
        signal.removeEventListener("abort", stop);
        resolve();
      };
      const stop = () => {
        clock.cancel(timer);
        reject(signal.reason as AttemptAborted);
      };
      let timer = arm();
      signal.addEventListener("abort", stop, { once: true });
    });

  /** Tells the handler to stop; only the first reason counts. */
  abort(reason: AbortReason): void {
    if (this.aborted !== undefined) return;
    this.aborted = new AttemptAborted(reason);
    this.#controller?.abort(this.aborted);
  }

  /** Sends the last progress, if it is not sent yet. */
  flushProgress(): void {
    if (this.#latest === undefined) return;
    const now = this.#host.clock.monotonic();
    this.#progressedAt = now;
    this.#progressAt = Infinity;
    this.#heard(now);
    this.#host.tell(this, "progress", this.#latest);
    this.#latest = undefined;
  }

  /** The due time of the next action, on the monotonic clock. */
  get due(): number {
    const deadline = this.aborted === undefined ? this.#deadlineAt : Infinity;
    return Math.min(deadline, this.#claimAt, this.#beatAt, this.#progressAt);
  }

  /** Performs the due actions, and returns the due time of the next one. */
  sweep(now: number): number {
    const limit = now + EARLY_MS;
    if (this.#deadlineAt <= limit) this.abort("timeout");
    if (this.#claimAt <= limit) {
      this.#claimAt = Infinity;
      this.#host.tell(this, "claimed", EMPTY);
    }
    if (this.#beatAt <= limit) this.#beat(now);
    if (this.#progressAt <= limit) this.flushProgress();
    return this.due;
  }

  #beat(now: number): void {
    this.#heard(now);
    this.#host.tell(this, "heartbeat", EMPTY);
  }

  #heard(now: number): void {
    this.#beatenAt = now;
    this.#beatAt = this.#beatsByItself ? now + this.#beatMs : Infinity;
  }

  #expect(due: number): void {
    this.#host.wake(due);
  }
}
