import { ConflictError, InvalidError } from "@ergon/core";
import {
  H,
  isActorId,
  isMachineState,
  taskOf,
  type MachineRecordState,
  type MachineRegistry,
  type StartSpec,
  type TaskSpec,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Reading } from "../shard/hosting.ts";
import { statusText } from "./describe.ts";
import { readStored } from "./read-stored.ts";
import { notFound } from "./refusals.ts";

/** The task or the instance that a `retry` starts. */
export type Repetition =
  | { readonly kind: "task"; readonly id: string; readonly spec: TaskSpec }
  | { readonly kind: "instance"; readonly id: string; readonly spec: StartSpec };

/** Makes new tasks and instances from those that failed or were cancelled. */
export class Repeats {
  readonly #context: NodeContext;
  readonly #host: Reading;
  readonly #machines: MachineRegistry;

  constructor(context: NodeContext, host: Reading, machines: MachineRegistry) {
    this.#context = context;
    this.#host = host;
    this.#machines = machines;
  }

  /** Repeats a task or an instance under a new id. Throws `ConflictError` unless it failed or was cancelled. */
  async of(shard: HostedShard, id: string, newId: string | undefined): Promise<Repetition> {
    const live = shard.actors.get(id);
    const state =
      live === undefined ? await readStored(this.#context, this.#machines, shard, id) : this.#host.committed(live);
    if (state === undefined) throw notFound(id);
    const status = statusText(state);
    if (status !== "failed" && status !== "cancelled")
      throw new ConflictError("TASK_NOT_FAILED", `${id} is ${status}; only a failed or cancelled task can be retried`);
    if (isMachineState(state)) return { kind: "instance", ...instanceAgain(state, newId) };
    const task = taskOf(state);
    const spec: { -readonly [K in keyof TaskSpec]: TaskSpec[K] } = {
      id: newId ?? nextId(id),
      driver: task.driver,
      payload: task.payload,
      origin: id,
    };
    if (task.contentType !== undefined) spec.contentType = task.contentType;
    if (task.correlationId !== undefined) spec.correlationId = task.correlationId;
    if (task.resource !== undefined) spec.resource = task.resource;
    if (task.arguments !== undefined) spec.arguments = task.arguments;
    if (task.tags !== undefined) spec.tags = task.tags;
    if (task.options !== undefined) spec.options = task.options;
    return { kind: "task", id: checkedId(spec.id), spec };
  }
}

/** Makes the start of an instance that continues from the point at which this one stopped, if its machine defines how. */
function instanceAgain(state: MachineRecordState, newId: string | undefined): { id: string; spec: StartSpec } {
  const { machine, meta } = state;
  const { id, correlationId, tags, retentionMs } = meta;
  if (machine.again === undefined)
    throw new ConflictError(
      "TASK_NOT_FAILED",
      `${id} is an instance of ${machine.name}; only tasks and plans can be retried`,
    );
  const { name, version } = machine;
  const input = machine.again(state);
  const spec: StartSpec = { machine: name, version, input, correlationId, tags, retentionMs, origin: id };
  return { id: checkedId(newId ?? nextId(id)), spec };
}

function checkedId(id: string): string {
  if (isActorId(id)) return id;
  throw new InvalidError("INVALID_ID", `id: "${id}" is not an id; name the new one with ${H.id}`);
}

function nextId(id: string): string {
  const series = /^(.*)-r(\d+)$/.exec(id);
  return series === null ? `${id}-r2` : `${series[1] ?? ""}-r${Number(series[2]) + 1}`;
}
