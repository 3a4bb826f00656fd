import { hostname } from "node:os";

import { ConflictError, InvalidError, createSystemClock, messageOf, silentLogger } from "@ergon/core";
import type { Bus, Clock, ErgonError, Logger, Random } from "@ergon/core";
import { MAX_TIMER_MS, createIdFactory, createNames, isoTime, requireName, systemRandom } from "@ergon/core/engine";
import type { NatsOptions } from "@ergon/core/nats";

import { createLanes } from "./driver.ts";
import type { DriverDefinition, Lane } from "./driver.ts";
import type { Middleware } from "./middleware.ts";
import type { AgentState } from "./presence.ts";
import { Session } from "./session.ts";
import { listen } from "./signals.ts";
import { VERSION } from "./version.ts";

/** An agent's access to the outside, if it does not connect by itself. The bus stays open when the agent stops. */
export interface AgentPorts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger?: Logger | undefined;
  readonly random?: Random | undefined;
}

interface CommonOptions {
  /** A connection of the caller. Without it, the agent connects by `nats` when it starts. */
  readonly ports?: AgentPorts | undefined;
  /** The servers and the credentials. @defaultValue one try at `nats://127.0.0.1:4222` */
  readonly nats?: NatsOptions | undefined;
  /** @defaultValue "default" */
  readonly namespace?: string | undefined;
  /** The first part of every subject. @defaultValue "ergon" */
  readonly prefix?: string | undefined;
  /**
   * The agent's unique id, a name. If two running agents have the same id, the older one is stopped ({@link CommonOptions.onReplaced}). A restarted agent with the same id takes the place of its
   * former incarnation at once, and the attempts of the former one are lost. @defaultValue the host's name and 21 random characters
   */
  readonly id?: string | undefined;
  /** Middleware around every driver's handler. The last one is the outermost. @defaultValue none */
  readonly middleware?: readonly Middleware[] | undefined;
  /** How long NATS may be unreachable before running attempts are aborted as `lost`, in milliseconds. @defaultValue 10,000 */
  readonly cutOffMs?: number | undefined;
  /** How long running attempts may continue after `stop`, in milliseconds, unless the call gives another time. @defaultValue 30,000 */
  readonly drainMs?: number | undefined;
  /**
   * Signals that stop the agent; a second signal stops it at once. When the agent has stopped, the signal takes its usual effect on the process,
   * unless another listener handles it. @defaultValue SIGTERM and SIGINT if the agent connects by itself, else none
   */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Called with the error `AGENT_REPLACED` when the agent has stopped because a running agent with the same id was started later.
   * @defaultValue only a line in the log
   */
  readonly onReplaced?: ((error: ErgonError) => void) | undefined;
  /** @defaultValue none: no log */
  readonly logger?: Logger | undefined;
}

/** One driver, or several in one agent. */
export type AgentOptions = CommonOptions & (DriverDefinition | { readonly drivers: readonly DriverDefinition[] });

export interface StopOptions {
  /** How long running attempts may continue. @defaultValue the agent's `drainMs` */
  readonly drainMs?: number | undefined;
}

export interface Agent {
  readonly id: string;
  /** `gone` before the start and after the stop. */
  readonly state: AgentState;
  /** The number of running attempts. */
  readonly running: number;
  /**
   * Connects if necessary. The agent takes work once this resolves. Idempotent; after a failure you may call it again. Throws the errors of a
   * connection (`NATS_UNREACHABLE`, `NOT_PERMITTED`, `SERVER_UNSUITABLE`), `NOT_PERMITTED` if the agent may not listen to one of its subjects, and
   * `INVALID_OPTION` if the agent has stopped: create a new agent instead.
   */
  start(): Promise<void>;
  /**
   * Takes no new work, lets running attempts finish for `drainMs`, aborts the others and gives them back, waits (5 s at most) until
   * every answer is recorded, and says goodbye. Idempotent; never throws. A later call with `drainMs: 0` ends the wait.
   */
  stop(options?: StopOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const defaults = { namespace: "default", prefix: "ergon", cutOffMs: 10_000, drainMs: 30_000 } as const;

interface Connection {
  readonly bus: Bus;
  close(): Promise<void>;
}

/**
 * Creates an agent. It runs attempts of one or more drivers, at most `concurrency` of each at once, and repeats each answer until the
 * outcome is recorded. An attempt runs once in an agent, however often it is dispatched. A task may run more than once, over several
 * attempts and agents; its outcome is recorded once.
 *
 * Throws `InvalidError`: `INVALID_DRIVER`, `INVALID_OPTION`.
 *
 * @example
 * const agent = createAgent({
 *   driver: "resize",
 *   concurrency: 4,
 *   handler: async (attempt) => resize(attempt.payload, { signal: attempt.signal }),
 * });
 * await agent.start();
 */
export function createAgent(options: AgentOptions): Agent {
  return new ErgonAgent(options);
}

class ErgonAgent implements Agent {
  readonly id: string;
  readonly #options: AgentOptions;
  readonly #cutOffMs: number;
  readonly #drainMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #newId: () => string;
  readonly #lanes: ReadonlyMap<string, Lane>;
  #session: Session | undefined;
  #connection: Connection | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #deafen: () => void = () => undefined;

  constructor(options: AgentOptions) {
    const { ports } = options;
    this.#options = options;
    this.#cutOffMs = requireTime("cutOffMs", options.cutOffMs ?? defaults.cutOffMs);
    this.#drainMs = requireTime("drainMs", options.drainMs ?? defaults.drainMs);
    createNames(options.namespace ?? defaults.namespace, options.prefix ?? defaults.prefix);
    this.#newId = createIdFactory(ports?.random ?? systemRandom);
    this.id = requireName("id", options.id ?? createAgentId(this.#newId()));
    this.#clock = ports?.clock ?? createSystemClock();
    this.#logger = (options.logger ?? ports?.logger ?? silentLogger).child({ agent: this.id });
    this.#lanes = createLanes("drivers" in options ? options.drivers : [options], options.middleware ?? []);
  }

  get state(): AgentState {
    return this.#session?.state ?? "gone";
  }

  get running(): number {
    return this.#session?.running ?? 0;
  }

  start(): Promise<void> {
    if (this.#stopping !== undefined)
      return Promise.reject(new InvalidError("INVALID_OPTION", "this agent has stopped; create another"));
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  stop(options: StopOptions = {}): Promise<void> {
    if (this.#stopping !== undefined && options.drainMs === 0) this.#session?.hurry();
    this.#stopping ??= this.#stop(Math.min(options.drainMs ?? this.#drainMs, MAX_TIMER_MS));
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #start(): Promise<void> {
    const { namespace, prefix, ports, signals } = this.#options;
    this.#connection = ports === undefined ? await this.#connect() : { bus: ports.bus, close: async () => undefined };
    const startedAt = isoTime(this.#clock.now());
    const session = new Session({
      agent: this.id,
      names: createNames(namespace ?? defaults.namespace, prefix ?? defaults.prefix),
      bus: this.#connection.bus,
      clock: this.#clock,
      logger: this.#logger,
      lanes: this.#lanes,
      cutOffMs: this.#cutOffMs,
      identity: { incarnation: this.#newId(), version: VERSION, host: hostname(), pid: process.pid, startedAt },
      replaced: () => this.#replaced(),
    });
    try {
      await session.start();
    } catch (error) {
      await session.close();
      await this.#connection.close();
      throw error;
    }
    this.#session = session;
    this.#deafen = listen(signals ?? (ports === undefined ? ["SIGTERM", "SIGINT"] : []), this);
    this.#logger.info({ drivers: [...this.#lanes.keys()] }, "the agent has started");
  }

  async #stop(drainMs: number): Promise<void> {
    // The caller of the failed start has got the error.
    await this.#starting?.catch(() => undefined);
    await this.#session?.drain(drainMs);
    await this.#session?.close();
    await Promise.all([...this.#lanes.values()].map((lane) => this.#close(lane)));
    await this.#connection?.close();
    this.#deafen();
    this.#logger.info({}, "the agent has stopped");
  }

  #replaced(): void {
    const error = new ConflictError(
      "AGENT_REPLACED",
      `another agent with the id ${this.id} was started later and runs: this one stops. Give every agent a unique id`,
    );
    this.#logger.error({}, error.message);
    void this.stop({ drainMs: 0 }).then(() => this.#options.onReplaced?.(error));
  }

  async #close({ driver, close }: Lane): Promise<void> {
    try {
      await close?.();
    } catch (error) {
      this.#logger.warn(
        { driver, error: messageOf(error) },
        "a driver's close function failed; the agent stops all the same",
      );
    }
  }

  async #connect(): Promise<Connection> {
    const { connectNats, createNatsBus } = await import("@ergon/core/nats");
    const link = await connectNats(
      { name: `ergon agent ${this.id}`, ...this.#options.nats },
      { clock: this.#clock, logger: this.#logger },
    );
    return { bus: createNatsBus(link), close: () => link.drain() };
  }
}

function requireTime(field: string, ms: number): number {
  if (ms >= 0 && ms <= MAX_TIMER_MS) return ms;
  throw new InvalidError(
    "INVALID_OPTION",
    `${field} must be a number of milliseconds from 0 to ${MAX_TIMER_MS}, not ${ms}`,
  );
}

/** The host's name, as far as a name may contain it, and a random part that makes this incarnation unique. */
function createAgentId(unique: string): string {
  const host = hostname()
    .split(".", 1)[0]
    ?.replace(/[^A-Za-z0-9_-]+/g, "-")
    .slice(0, 40);
  return `${host ?? "agent"}-${unique}`;
}
