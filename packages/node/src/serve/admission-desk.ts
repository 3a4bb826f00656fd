import {
  ConflictError,
  InvalidError,
  MSGPACK_TYPE,
  UnavailableError,
  decodeBody,
  encodeBody,
  misshapen,
  taskMachine,
  taskSpecShape,
  type ActorState,
  type MachineRegistry,
  type TaskSpec,
} from "@ergon/core";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { liveStateOf, taskOf } from "../dispatch/task-state.ts";
import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Starting } from "../shard/hosting.ts";
import type { HeldBatches } from "./held-batches.ts";
import { Lookups } from "./lookups.ts";
import { isLeaving, moved, refused, setAside } from "./refusals.ts";
import { sameSpec } from "./same-spec.ts";
import { readStored } from "./stored-tasks.ts";

/** What came of a submit. `actor` is absent when the task had ended before. */
export type Admission =
  | { readonly kind: "admitted"; readonly actor: LiveActor | undefined; readonly state: ActorState }
  | { readonly kind: "refused"; readonly error: unknown };

/** Stores new tasks, and finds those that were stored before under the same id. */
export class AdmissionDesk {
  readonly #context: NodeContext;
  readonly #host: Starting;
  readonly #dispatcher: Dispatcher;
  readonly #machines: MachineRegistry;
  readonly #held: HeldBatches;
  readonly #lookups = new Lookups();

  constructor(
    context: NodeContext,
    host: Starting,
    dispatcher: Dispatcher,
    machines: MachineRegistry,
    held: HeldBatches,
  ) {
    this.#held = held;
    this.#context = context;
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.#machines = machines;
  }

  /**
   * Stores a task, or answers with the one that has its id already. `fresh`: the id was made here just now, so nothing can be stored under it.
   * `done` hears of the outcome once it is stored.
   */
  submit(shard: HostedShard, spec: TaskSpec, fresh: boolean, done: (outcome: Admission) => void, batch?: string): void {
    if (isLeaving(shard)) return done({ kind: "refused", error: moved(shard) });
    if (batch !== undefined && this.#held.isRefused(batch)) return done({ kind: "refused", error: gaveWay() });
    const live = shard.actors.get(spec.id);
    if (live !== undefined) return this.#meet(shard, live, spec, done, batch);
    const aside = setAside(shard, spec.id);
    if (aside !== undefined) return done({ kind: "refused", error: aside });
    if (fresh) return this.#create(shard, spec, done, batch);
    void this.#lookups.run(
      spec.id,
      () => this.#createUnlessStored(shard, spec, done, batch),
      () => this.submit(shard, spec, false, done, batch),
    );
  }

  async #createUnlessStored(
    shard: HostedShard,
    spec: TaskSpec,
    done: (outcome: Admission) => void,
    batch: string | undefined,
  ): Promise<void> {
    let state: ActorState | undefined;
    try {
      state = await readStored(this.#context, this.#machines, shard, spec.id);
    } catch (error) {
      return done({ kind: "refused", error });
    }
    if (isLeaving(shard)) done({ kind: "refused", error: moved(shard) });
    else if (state !== undefined) done(this.#existing(undefined, state, spec));
    else this.#create(shard, spec, done, batch);
  }

  #create(shard: HostedShard, spec: TaskSpec, done: (outcome: Admission) => void, batch: string | undefined): void {
    const at = this.#context.clock.now();
    const agent = batch === undefined ? this.#dispatcher.agentFor(spec) : undefined;
    const actor = this.#host.create(
      shard,
      spec.id,
      taskMachine,
      { spec, at, chance: 0, batch, agent },
      at,
      (refusal) => {
        if (refusal !== undefined) done({ kind: "refused", error: refused(refusal) });
        else done(this.#admitted(actor));
      },
    );
  }

  /** A submit whose id is live already: answered once that task is stored, since a reply means stored (law 1). */
  #meet(
    shard: HostedShard,
    actor: LiveActor,
    spec: TaskSpec,
    done: (outcome: Admission) => void,
    batch: string | undefined,
  ): void {
    const again = (): void => this.submit(shard, spec, false, done, batch);
    this.#host.whenStored(actor, (refusal) => {
      if (refusal !== undefined) return done({ kind: "refused", error: refused(refusal) });
      if (actor.erased) return again();
      // Whether a held task is there at all is for its own batch to decide.
      const state = this.#host.wake(actor);
      const holder = liveStateOf(state) === "held" ? taskOf(state).batch : undefined;
      if (holder !== undefined && holder !== batch) return this.#held.whenDecided(actor, holder, batch, again);
      const admission = this.#admitted(actor);
      done(admission.kind === "refused" ? admission : this.#existing(actor, admission.state, spec));
    });
  }

  #admitted(actor: LiveActor): Admission {
    const state = this.#host.committed(actor);
    return state === undefined ? { kind: "refused", error: moved(actor.shard) } : { kind: "admitted", actor, state };
  }

  #existing(actor: LiveActor | undefined, state: ActorState, spec: TaskSpec): Admission {
    if (sameSpec(taskOf(state), spec)) return { kind: "admitted", actor, state };
    const message = `id ${spec.id} is taken by a task with another payload or other arguments; choose another id`;
    return { kind: "refused", error: new ConflictError("ID_CONFLICT", message) };
  }
}

/** A batch with a task in common came before this one. */
function gaveWay(): Error {
  return new UnavailableError(
    "BATCH_GAVE_WAY",
    "another batch with some of the same ids comes first; send this one again",
    {
      retryAfterMs: 100,
    },
  );
}

/** The body of an `admit`: a whole spec, from one node to another. */
export function encodeAdmission(spec: TaskSpec, batch?: string): Uint8Array {
  return encodeBody({ spec, batch }, MSGPACK_TYPE);
}

/** Throws `InvalidError` when the body of an `admit` is not the spec of the task `id`. */
export function decodeAdmission(data: Uint8Array, id: string): { spec: TaskSpec; batch: string | undefined } {
  const { spec, batch } = decodeBody(data, MSGPACK_TYPE) as { spec?: TaskSpec; batch?: string };
  const fault = misshapen(taskSpecShape, spec, "spec");
  if (fault !== undefined) throw new InvalidError("INVALID_BODY", `the body is not a task's spec: ${fault}`);
  if (spec?.id !== id) throw new InvalidError("INVALID_BODY", `the body is the spec of another task than ${id}`);
  return { spec, batch };
}
