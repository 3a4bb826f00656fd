import { ConflictError, InvalidError, messageOf, type Machine } from "@ergon/core";
import {
  MSGPACK_TYPE,
  decodeBody,
  encodeBody,
  fingerprintOf,
  fromPlain,
  isMachineState,
  sameValue,
  type ActorState,
  type Asking,
  type MachineInput,
  type MachineRecordState,
  type MachineRegistry,
  type ParentLink,
  type StartSpec,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Starting } from "../shard/hosting.ts";
import type { Listeners } from "./listeners.ts";
import { refusedWith, type Outcome } from "./outcome.ts";
import { PendingReads } from "./pending-reads.ts";
import { readStored } from "./read-stored.ts";
import { isLeaving, moved, refused, unreadableError } from "./refusals.ts";
import type { UnknownMachines } from "./unknown-machines.ts";
import { requireTarget } from "./wait-target.ts";

export interface InstanceStartsParts {
  readonly host: Starting;
  readonly machines: MachineRegistry;
  readonly unknown: UnknownMachines;
  readonly listeners: Listeners;
}

/** Starts instances in the shards that this node serves, and finds instances that were started before under the same id. */
export class InstanceStarts {
  readonly #context: NodeContext;
  readonly #parts: InstanceStartsParts;
  readonly #reads = new PendingReads();

  constructor(context: NodeContext, parts: InstanceStartsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Answers a start from a client, or from another node on its behalf. `fresh` says that nobody else has the id. */
  serve(shard: HostedShard, id: string, spec: StartSpec, asking: Asking, fresh: boolean): void {
    const machine = this.#machineOf(spec);
    if (machine !== undefined) requireTarget(asking.until, machine);
    this.start(shard, id, spec, fresh, (outcome) => this.#parts.listeners.answerOutcome(asking, shard.number, outcome));
  }

  /** Starts an instance or finds it. If another machine or another input has the id, there is a conflict. `fresh` says that nobody else has the id. */
  start(shard: HostedShard, id: string, spec: StartSpec, fresh: boolean, done: (outcome: Outcome) => void): void {
    const live = shard.actors.get(id);
    if (live !== undefined) return this.#meet(live, spec, done);
    const aside = unreadableError(shard, id);
    if (aside !== undefined) return done(refusedWith(aside));
    if (fresh) return this.#create(shard, id, spec, done);
    void this.#reads.run(
      id,
      () => this.#createUnlessStored(shard, id, spec, done),
      () => this.start(shard, id, spec, false, done),
    );
  }

  #meet(actor: LiveActor, spec: StartSpec, done: (outcome: Outcome) => void): void {
    this.#parts.host.whenStored(actor, (refusal) => {
      if (refusal !== undefined) return done(refusedWith(refused(refusal)));
      const state = this.#parts.host.committed(actor);
      done(state === undefined ? refusedWith(moved(actor.shard)) : existing(actor, state, spec));
    });
  }

  async #createUnlessStored(
    shard: HostedShard,
    id: string,
    spec: StartSpec,
    done: (outcome: Outcome) => void,
  ): Promise<void> {
    let state: ActorState | undefined;
    try {
      state = await readStored(this.#context, this.#parts.machines, shard, id);
    } catch (error) {
      return done(refusedWith(error));
    }
    if (isLeaving(shard)) done(refusedWith(moved(shard)));
    else if (state !== undefined) done(existing(undefined, state, spec));
    else this.#create(shard, id, spec, done);
  }

  /** Returns the machine of a start, or `undefined` if this node does not know it. */
  #machineOf({ machine: name, version }: StartSpec): Machine | undefined {
    if (version === undefined)
      return this.#parts.machines.startable().includes(name) ? this.#parts.machines.newest(name) : undefined;
    return this.#parts.machines.has(name, version) ? this.#parts.machines.get(name, version) : undefined;
  }

  #create(shard: HostedShard, id: string, spec: StartSpec, done: (outcome: Outcome) => void): void {
    const { machine: name, version, ...given } = spec;
    const { host, unknown } = this.#parts;
    const machine = this.#machineOf(spec);
    if (machine === undefined) return done(refusedWith(unknown.refuse(shard, name, version)));
    const at = this.#context.clock.now();
    try {
      machine.checkInput?.(fromPlain(given.input));
      const input: MachineInput = { ...given, at, fingerprint: fingerprintOf(name, meaningOf(machine, spec)) };
      const actor = host.create(shard, id, machine, input, at, (refusal) => {
        const state = host.committed(actor);
        if (refusal !== undefined) done(refusedWith(refused(refusal)));
        else if (state === undefined) done(refusedWith(moved(shard)));
        else done({ kind: "stored", actor, state });
      });
    } catch (error) {
      this.#context.logger.debug({ id, machine: name, reason: messageOf(error) }, "an instance could not be started");
      done(refusedWith(error));
    }
  }
}

function existing(actor: LiveActor | undefined, state: ActorState, spec: StartSpec): Outcome {
  try {
    if (isMachineState(state) && isSameStart(state, spec)) return { kind: "stored", actor, state };
  } catch (error) {
    return refusedWith(error);
  }
  const message = `the id is taken by another task or instance, or by one with another input; choose another id`;
  return refusedWith(new ConflictError("ID_CONFLICT", message));
}

/** Tells whether an instance matches the start. Throws `InvalidError` if the start has faults. */
function isSameStart(state: MachineRecordState, spec: StartSpec): boolean {
  const { machine, meta } = state;
  if (machine.name !== spec.machine || !sameParent(meta.parent, spec.parent)) return false;
  const meaning = meaningOf(machine, spec);
  if (machine.inForce !== undefined) return sameValue(machine.inForce(state), meaning);
  return meta.fingerprint === fingerprintOf(machine.name, meaning);
}

function meaningOf({ meaning }: Machine, { input }: StartSpec): unknown {
  return meaning === undefined ? input : meaning(input);
}

/** One parent may start several children under an id that it chose itself, and each child answers only one of its requests. */
function sameParent(a: ParentLink | undefined, b: ParentLink | undefined): boolean {
  return a?.id === b?.id && a?.key === b?.key;
}

/** A start on its way from the node that took it to the owner of its shard. */
export function encodeStart(spec: StartSpec): Uint8Array {
  return encodeBody({ spec }, MSGPACK_TYPE);
}

/** Throws `InvalidError` if the body is not a start. */
export function decodeStart(data: Uint8Array): StartSpec {
  const { spec } = decodeBody(data, MSGPACK_TYPE) as { spec?: StartSpec };
  if (typeof spec?.machine !== "string" || typeof spec.retentionMs !== "number")
    throw new InvalidError("INVALID_BODY", "the body must be the start of an instance: an object with a machine");
  return spec;
}
