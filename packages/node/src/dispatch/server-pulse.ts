import type { NodeContext } from "../node-context.ts";

const ASK_MS = 1_000;
/** A server that has been silent for this time stands still, or this process did. */
const STILL_MS = 1_500;
/** Agents look for their server every 250 to 750 ms, and may just have missed it. They may be on their way for this time after the server is back. */
const RETURN_MS = 2_000;

/**
 * Tells whether the node may judge agents by their silence. It hears nobody while the server stands still or is out of reach, or while this process stands
 * still. When the node hears the server again, agents may need a moment more to come back.
 */
export class ServerPulse {
  readonly #context: NodeContext;
  #connected = true;
  #asking = false;
  #askedAt = -Infinity;
  #answeredAt: number;
  /** The time since which the node hears the server, or `undefined` while it does not. */
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

  /** The observer calls this several times a second. Returns `heard` or `unheard`, or `again` if the node did not hear the server at the last look. */
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

  /** Tells whether an absent agent may be on its way back. */
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
      // The node logs the loss of the connection elsewhere, and asks a server that stands still again.
    }
    this.#asking = false;
  }
}
