import { taskMachine, type MachineRegistry } from "@ergon/core/engine";

import { AgentsObserver } from "./dispatch/agents-observer.ts";
import { Dispatcher, type DriverOptions } from "./dispatch/dispatcher.ts";
import { InstanceBehaviour } from "./instances/instance-behaviour.ts";
import { Outbox } from "./instances/outbox.ts";
import type { NodeContext } from "./node-context.ts";
import { HeldBatches } from "./serve/held-batches.ts";
import { Listeners } from "./serve/listeners.ts";
import { moved } from "./serve/refusals.ts";
import { Replies } from "./serve/replies.ts";
import type { HomeShard, LiveActor } from "./shard/actor.ts";
import { Host } from "./shard/host.ts";
import type { StoreHealth } from "./shard/store-health.ts";

export interface ActorsParts {
  readonly machines: MachineRegistry;
  readonly drivers: Readonly<Record<string, DriverOptions>>;
  readonly health: StoreHealth;
  /** Tells whether a node has a session. */
  readonly isAlive: (node: string) => boolean;
  /** The store has stored a record of the shard. */
  readonly onStored: (shard: HomeShard) => void;
  /** The node does not know whether the store holds a write of the shard. */
  readonly onDoubt: (shard: HomeShard) => void;
}

/** The parts of a node that keep actors, step them, perform their effects, and report their changes. */
export interface Actors {
  readonly host: Host;
  readonly dispatcher: Dispatcher;
  readonly observer: AgentsObserver;
  readonly outbox: Outbox;
  readonly held: HeldBatches;
  readonly replies: Replies;
  readonly listeners: Listeners;
}

export function createActors(context: NodeContext, parts: ActorsParts): Actors {
  const replies = new Replies(context, (state) => dispatcher.waitingFor(state));
  const listeners = new Listeners(context, replies);
  const stored = (actor: LiveActor, ended: boolean): void => {
    listeners.stored(actor, ended);
    parts.onStored(actor.shard);
  };
  const dropped = (actor: LiveActor): void => listeners.dropped(actor, moved(actor.shard));
  const host: Host = new Host({
    context,
    machines: parts.machines,
    health: parts.health,
    behaviourOf: ({ engine }) => (engine === taskMachine.engine ? dispatcher : instances),
    onDoubt: parts.onDoubt,
    onEmbeddedEnded: (actor, key, ended) => instances.taskEnded(actor, key, ended),
  });
  const held = new HeldBatches(context, host, parts.isAlive);
  const outbox = new Outbox(context, {
    undeliverable: (actor, tell, error) => instances.undeliverable(actor, tell, error),
    taken: (actor, { seq }) => host.forgetTell(actor, seq),
    spent: (actor) => host.commit(actor, () => undefined),
    empty: (actor) => host.release(actor),
    broken: (actor, error) => host.setAside(actor, error),
  });
  const dispatcher: Dispatcher = new Dispatcher(context, host, parts.drivers, {
    stored: (actor, ended) => {
      stored(actor, ended);
      if (actor.writing.stored === 1) held.stored(actor);
      if (ended) outbox.post(actor);
    },
    dropped: (actor) => {
      outbox.forget(actor);
      dropped(actor);
    },
    lingers: (actor) => outbox.holds(actor),
    untold: (actor) => outbox.post(actor),
    held: (actor) => held.restored(actor),
  });
  const instances: InstanceBehaviour = new InstanceBehaviour(context, host, dispatcher, outbox, { stored, dropped });
  const observer = new AgentsObserver(context, dispatcher, host, host.patience);
  return { host, dispatcher, observer, outbox, held, replies, listeners };
}
