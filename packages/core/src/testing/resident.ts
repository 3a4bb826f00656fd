import type { Machine, Surroundings } from "../actor/machine.ts";
import { decodeRecord, encodeRecord } from "../actor/record.ts";
import type { MachineRegistry } from "../actor/registry.ts";
import type { ActorState } from "../actor/state.ts";
import { isMap } from "../base/msgpack.ts";
import type { AskHost } from "../machines/asks/asks.ts";
import type { StoredEvent } from "../machines/command.ts";
import type { TaskSpec } from "../task/spec.ts";

/** A task of an instance that has not ended. */
export interface AskedTask {
  readonly key: number;
  readonly spec: Omit<TaskSpec, "id">;
}

/** An actor of a {@link World}, with its state in memory, its stored record, and its tasks. */
export class Resident implements AskHost {
  readonly id: string;
  readonly machine: Machine;
  readonly publish: (event: StoredEvent) => void;
  state: ActorState | undefined;
  stored: Uint8Array | undefined;
  tasks: Map<number, AskedTask> = new Map();
  /** The numbers of embedded tasks that the instance wants to cancel. */
  toCancel: number[] = [];

  /** `publish` receives the events that the machine emits. */
  constructor(id: string, machine: Machine, publish: (event: StoredEvent) => void) {
    this.id = id;
    this.machine = machine;
    this.publish = publish;
  }

  /** Returns the state in memory. Throws when there is none. */
  get present(): ActorState {
    if (this.state === undefined) throw new Error(`${this.id} is not in memory`);
    return this.state;
  }

  get ended(): boolean {
    return this.present.snapshot.status !== "active";
  }

  embed(key: number, spec: AskedTask["spec"]): void {
    this.tasks.set(key, { key, spec });
  }

  withdraw(key: number): void {
    this.tasks.delete(key);
  }

  cancel(key: number): void {
    this.toCancel.push(key);
  }

  /** Returns the record that a write would store now. */
  encode(): Uint8Array {
    const tasks = Object.fromEntries([...this.tasks].map(([key, { spec }]) => [key, spec]));
    return encodeRecord(this.machine, this.present, undefined, { tasks });
  }

  /** Restores the state from the record, like a node that has taken over the shard. Throws when the record does not fit the machine. */
  reload(machines: MachineRegistry, surroundings: Surroundings): void {
    if (this.stored === undefined) throw new Error(`${this.id} was never stored`);
    const record = decodeRecord(this.stored, machines, surroundings);
    if (record.kind === "unreadable") throw new Error(`the record of ${this.id} cannot be read: ${record.reason}`);
    this.state = record.state;
    this.tasks = new Map(
      Object.entries(record.tasks ?? {}).flatMap(([key, spec]) =>
        isMap(spec) ? [[Number(key), { key: Number(key), spec: spec as unknown as AskedTask["spec"] }]] : [],
      ),
    );
  }

  /** Drops the state in memory. */
  forget(): void {
    if (this.state !== undefined) this.machine.engine.close(this.state);
    this.state = undefined;
    this.tasks = new Map();
    this.toCancel = [];
  }
}
