import { ConflictError, InvalidError, UnavailableError } from "@ergon/core";
import {
  MSGPACK_TYPE,
  decodeBody,
  encodeBody,
  misshapen,
  taskMachine,
  taskSpecShape,
  liveStateOf,
  taskOf,
  type ActorState,
  type MachineRegistry,
  type TaskSpec,
} from "@ergon/core/engine";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Starting } from "../shard/hosting.ts";
import type { HeldBatches } from "./held-batches.ts";
import { refusedWith, type Outcome } from "./outcome.ts";
import { PendingReads } from "./pending-reads.ts";
import { readStored } from "./read-stored.ts";
import { isLeaving, moved, refused, unreadableError } from "./refusals.ts";
import { sameSpec } from "./same-spec.ts";

export interface AdmissionsParts {
  readonly host: Starting;
  readonly dispatcher: Dispatcher;
  readonly machines: MachineRegistry;
  readonly held: HeldBatches;
}

/** Stores new tasks, and finds tasks that the store already holds under the same id. */
export class Admissions {
  readonly #context: NodeContext;
  readonly #parts: AdmissionsParts;
  readonly #reads = new PendingReads();

  constructor(context: NodeContext, parts: AdmissionsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /**
   * Stores a task, or answers with the task that already has its id. `fresh` says that this node has just made the id, so nothing can be stored under it.
   * `done` hears the outcome after the write.
   */
  submit(shard: HostedShard, spec: TaskSpec, fresh: boolean, done: (outcome: Outcome) => void, batch?: string): void {
    if (isLeaving(shard)) return done(refusedWith(moved(shard)));
    if (batch !== undefined && this.#parts.held.isRefused(batch)) return done(refusedWith(gaveWay()));
    const live = shard.actors.get(spec.id);
    if (live !== undefined) return this.#meet(shard, live, spec, done, batch);
    const aside = unreadableError(shard, spec.id);
    if (aside !== undefined) return done(refusedWith(aside));
    if (fresh) return this.#create(shard, spec, done, batch);
    void this.#reads.run(
      spec.id,
      () => this.#createUnlessStored(shard, spec, done, batch),
      () => this.submit(shard, spec, false, done, batch),
    );
  }

  async #createUnlessStored(
    shard: HostedShard,
    spec: TaskSpec,
    done: (outcome: Outcome) => void,
    batch: string | undefined,
  ): Promise<void> {
    let state: ActorState | undefined;
    try {
      state = await readStored(this.#context, this.#parts.machines, shard, spec.id);
    } catch (error) {
      return done(refusedWith(error));
    }
    if (isLeaving(shard)) done(refusedWith(moved(shard)));
    else if (state !== undefined) done(this.#existing(undefined, state, spec));
    else this.#create(shard, spec, done, batch);
  }

  #create(shard: HostedShard, spec: TaskSpec, done: (outcome: Outcome) => void, batch: string | undefined): void {
    const at = this.#context.clock.now();
    const agent = batch === undefined ? this.#parts.dispatcher.agentFor(spec) : undefined;
    const actor = this.#parts.host.create(
      shard,
      spec.id,
      taskMachine,
      { spec, at, chance: 0, batch, agent },
      at,
      (refusal) => {
        if (refusal !== undefined) done(refusedWith(refused(refusal)));
        else done(this.#admitted(actor));
      },
    );
  }

  /** A live task already has the id of this submit. The node answers once that task is stored, because a reply means stored (law 1). */
  #meet(
    shard: HostedShard,
    actor: LiveActor,
    spec: TaskSpec,
    done: (outcome: Outcome) => void,
    batch: string | undefined,
  ): void {
    const again = (): void => this.submit(shard, spec, false, done, batch);
    this.#parts.host.whenStored(actor, (refusal) => {
      if (refusal !== undefined) return done(refusedWith(refused(refusal)));
      if (actor.erased) return again();
      // The batch of a held task decides whether the task exists at all.
      const state = this.#parts.host.wake(actor);
      const holder = liveStateOf(state) === "held" ? taskOf(state).batch : undefined;
      if (holder !== undefined && holder !== batch) return this.#parts.held.whenDecided(actor, holder, batch, again);
      const outcome = this.#admitted(actor);
      done(outcome.kind === "refused" ? outcome : this.#existing(actor, outcome.state, spec));
    });
  }

  #admitted(actor: LiveActor): Outcome {
    const state = this.#parts.host.committed(actor);
    return state === undefined ? refusedWith(moved(actor.shard)) : { kind: "stored", actor, state };
  }

  #existing(actor: LiveActor | undefined, state: ActorState, spec: TaskSpec): Outcome {
    if (sameSpec(taskOf(state), spec)) return { kind: "stored", actor, state };
    const message = `id ${spec.id} is taken by a task with another payload or other arguments; choose another id`;
    return refusedWith(new ConflictError("ID_CONFLICT", message));
  }
}

/** An earlier batch shares a task with this one. */
function gaveWay(): Error {
  return new UnavailableError(
    "BATCH_GAVE_WAY",
    "another batch with some of the same ids is stored first; send this batch again",
    {
      retryAfterMs: 100,
    },
  );
}

/** The body of an `admit`, which brings a whole spec from one node to another. */
export function encodeAdmission(spec: TaskSpec, batch?: string): Uint8Array {
  return encodeBody({ spec, batch }, MSGPACK_TYPE);
}

/** Throws `InvalidError` if the body of an `admit` is not the spec of the task `id`. */
export function decodeAdmission(data: Uint8Array, id: string): { spec: TaskSpec; batch: string | undefined } {
  const { spec, batch } = decodeBody(data, MSGPACK_TYPE) as { spec?: TaskSpec; batch?: string };
  const fault = misshapen(taskSpecShape, spec, "spec");
  if (fault !== undefined) throw new InvalidError("INVALID_BODY", `the body is not a task's spec: ${fault}`);
  if (spec?.id !== id) throw new InvalidError("INVALID_BODY", `the body is the spec of another task, not of ${id}`);
  return { spec, batch };
}
