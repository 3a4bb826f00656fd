import type { Bus, BusStatus, Clock, ErgonError, Logger, Subscription, TimerHandle } from "@ergon/core";
import type { Names } from "@ergon/core/engine";

import { Answers } from "./answers.ts";
import type { Listen } from "./answers.ts";
import { Credits } from "./credits.ts";
import type { Lane } from "./driver.ts";
import { Executor } from "./executor.ts";
import { Presence } from "./presence.ts";
import type { AgentState, PresenceBody } from "./presence.ts";
import { Sweep } from "./sweep.ts";

export interface SessionOptions {
  readonly agent: string;
  readonly names: Names;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lanes: ReadonlyMap<string, Lane>;
  readonly cutOffMs: number;
  /** The fields of the beat that do not change. */
  readonly identity: Pick<PresenceBody, "incarnation" | "version" | "host" | "pid" | "startedAt">;
  /** A younger agent has the same id, so this one must stop. Called once. */
  replaced(): void;
}

/** How long handlers have after the abort of a drain, before the agent gives their attempts back without them. */
const ABANDON_MS = 3_000;
/** How long the last answers may wait for their acknowledgement. */
const LAST_ANSWERS_MS = 5_000;
/** How long the goodbye may take to reach the server. */
const GOODBYE_MS = 2_000;

/** An agent on one connection, from its first beat to its goodbye. */
export class Session {
  readonly #options: SessionOptions;
  readonly #answers: Answers;
  readonly #executor: Executor;
  readonly #credits: Credits;
  readonly #presence: Presence;
  readonly #sweep: Sweep;
  readonly #subscriptions: Subscription[] = [];
  /** The subscriptions among these that bring attempts. */
  readonly #dispatches: Subscription[] = [];
  #refusal: ErgonError | undefined;
  #state: AgentState = "here";
  #connected = true;
  #announced = false;
  #replaced = false;
  #cutOff: TimerHandle;
  #hurry: () => void = () => undefined;

  constructor(options: SessionOptions) {
    const { agent, names, bus, clock, logger, lanes } = options;
    const wake = (due: number): void => this.#sweep.wake(due);
    this.#options = options;
    this.#sweep = new Sweep(clock, (now) => Math.min(this.#executor.sweep(now), this.#answers.sweep(now)));
    this.#answers = new Answers({
      agent,
      names,
      bus,
      clock,
      logger,
      listen: this.#listen,
      wake,
    });
    this.#credits = new Credits({
      ...{ agent, names, bus, clock, logger, lanes, listen: this.#listen },
      abort: (task, attempt, reason) => this.#executor.abort(task, attempt, reason),
      replaced: (incarnation) => this.#onReplaced(incarnation),
      met: () => this.#say(),
    });
    this.#executor = new Executor({
      ...{ agent, bus, clock, logger, answers: this.#answers, wake },
      laneOf: (driver) => lanes.get(driver),
      heard: (node) => this.#credits.heard(node),
      credits: (lane, changes) => this.#credits.publish(lane, changes),
    });
    this.#presence = new Presence({ bus, clock, names, describe: () => this.#describe(), tick: () => this.#tick() });
  }

  get state(): AgentState {
    return this.#state;
  }

  get running(): number {
    return this.#executor.running;
  }

  /** Subscribes, and sends the first beat once the server knows the subscriptions. Throws `NOT_PERMITTED` if the server refuses one. */
  async start(): Promise<void> {
    const { agent, bus, lanes, names } = this.#options;
    bus.onStatus((status) => this.#onStatus(status));
    this.#answers.start();
    this.#listen(names.ownedAll, ({ subject }) => this.#owned(subject));
    this.#credits.start();
    for (const lane of lanes.values())
      this.#dispatches.push(
        this.#listen(names.agent(lane.driver, agent), (message) => this.#executor.dispatched(lane, message)),
      );
    await bus.flush();
    // An agent that misses a subscription must not ask for work.
    if (this.#refusal !== undefined) throw this.#refusal;
    this.#announced = true;
    this.#presence.start();
  }

  /** Takes no new work. Running attempts may finish for `drainMs`; then they are aborted and given back. Resolves when every answer is sent. */
  async drain(drainMs: number): Promise<void> {
    const { lanes } = this.#options;
    if (this.#state !== "here") return;
    this.#become("draining");
    this.#executor.drain();
    for (const lane of lanes.values()) lane.capacity.close();
    if (!(await this.#within(drainMs, (done) => this.#executor.whenIdle(done), true))) {
      this.#executor.abortAll("drain");
      if (!(await this.#within(ABANDON_MS, (done) => this.#executor.whenIdle(done)))) this.#executor.abandon(lanes);
    }
    const acknowledged = await this.#within(LAST_ANSWERS_MS, (done) => this.#answers.whenIdle(done));
    // A dispatch that is in flight is given back: without an answer it would count as lost. Before this point, a dispatch may repeat an attempt that runs here.
    const drained = Promise.all(this.#dispatches.map((subscription) => subscription.drain()));
    await this.#within(GOODBYE_MS, (done) => void settled(drained).finally(done));
    if (acknowledged && (await this.#within(LAST_ANSWERS_MS, (done) => this.#answers.whenIdle(done)))) return;
    this.#options.logger.warn(
      { answers: this.#answers.size },
      "no node acknowledged the last answers; their attempts will count as lost",
    );
  }

  /** Ends the time that a drain gives to running attempts. */
  hurry(): void {
    this.#hurry();
  }

  /** Says goodbye, and frees everything. */
  async close(): Promise<void> {
    const { bus, clock } = this.#options;
    this.#presence.stop();
    this.#state = "gone";
    if (this.#announced) this.#say();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#answers.stop();
    this.#sweep.stop();
    if (this.#cutOff !== undefined) clock.cancel(this.#cutOff);
    // The goodbye may fail with the connection: then the nodes notice the agent's silence.
    if (this.#connected) await this.#within(GOODBYE_MS, (done) => void settled(bus.flush()).finally(done));
  }

  readonly #listen: Listen = (subject, take) => {
    const onRefused = (error: ErgonError): void => {
      this.#refusal ??= error;
    };
    const subscription = this.#options.bus.subscribe(subject, take, { onRefused });
    this.#subscriptions.push(subscription);
    return subscription;
  };

  #become(state: AgentState): void {
    this.#state = state;
    this.#say();
  }

  #say(): void {
    if (this.#connected) this.#presence.say();
  }

  #describe(): PresenceBody {
    const { agent, identity, lanes } = this.#options;
    const drivers = [...lanes.values()].map((lane) => ({ name: lane.driver, concurrency: lane.capacity.slots }));
    const replaced = this.#replaced && this.#state === "gone" ? ({ replaced: true } as const) : {};
    return { agent, drivers, state: this.#state, running: this.running, ...identity, ...replaced };
  }

  #onReplaced(incarnation: unknown): void {
    if (this.#replaced || incarnation !== this.#options.identity.incarnation) return;
    this.#replaced = true;
    this.#executor.forsake();
    this.#options.replaced();
  }

  /** A former owner may have had no time to tell what it had decided. */
  #owned(subject: string): void {
    const shard = Number(subject.slice(subject.lastIndexOf(".") + 1));
    const prefix = this.#options.names.shard(shard, "reply", "");
    this.#answers.owned(prefix);
    this.#executor.claimAll(prefix);
  }

  #tick(): void {
    this.#say();
    if (this.#connected) this.#credits.tick();
  }

  #onStatus(status: BusStatus): void {
    const { clock, cutOffMs, logger } = this.#options;
    if (this.#state === "gone") return;
    const wasConnected = this.#connected;
    this.#connected = status === "connected";
    if (wasConnected && !this.#connected)
      logger.warn(
        { attempts: this.running, cutOffMs },
        "NATS is unreachable; running attempts continue, and new ones wait until the agent reconnects",
      );
    else if (!wasConnected && this.#connected)
      logger.info({ attempts: this.running }, "the agent has reconnected to NATS");
    this.#answers.connection(status);
    if (this.#cutOff !== undefined) clock.cancel(this.#cutOff);
    this.#cutOff = undefined;
    if (this.#connected) {
      this.#say();
      this.#executor.claimAll();
    } else {
      this.#cutOff = clock.after(cutOffMs, () => {
        this.#cutOff = undefined;
        if (this.running > 0)
          logger.warn(
            { attempts: this.running, cutOffMs },
            "NATS was unreachable for too long; the agent stops its running attempts, which count as lost",
          );
        this.#executor.abortAll("lost");
      });
    }
  }

  /** Whether `begin` calls back within `ms`, or before a second stop ends the wait. */
  #within(ms: number, begin: (done: () => void) => void, mayHurry = false): Promise<boolean> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const timer = clock.after(ms, () => resolve(false));
      if (mayHurry) {
        this.#hurry = () => {
          clock.cancel(timer);
          resolve(false);
        };
      }
      begin(() => {
        clock.cancel(timer);
        resolve(true);
      });
    });
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await Promise.allSettled([promise]);
}
