// The public API. Only this, ./nats and ./testing can be imported.

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
  errorFrom,
  isErgonError,
  isErrorCode,
  messageOf,
} from "./base/errors.ts";
export type { ErgonErrorOptions, ErrorCode, ErrorKind, Issue } from "./base/errors.ts";

// Time, chance, ids, logs.
export { backoffMs } from "./base/backoff.ts";
export type { Backoff } from "./base/backoff.ts";
export { MAX_TIMER_MS, createSystemClock, delay, isoTime, parseIsoTime } from "./base/clock.ts";
export type { Clock, SystemClock, TimerHandle } from "./base/clock.ts";
export { DAY, HOUR, MINUTE, SECOND, formatDuration, parseDuration } from "./base/duration.ts";
export { isMap, msgpack } from "./base/msgpack.ts";
export { fromPlain, readable, toPlain } from "./base/plain.ts";
export { sameValue } from "./base/same-value.ts";
export { createIdFactory, isActorId, isId, isTaskId, shardOf } from "./base/id.ts";
export { silentLogger } from "./base/logger.ts";
export type { Logger } from "./base/logger.ts";
export { seededRandom, systemRandom } from "./base/random.ts";
export type { Random } from "./base/random.ts";

// The engine: machines, records, steps.
export { createMachineRegistry } from "./actor/registry.ts";
export type { Machine } from "./actor/machine.ts";
export type { MachineRegistry } from "./actor/registry.ts";
export type { ParentLink } from "./actor/parent-link.ts";
export type { Migratable, Migration } from "./actor/migration.ts";
export type { Engine, Surroundings } from "./actor/machine.ts";
export { misshapen, type Shape } from "./base/shape.ts";
export { liveStateOf, taskOf } from "./task/live-state.ts";
export type { LiveTaskState } from "./task/live-state.ts";
export { taskSpecShape } from "./task/task-shape.ts";
export {
  RECORD_VERSION,
  decodeFields,
  decodeRecord,
  decodeTimers,
  embeddedFields,
  encodeRecord,
  encodeTimer,
  fieldsOf,
} from "./actor/record.ts";
export type { PersistedSnapshot, RecordFields } from "./actor/record-fields.ts";
export type { ReadableRecord, UnreadableRecord } from "./actor/record.ts";
export { compile, type CompiledMachine, type Leaf } from "./actor/compile.ts";
export type { Step } from "./actor/operations.ts";
export { begin, step } from "./actor/step.ts";
export type { ActorState, Effect, Gap, TimedEvent, Timer, Turn } from "./actor/state.ts";

// Users' machines.
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
export { isAlarm } from "./machines/alarm.ts";
export { failureOf } from "./machines/failure.ts";
export { CANCELLED_TAG, FAILED_TAG, machineEngine } from "./machines/machine-engine.ts";
export { machineLimits } from "./machines/machine-meta.ts";
export type { Answered, MachineMeta, MachineStatus } from "./machines/machine-meta.ts";
export { acceptedEvents, canTake, isIn, isMachineState, stateText, withoutTell } from "./machines/machine-state.ts";
export type { Tell } from "./machines/tell.ts";
export type { MachineRecordState, MachineState, PersistedTree } from "./machines/machine-state.ts";
export { eventMemory, hasRoomFor, hasSeen, remember } from "./machines/seen-events.ts";
export type { EventMemory } from "./machines/seen-events.ts";
export type { MachineEvent, MachineInput } from "./machines/machine-event.ts";
export type { ChildSpec, Ending, StoredEvent } from "./machines/command.ts";
export { concludeAsks, endingWhenLost, insteadOf, performAsk, prepareAsks, resumeAsks } from "./machines/asks/asks.ts";
export type { AskHost, Command } from "./machines/asks/asks.ts";

// The machines that Ergon brings.
export { PLAN, SCHEDULE, TASK, builtInNames, reservedNames, type BuiltInName } from "./base/built-in.ts";
export { builtInMachines } from "./built-in.ts";

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
export { retryOption, retryPolicyOf, taskDefaults, taskLimits, taskOption } from "./task/spec.ts";
export type { SparseTaskOptions, TaskOptions, TaskSpec } from "./task/spec.ts";
export { isTerminal, taskStatuses } from "./task/status.ts";
export type { TaskStatus, TerminalStatus } from "./task/status.ts";
export { taskMachine } from "./task/task.machine.ts";
export { endOfLife } from "./task/task-changes.ts";
export { toldTask } from "./task/told.ts";
export type {
  AbortParams,
  Decision,
  DispatchParams,
  Failure,
  HistoryEntry,
  TaskContext,
  TaskEvent,
  TaskInput,
} from "./task/task-context.ts";

// The wire.
export { LONGEST_WAIT_MS, parseAsking } from "./wire/asking.ts";
export type { Asking, WaitTarget } from "./wire/asking.ts";
export { decodeBody, decodeContent, describeContent, encodeBody, mediaType } from "./wire/codec.ts";
export type { Content } from "./wire/codec.ts";
export { decodeError, encodeError, headerText } from "./wire/error-headers.ts";
export { BYTES_TYPE, H, JSON_TYPE, MSGPACK_TYPE, PROTOCOL, TEXT_TYPE } from "./wire/headers.ts";
export type { Headers, Message } from "./wire/message.ts";
export type { AgentView, BatchEntry, BatchReply, BatchRequest, NodeView, ShardView } from "./wire/messages.ts";
export { requireHeaders } from "./wire/header-checks.ts";
export { Faults, unknownName } from "./wire/option-checks.ts";
export {
  QUEUE,
  actorVerbs,
  clusterVerbs,
  createNames,
  isName,
  requireActorId,
  requireId,
  requireName,
} from "./wire/subjects.ts";
export type { ActorVerb, ClusterVerb, Names, ShardSubject } from "./wire/subjects.ts";
export { numberFields } from "./wire/number-fields.ts";
export { parseSubmitMessage, parseTaskRequest } from "./wire/submit.ts";
export type { Submission, TaskRequest } from "./wire/submit.ts";
export { fingerprintOf, parseEvent, parseStart, parseStartMessage } from "./wire/start.ts";
export type { StartOptions, StartSpec } from "./wire/start.ts";

// The views of readers.
export { describeMachine, isInstance, summarizeMachine } from "./views/machine-view.ts";
export type { ChildView, InstanceSummary, MachineView } from "./views/machine-view.ts";
export { describeTask, statusOf, summarizeTask } from "./views/task-view.ts";
export type { HistoryView, TaskSummary, TaskView } from "./views/task-view.ts";
export { listStatuses } from "./views/list.ts";
export type { ActorSummary, ListReply, ListRequest } from "./views/list.ts";

// Ports: what the world is reached by.
export type { Bus, BusStatus, PublishOptions, RequestOptions, Subscription } from "./ports/bus.ts";
export type { LeaseStore, Session } from "./ports/lease.ts";
export type { Ports } from "./ports/ports.ts";
export type {
  ClaimResult,
  CommitResult,
  Fence,
  LoadRange,
  Ownership,
  RecordStore,
  StoredRecord,
  Watch,
  Write,
} from "./ports/store.ts";

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
