import type { ActorState, Machine, MachineRegistry } from "@ergon/core";

import type { NodeContext } from "../node-context.ts";
import type { HomeShard, LiveActor } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import type { StoreHealth } from "./store-health.ts";

export interface HostOptions {
  readonly context: NodeContext;
  readonly machines: MachineRegistry;
  readonly health: StoreHealth;
  readonly behaviourOf: (machine: Machine) => Behaviour;
  /** A write of the shard may or may not be stored, or the server refused a fence: the shard must be taken again. */
  readonly onDoubt: (shard: HomeShard) => void;
  /** A task embedded in the actor's record has ended: the actor is told, in the same write. */
  readonly onEmbeddedEnded: (actor: LiveActor, key: number, ended: ActorState) => void;
}
