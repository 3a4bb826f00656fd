import type { Bus, Clock, TimerHandle } from "@ergon/core";
import { encodeBody, JSON_TYPE } from "@ergon/core/engine";
import type { Names } from "@ergon/core/engine";

export type AgentState = "here" | "draining" | "gone";

/** The body of an agent's beat. */
export interface PresenceBody {
  readonly agent: string;
  /** Random at each start: the attempts that another incarnation of the same id had claimed are lost. */
  readonly incarnation: string;
  readonly drivers: readonly { readonly name: string; readonly concurrency: number }[];
  readonly state: AgentState;
  /** The number of running attempts. */
  readonly running: number;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** The start of this incarnation, by the clock of its host. */
  readonly startedAt: string;
  /** With `gone`: a younger agent has the same id. */
  readonly replaced?: true;
}

export interface PresenceOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly names: Names;
  describe(): PresenceBody;
  /** Called once a second: sends the beat if there is a connection. */
  tick(): void;
}

const BEAT_MS = 1_000;

/** Sends the agent's beat once a second, and at each change. */
export class Presence {
  readonly #options: PresenceOptions;
  #timer: TimerHandle;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  start(): void {
    this.say();
    this.#arm();
  }

  say(): void {
    const { bus, names } = this.#options;
    bus.publish(names.presence, encodeBody(this.#options.describe(), JSON_TYPE));
  }

  stop(): void {
    if (this.#timer !== undefined) this.#options.clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#options.clock.after(BEAT_MS, () => {
      this.#arm();
      this.#options.tick();
    });
  }
}
