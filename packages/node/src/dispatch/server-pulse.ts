import type { NodeContext } from "../node-context.ts";

const ASK_MS = 1_000;
/** A server that has said nothing for so long stands still, or this process did. */
const STILL_MS = 1_500;
/** Agents look for their server every 250 to 750 ms, and may just have missed it: so long after it is back, they may be on their way. */
const RETURN_MS = 2_000;

/**
 * Whether silence says anything about those who are silent. While the server stands still or is out of reach, or this process is held up, nobody
 * can be heard; and when the server is heard again, agents may need a moment more to come back.
 */
export class ServerPulse {
  readonly #context: NodeContext;
  #connected = true;
  #asking = false;
  #askedAt = -Infinity;
  #answeredAt: number;
  /** Since when the server has been heard; `undefined` while it is not. */
  #heardSince: number | undefined;

  constructor(context: NodeContext) {
    this.#context = context;
    this.#heardSince = this.#answeredAt = context.clock.monotonic();
  }

  onConnection(connected: boolean): void {
    this.#connected = connected;
    this.#answeredAt = this.#context.clock.monotonic();
    this.#heardSince = connected ? this.#answeredAt : undefined;
  }

  /** To be called several times a second. Answers whether the server is heard, or `again` when it was not at the last look. */
  look(): "heard" | "again" | "unheard" {
    const now = this.#context.clock.monotonic();
    if (this.#connected && !this.#asking && now - this.#askedAt >= ASK_MS) void this.#ask(now);
    if (!this.#connected || now - this.#answeredAt > STILL_MS) {
      this.#heardSince = undefined;
      return "unheard";
    }
    if (this.#heardSince !== undefined) return "heard";
    this.#heardSince = now;
    return "again";
  }

  /** Whether an agent that is not there may be on its way back. */
  get agentsMayReturn(): boolean {
    return this.#heardSince === undefined || this.#context.clock.monotonic() - this.#heardSince < RETURN_MS;
  }

  async #ask(now: number): Promise<void> {
    this.#asking = true;
    this.#askedAt = now;
    try {
      await this.#context.ports.bus.flush();
      this.#answeredAt = this.#context.clock.monotonic();
    } catch {
      // The connection's loss is told in the log where it happens; a server that stands still is asked again.
    }
    this.#asking = false;
  }
}
