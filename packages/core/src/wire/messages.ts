import type { TaskStatus } from "../task/status.ts";
import type { TaskRequest } from "./submit.ts";

/** The body of `batch`. A node admits all tasks, or none (B-4). */
export interface BatchRequest {
  readonly tasks: readonly TaskRequest[];
  /** The correlation id of all tasks that name none of their own. The node makes one when it is absent (B-2). */
  readonly correlationId?: string;
  /** True refuses the batch when no agent announces one of its drivers, and names each such driver (B-4, B-5). Otherwise their tasks wait for an agent. */
  readonly requireAgents?: boolean;
}

/** One admitted task of a batch, in the order of the request (B-1). */
export interface BatchEntry {
  readonly id: string;
  readonly driver: string;
  readonly status: TaskStatus;
  readonly resource?: string;
  readonly scheduledAt: string;
}

export interface BatchReply {
  readonly correlationId: string;
  readonly tasks: readonly BatchEntry[];
}

export interface NodeView {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
  /** The name of the NATS server to which the node is connected. */
  readonly server?: string;
  readonly shards: number;
  /** The number of live actors in its shards, and of attempts in flight. Both are absent when the node did not answer. */
  readonly live?: number;
  readonly inFlight?: number;
  /** The number of records that the node has set aside because it cannot read them (B-21), including those that wait for a machine. */
  readonly unreadable?: number;
  /** Some of the records that are set aside and wait for no machine, with the reasons. */
  readonly setAside?: readonly { readonly id: string; readonly reason: string }[];
  /** The number of unreadable records that wait for each machine that the node does not know. The keys are `name@version`. */
  readonly waiting?: Readonly<Record<string, number>>;
  /** The subjects to which the node was told to send drivers' work, by driver. */
  readonly drivers?: Readonly<Record<string, string>>;
  /** The subjects of drivers to which the node's NATS user may not publish. Their tasks wait. */
  readonly refused?: readonly string[];
  /** A bucket that refuses the node's writes, with the reason and the time since then (ISO 8601). It is absent if no bucket is known to refuse them. */
  readonly store?:
    | { readonly bucket: number; readonly code: string; readonly reason: string; readonly since: string }
    | undefined;
  /** The number of its shards that the node cannot serve now, and the reason for the last of them. */
  readonly unserved?: { readonly shards: number; readonly reason: string } | undefined;
  /** The machines that the node knows, as `name@version`. */
  readonly machines: readonly string[];
  /** The versions that the node does not know, but whose instances it takes over by a migration. */
  readonly migratable?: readonly string[];
}

export interface AgentView {
  readonly id: string;
  /** The agent's incarnation. A restarted agent with the same id has another. It is absent if the agent does not send it. */
  readonly incarnation?: string;
  readonly drivers: readonly { readonly name: string; readonly concurrency: number }[];
  readonly state: "here" | "draining" | "gone";
  readonly running: number;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  /** The start of the agent's incarnation by its own clock, ISO 8601. It is absent if the agent does not send it. */
  readonly startedAt?: string;
  /** Another agent that was alive under the same id at the same time, within the last ten minutes. */
  readonly twin?: { readonly host: string; readonly pid: number };
}

export interface ShardView {
  readonly shard: number;
  readonly bucket: number;
  readonly node?: string;
  readonly fence: number;
  /** The machines of the shard's instances that no live node knows, as `name@version`. These instances wait for a node that knows them. */
  readonly waitsFor?: readonly string[];
}
