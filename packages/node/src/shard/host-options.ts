import type { Machine } from "@ergon/core";
import type { ActorState, MachineRegistry } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HomeShard, LiveActor } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import type { StoreHealth } from "./store-health.ts";

export interface HostOptions {
  readonly context: NodeContext;
  readonly machines: MachineRegistry;
  readonly health: StoreHealth;
  readonly behaviourOf: (machine: Machine) => Behaviour;
  /** The node does not know whether a write of the shard is stored, or the server refused a fence. Take the shard again. */
  readonly onDoubt: (shard: HomeShard) => void;
  /** A task that is embedded in the actor's record has ended. The listener tells the actor within the same write. */
  readonly onEmbeddedEnded: (actor: LiveActor, key: number, ended: ActorState) => void;
}
