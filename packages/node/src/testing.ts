// The parts of a node, for tests that look inside. This entry point makes no promise about its exports.

export { newsOfSteps } from "./cli/commands/plan-steps.ts";
export { printTask } from "./cli/format.ts";
export { createOutput } from "./cli/output.ts";
export { AgentsTable } from "./dispatch/agents-table.ts";
export { Credits } from "./dispatch/credits.ts";
export { DriverQueue } from "./dispatch/driver-queue.ts";
export { Drivers } from "./dispatch/drivers.ts";
export { Flights } from "./dispatch/flights.ts";
export { Starter } from "./dispatch/starter.ts";
export { assign } from "./membership/assignment.ts";
export { ServerSpread, mustMove } from "./membership/server-spread.ts";
export { Guard } from "./serve/guard.ts";
export { Page, parseListRequest } from "./serve/page.ts";
export { unreadableError } from "./serve/refusals.ts";
export { Forwarder } from "./serve/forwarder.ts";
export { ShardMessages } from "./serve/shard-messages.ts";
export { WaitingMessages } from "./serve/waiting-messages.ts";
export { LiveActor } from "./shard/actor.ts";
export { CommitQueue } from "./shard/commit-queue.ts";
export { HostedShard } from "./shard/hosted-shard.ts";
export { TimerQueue, UNQUEUED } from "./shard/timer-queue.ts";
export type { Placed } from "./membership/server-spread.ts";
export type { PageItem } from "./serve/page.ts";
export type { Due } from "./shard/timer-queue.ts";
export type { Refusal } from "./shard/writing.ts";
