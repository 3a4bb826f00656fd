// The API of users: errors, machines, plans, schedules, tasks and the client. ./engine has the parts that nodes, agents and tools are built of.

// Errors, and the reactions to them.
export {
  ConflictError,
  ErgonError,
  InvalidError,
  NotFoundError,
  RetryableError,
  StaleError,
  TerminalError,
  UnavailableError,
  errorCodes,
  isErgonError,
  isErrorCode,
  messageOf,
} from "./base/errors.ts";
export type { ErgonErrorOptions, ErrorCode, ErrorKind, Issue } from "./base/errors.ts";

// Time, chance, ids, logs.
export type { Backoff } from "./base/backoff.ts";
export { createSystemClock } from "./base/clock.ts";
export type { Clock, SystemClock, TimerHandle } from "./base/clock.ts";
export { DAY, HOUR, MINUTE, SECOND, formatDuration, parseDuration } from "./base/duration.ts";
export { silentLogger } from "./base/logger.ts";
export type { Logger } from "./base/logger.ts";
export type { Random } from "./base/random.ts";

// Users' machines.
export type { Machine } from "./actor/machine.ts";
export type { Migratable, Migration } from "./actor/migration.ts";
export { checkRecord } from "./machines/check.ts";
export type { Verdict } from "./machines/check.ts";
export { migrate } from "./machines/migrate.ts";
export { defineMachine } from "./machines/define.ts";
export type { DefineOptions, MachineLogic } from "./machines/define.ts";
export { driver, machine } from "./machines/logic.ts";
export type {
  DriverLogic,
  DriverLogicOptions,
  DriverRequest,
  DurableSnapshot,
  MachineLogicOptions,
} from "./machines/logic.ts";
export type { MachineMeta, MachineStatus } from "./machines/machine-meta.ts";

// Schedules.
export { scheduleMachine } from "./schedule/schedule.machine.ts";
export type { ScheduleEvent } from "./schedule/schedule.machine.ts";
export type { Run, ScheduleContext, ScheduleCounts } from "./schedule/schedule-context.ts";
export { parseSchedule } from "./schedule/parse-schedule.ts";
export { overlapPolicies, scheduleLimits } from "./schedule/spec.ts";
export type { Overlap, RunSpec, Schedule, ScheduleSpec, When } from "./schedule/spec.ts";
export { nextRuns } from "./schedule/times.ts";
export { describeSchedule } from "./schedule/view.ts";
export type { RunView, ScheduleView } from "./schedule/view.ts";

// Plans.
export { planMachine } from "./plan/plan.machine.ts";
export { failurePolicies, plan, planLimits, planModes } from "./plan/definition.ts";
export type {
  Compensation,
  FailurePolicy,
  Known,
  MachineStep,
  PlanContinuation,
  PlanDefinition,
  PlanMode,
  PlanOptions,
  PlanStep,
  StepDefinition,
  StepStatus,
  StepTask,
  TaskStep,
} from "./plan/definition.ts";
export { describePlan } from "./plan/view.ts";
export type { PlanFields, PlanView, StepView } from "./plan/view.ts";
export type { StepCounts } from "./plan/plan-state.ts";

// The task.
export type { RetryPolicy } from "./task/retry-policy.ts";
export { taskDefaults, taskLimits } from "./task/spec.ts";
export type { SparseTaskOptions, TaskOptions } from "./task/spec.ts";
export { isTerminal, taskStatuses } from "./task/status.ts";
export type { TaskStatus, TerminalStatus } from "./task/status.ts";
export type { Failure, HistoryEntry } from "./task/task-context.ts";

// Messages.
export type { Headers, Message } from "./wire/message.ts";
export type { AgentView, BatchEntry, BatchReply, BatchRequest, NodeView, ShardView } from "./wire/messages.ts";
export type { TaskRequest } from "./wire/submit.ts";
export type { StartOptions } from "./wire/start.ts";

// The views of readers.
export { isInstance } from "./views/machine-view.ts";
export type { ChildView, InstanceSummary, MachineView } from "./views/machine-view.ts";
export type { HistoryView, TaskSummary, TaskView } from "./views/task-view.ts";
export type { ActorSummary, ListReply, ListRequest } from "./views/list.ts";

// The port that a client speaks through.
export type { Bus, BusStatus, PublishOptions, RequestOptions, Subscription } from "./ports/bus.ts";

// The client.
export { createClient } from "./client/client.ts";
export type { Client, DecisionOptions, RetryOptions, ShardMap } from "./client/api.ts";
export type { ClientOptions } from "./client/client.ts";
export type { AcceptedEvents, Instance, InstanceEvent, SendOptions, Until } from "./client/api.ts";
export type { TaskHandle } from "./client/api.ts";
export type { TaskResponse } from "./client/task-reply.ts";
export type { WaitOptions } from "./client/wait.ts";
export type { WatchOptions } from "./client/watch.ts";
export { connect } from "./connect.ts";
export type { ConnectOptions } from "./connect.ts";
export type { NatsOptions } from "./nats/options.ts";
