import type { TaskStatus } from "../task/status.ts";
import type { TaskRequest } from "./submit.ts";

/** Body of `batch`. All tasks are admitted, or none (B-4). */
export interface BatchRequest {
  readonly tasks: readonly TaskRequest[];
  /** Shared by all tasks that name none of their own; made up when absent (B-2). */
  readonly correlationId?: string;
  /** Refuse the batch when no agent announces one of its drivers, naming each (B-4, B-5). Absent, such tasks wait for an agent. */
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
  /** The name of the NATS server that it is connected to. */
  readonly server?: string;
  readonly shards: number;
  /** Live actors in its shards, and attempts in flight. Absent when the node did not answer. */
  readonly live?: number;
  readonly inFlight?: number;
  /** Records set aside since they cannot be read (B-21), those that wait for a machine included. */
  readonly unreadable?: number;
  /** A few of these that wait for no machine, and why they cannot be read. */
  readonly setAside?: readonly { readonly id: string; readonly reason: string }[];
  /** The unreadable records that wait for each machine that the node does not know, as `name@version`. */
  readonly waiting?: Readonly<Record<string, number>>;
  /** The subjects that it was told to send drivers' work to, by driver. */
  readonly drivers?: Readonly<Record<string, string>>;
  /** Subjects of drivers that its NATS user may not publish to: their tasks wait. */
  readonly refused?: readonly string[];
  /** A bucket that takes no writes of the node, why, and since when (ISO 8601); absent: all do, as far as the node knows. */
  readonly store?:
    | { readonly bucket: number; readonly code: string; readonly reason: string; readonly since: string }
    | undefined;
  /** How many of its shards it cannot serve at the moment, and why the last of them cannot be. */
  readonly unserved?: { readonly shards: number; readonly reason: string } | undefined;
  /** The machines that it knows, as `name@version`. */
  readonly machines: readonly string[];
  /** Versions that it does not know, but whose instances it takes over by a migration. */
  readonly migratable?: readonly string[];
}

export interface AgentView {
  readonly id: string;
  /** The agent's incarnation: a restarted agent with the same id has another. Absent if the agent does not send it. */
  readonly incarnation?: string;
  readonly drivers: readonly { readonly name: string; readonly concurrency: number }[];
  readonly state: "here" | "draining" | "gone";
  readonly running: number;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  /** When this life of it began, by its own clock, ISO 8601. Absent where it does not say. */
  readonly startedAt?: string;
  /** Another agent that lived under the same id at the same time, within the last ten minutes. */
  readonly twin?: { readonly host: string; readonly pid: number };
}

export interface ShardView {
  readonly shard: number;
  readonly bucket: number;
  readonly node?: string;
  readonly fence: number;
  /** The machines of its instances that no living node knows, as `name@version`: these instances wait for one that does. */
  readonly waitsFor?: readonly string[];
}
