import { messageOf, type Message, type Subscription } from "@ergon/core";
import { taskOption, taskOf } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { Sending } from "../shard/hosting.ts";
import type { Patience } from "../shard/patience.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { PresenceReader, type Beat } from "./presence.ts";

const SWEEP_MS = 250;
/** The silence after which the node asks an agent that has its attempts whether it lives. The server's 503 reveals a dead agent at once. */
const PROBE_AFTER_MS = 300;
/** The time without a beat (six beats) after which agents are lost, because a host that vanished silently causes no 503. */
const SILENT_MS = 6_000;
/** An agent beats every second. If its beat is later than this, the agent is paused, cut off or overloaded. */
const QUIET_MS = 1_500;
/** An SDK agent claims an attempt after 250 ms. After this time the node considers the dispatch lost and sends it again. */
const UNHEARD_MS = 1_000;
/** The pause between two questions whether the server has refused offers. Most plain agents answer sooner, which saves a write. */
const OFFERS_MS = 50;
const UNSERVED_MS = 500;

/** Watches agents and attempts through beats, probes, claims and heartbeats. It writes nothing unless something is lost. */
export class AgentsObserver {
  readonly #context: NodeContext;
  readonly #dispatcher: Dispatcher;
  readonly #host: Sending;
  readonly #patience: Patience;
  readonly #subscriptions: Subscription[] = [];
  #timer: unknown;
  #offersTimer: unknown;
  #lastUnserved = 0;
  #stopped = false;
  readonly #reader: PresenceReader;

  constructor(context: NodeContext, dispatcher: Dispatcher, host: Sending, patience: Patience) {
    this.#context = context;
    this.#dispatcher = dispatcher;
    this.#host = host;
    this.#patience = patience;
    this.#reader = new PresenceReader(context.clock, context.logger);
  }

  start(): void {
    const { ports, names, node } = this.#context;
    this.#subscriptions.push(
      ports.bus.subscribe(names.presence, (message) => this.#heard(message)),
      ports.bus.subscribe(names.nodeVerb(node, "credit"), (message) => this.#credit(message)),
    );
    ports.bus.onRefused((subject) => this.#dispatcher.refused(subject));
    ports.bus.onStatus((status) => this.#onConnection(status === "connected"));
    this.#dispatcher.agents.listens(this.#context.clock.monotonic());
    this.#sweepLater();
    this.#offersLater();
  }

  stop(): void {
    this.#stopped = true;
    this.#dispatcher.probes.stop();
    this.#context.clock.cancel(this.#timer);
    this.#context.clock.cancel(this.#offersTimer);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  /** Without NATS the node hears nobody, so it ignores silence, and must find out again whether somebody received an offer. */
  #onConnection(connected: boolean): void {
    this.#dispatcher.pulse.onConnection(connected);
    if (connected) return this.#forgive();
    this.#dispatcher.agents.listens(undefined);
    for (const actor of [...this.#dispatcher.flights.offered]) this.#dispatcher.undelivered(actor);
  }

  /** The node could hear nobody for a time, so it measures silence from now on. */
  #forgive(): void {
    const now = this.#context.clock.monotonic();
    this.#dispatcher.agents.listens(now);
    for (const entry of this.#dispatcher.agents.all()) entry.heardAt = now;
    for (const { flight } of this.#dispatcher.flights.out)
      if (flight !== undefined && flight.sentAt > 0) flight.sentAt = now;
  }

  #heard(message: Message): void {
    const beat = this.#reader.read(message);
    if (beat !== undefined) this.#present(beat);
  }

  #credit(message: Message): void {
    try {
      this.#dispatcher.credits.receive(message);
    } catch (error) {
      this.#context.logger.warn(
        { reason: messageOf(error) },
        "an agent's message about its slots is malformed; it is ignored",
      );
    }
  }

  /** An agent that was started again under its id has none of the attempts that its former incarnation had claimed. */
  #present({ view, isReplaced }: Beat): void {
    const { agents } = this.#dispatcher;
    const before = agents.get(view.id);
    const whose = agents.whose(view);
    const takesPlace =
      whose === "former"
        ? before !== undefined && this.#dispatcher.twins.meet(before, view, isReplaced)
        : whose === "next";
    if (whose === "former" && !takesPlace) return;
    if (takesPlace && before !== undefined) this.#dispatcher.lose(before, "was started again");
    this.#dispatcher.heard(view);
    const now = agents.get(view.id);
    if (!takesPlace || now === undefined) return;
    now.former = before?.view;
    now.twin = before?.twin;
  }

  #sweepLater(): void {
    this.#timer = this.#context.clock.after(SWEEP_MS, () => {
      const server = this.#dispatcher.pulse.look();
      this.#patience.heard(server !== "unheard");
      if (server === "again") this.#forgive();
      if (server === "unheard") this.#dispatcher.agents.listens(undefined);
      else this.#sweep();
      if (!this.#stopped) this.#sweepLater();
    });
  }

  #offersLater(): void {
    this.#offersTimer = this.#context.clock.after(OFFERS_MS, () => {
      void this.#dispatcher.plainAgents.settleOffers();
      if (!this.#stopped) this.#offersLater();
    });
  }

  #sweep(): void {
    const now = this.#context.clock.monotonic();
    for (const entry of [...this.#dispatcher.agents.all()]) {
      const silent = now - entry.heardAt;
      entry.quiet = silent > QUIET_MS;
      if (silent > SILENT_MS) this.#dispatcher.lose(entry, `was silent for ${SILENT_MS} ms`);
      else if (silent > PROBE_AFTER_MS && entry.flights.size > 0) this.#dispatcher.probes.ask(entry);
    }
    for (const actor of [...this.#dispatcher.flights.out]) {
      const { flight, state } = actor;
      if (flight === undefined || state === undefined || flight.sentAt === 0) continue;
      const heardAt = Math.max(flight.launchedAt, flight.heardAt);
      if (
        flight.agent !== undefined &&
        this.#dispatcher.agents.get(flight.agent) === undefined &&
        now - heardAt > SILENT_MS
      ) {
        this.#dispatcher.loseUnheard(actor);
        continue;
      }
      if (flight.agent !== undefined && flight.heardAt === 0 && now - flight.sentAt > UNHEARD_MS) {
        flight.sentAt = now;
        this.#dispatcher.resend(actor);
      }
      const heartbeatMs = taskOption(taskOf(state), "heartbeatTimeoutMs");
      const isSilent = heartbeatMs > 0 && now - Math.max(flight.heardAt, flight.sentAt) > heartbeatMs;
      const { end = 0 } = this.#patience.gap(actor.shard) ?? {};
      if (isSilent && (taskOf(state).attemptAt ?? 0) >= end)
        this.#host.send(actor, { type: "silent", attempt: flight.attempt });
    }
    this.#dispatcher.aborts.sweep();
    if (now - this.#lastUnserved >= UNSERVED_MS) {
      this.#lastUnserved = now;
      this.#dispatcher.plainAgents.tryUnserved();
    }
  }
}
