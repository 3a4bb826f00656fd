import {
  ConflictError,
  isErgonError,
  migrate,
  taskMachine,
  type Machine,
  type MachineRegistry,
  type RecordFields,
  type Surroundings,
} from "@ergon/core";

import type { NodeContext } from "../node-context.ts";
import type { ActorRecords } from "./actor-records.ts";
import type { LiveActor } from "./actor.ts";
import type { Host } from "./host.ts";
import type { Settled } from "./writing.ts";

/** Moves instances to other versions of their machines: where a migration leads there, and never half. */
export class Migrations {
  readonly #context: NodeContext;
  readonly #machines: MachineRegistry;
  readonly #host: Host;
  readonly #records: ActorRecords;
  readonly #surroundings: (actor: LiveActor) => Surroundings;

  constructor(
    { context, machines }: { readonly context: NodeContext; readonly machines: MachineRegistry },
    host: Host,
    records: ActorRecords,
    surroundings: (actor: LiveActor) => Surroundings,
  ) {
    this.#context = context;
    this.#machines = machines;
    this.#host = host;
    this.#records = records;
    this.#surroundings = surroundings;
  }

  /**
   * Moves an instance to another version of its machine, and stores that. Throws `ConflictError` (`MIGRATION_FAILED`) when it cannot be moved:
   * then it is as it was.
   */
  migrate(actor: LiveActor, to: Machine, settled: Settled = ignore): void {
    const state = this.#host.wake(actor);
    const { name, version, engine } = actor.machine;
    const fields = { ...engine.fields(state), machine: name, version, timers: state.timers } as unknown as RecordFields;
    const turn = migrate(fields, to, this.#context.clock.now(), this.#surroundings(actor));
    if (!this.#records.fitsAs(actor, to, turn.state)) {
      to.engine.close(turn.state);
      throw new ConflictError(
        "MIGRATION_FAILED",
        `from ${name}@${version} to ${to.version}: its record would be too large`,
      );
    }
    this.#host.replace(actor, to, turn, settled);
  }

  /** Moves an instance to a newer version of its machine that takes it over. One that cannot be moved stays, which is said once. */
  upgrade(actor: LiveActor): void {
    const { machine, shard, id } = actor;
    if (machine === taskMachine) return;
    const to = actor.stays ? undefined : this.#machines.upgradeOf(machine.name, machine.version);
    if (to === undefined || this.#host.wake(actor).snapshot.status !== "active") return;
    try {
      this.migrate(actor, to);
    } catch (error) {
      if (!isErgonError(error)) throw error;
      actor.stays = true;
      this.#context.logger.warn({ shard: shard.number, id, reason: error.message }, "an instance stays on its version");
    }
  }
}

const ignore: Settled = () => undefined;
