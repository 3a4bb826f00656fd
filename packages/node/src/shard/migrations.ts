import { ConflictError, isErgonError, migrate, type Machine } from "@ergon/core";
import { fieldsOf, taskMachine, type MachineRegistry, type Surroundings } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { ActorRecords } from "./actor-records.ts";
import type { LiveActor } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Stepper } from "./stepper.ts";

export interface MigrationsParts {
  readonly context: NodeContext;
  readonly machines: MachineRegistry;
  readonly records: ActorRecords;
  readonly stepper: Stepper;
  readonly behaviourOf: (actor: LiveActor) => Behaviour;
  readonly surroundings: (actor: LiveActor) => Surroundings;
  /** Stores the present state of the actor. */
  readonly store: (actor: LiveActor) => void;
}

/** Moves instances to other versions of their machines, if a migration leads there. A move happens as a whole or not at all. */
export class Migrations {
  readonly #parts: MigrationsParts;

  constructor(parts: MigrationsParts) {
    this.#parts = parts;
  }

  /**
   * Moves an instance to another version of its machine, and stores the result. Throws `ConflictError` (`MIGRATION_FAILED`) if that is not possible, and
   * leaves the instance as it was.
   */
  migrate(actor: LiveActor, to: Machine): void {
    const { context, records, stepper, behaviourOf, surroundings, store } = this.#parts;
    const state = stepper.wake(actor);
    const { name, version } = actor.machine;
    const turn = migrate(fieldsOf(actor.machine, state), to, context.clock.now(), surroundings(actor));
    if (!records.fitsAs(actor, to, turn.state)) {
      to.engine.close(turn.state);
      throw new ConflictError(
        "MIGRATION_FAILED",
        `from ${name}@${version} to ${to.version}: its record would be too large`,
      );
    }
    stepper.close(actor);
    // Its shard counts the machines that its actors need.
    actor.shard.remove(actor);
    actor.machine = to;
    actor.shard.add(actor);
    stepper.apply(actor, turn);
    behaviourOf(actor).rolledBack(actor);
    store(actor);
  }

  /** Moves an instance to a newer version of its machine that takes it over. If that fails, the instance keeps its version, and the node logs so once. */
  upgrade(actor: LiveActor): void {
    const { machine, shard, id } = actor;
    if (machine === taskMachine) return;
    const { context, machines, stepper } = this.#parts;
    const to = actor.stays ? undefined : machines.upgradeOf(machine.name, machine.version);
    if (to === undefined || stepper.wake(actor).snapshot.status !== "active") return;
    try {
      this.migrate(actor, to);
    } catch (error) {
      if (!isErgonError(error)) throw error;
      actor.stays = true;
      context.logger.warn(
        { shard: shard.number, id, reason: error.message },
        "an instance could not be migrated; it stays on its version",
      );
    }
  }
}
