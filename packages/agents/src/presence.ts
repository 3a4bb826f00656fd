import { encodeBody, JSON_TYPE } from "@ergon/core";
import type { Bus, Clock, Names, TimerHandle } from "@ergon/core";

export type AgentState = "here" | "draining" | "gone";

/** What an agent says of itself. */
export interface PresenceBody {
  readonly agent: string;
  /** Random, of this start: what another incarnation of the same id had claimed is lost. */
  readonly incarnation: string;
  readonly drivers: readonly { readonly name: string; readonly concurrency: number }[];
  readonly state: AgentState;
  /** Attempts that run now. */
  readonly running: number;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** When this incarnation began, by the clock of its host. */
  readonly startedAt: string;
  /** With `gone`: a younger agent has the id. */
  readonly replaced?: true;
}

export interface PresenceOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly names: Names;
  describe(): PresenceBody;
  /** Called once a second: it is time to say it, if there is a connection to say it on. */
  tick(): void;
}

const BEAT_MS = 1_000;

/** Says once a second, and at each change, that the agent is there. */
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
