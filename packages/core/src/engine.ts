// The parts that nodes, agents and tools are built of: records, steps, the wire and the ports. Users of machines and of the client need none of
// them. This entry may change with every version.

// Errors, and the reactions to them.
export { errorFrom } from "./base/errors.ts";

// Time, chance, ids, logs.
export { backoffMs } from "./base/backoff.ts";
export { MAX_TIMER_MS, delay, isoTime, parseIsoTime } from "./base/clock.ts";
export { isMap, msgpack } from "./base/msgpack.ts";
export { fromPlain, readable, toPlain } from "./base/plain.ts";
export { sameValue } from "./base/same-value.ts";
export { createIdFactory, isActorId, isId, isTaskId, shardOf } from "./base/id.ts";
export { seededRandom, systemRandom } from "./base/random.ts";

// The engine: machines, records, steps.
export { createMachineRegistry } from "./actor/registry.ts";
export type { MachineRegistry } from "./actor/registry.ts";
export type { ParentLink } from "./actor/parent-link.ts";
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
export { isAlarm } from "./machines/alarm.ts";
export { failureOf } from "./machines/failure.ts";
export { CANCELLED_TAG, FAILED_TAG, machineEngine } from "./machines/machine-engine.ts";
export { machineLimits } from "./machines/machine-meta.ts";
export type { Answered } from "./machines/machine-meta.ts";
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

// The task.
export { retryOption, retryPolicyOf, taskOption } from "./task/spec.ts";
export type { TaskSpec } from "./task/spec.ts";
export { taskMachine } from "./task/task.machine.ts";
export { endOfLife } from "./task/task-changes.ts";
export { toldTask } from "./task/told.ts";
export type { AbortParams, Decision, DispatchParams, TaskContext, TaskEvent, TaskInput } from "./task/task-context.ts";

// The wire.
export { LONGEST_WAIT_MS, parseAsking } from "./wire/asking.ts";
export type { Asking, WaitTarget } from "./wire/asking.ts";
export { decodeBody, decodeContent, describeContent, encodeBody, mediaType } from "./wire/codec.ts";
export type { Content } from "./wire/codec.ts";
export { decodeError, encodeError, headerText } from "./wire/error-headers.ts";
export { BYTES_TYPE, H, JSON_TYPE, MSGPACK_TYPE, PROTOCOL, TEXT_TYPE } from "./wire/headers.ts";
export { requireHeaders } from "./wire/header-checks.ts";
export { Faults, unknownName } from "./wire/option-checks.ts";
export {
  QUEUE,
  actorVerbs,
  attemptKey,
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
export type { Submission } from "./wire/submit.ts";
export { fingerprintOf, parseEvent, parseStart, parseStartMessage } from "./wire/start.ts";
export type { StartSpec } from "./wire/start.ts";

// The views of readers.
export { describeMachine, summarizeMachine } from "./views/machine-view.ts";
export { describeTask, statusOf, summarizeTask } from "./views/task-view.ts";
export { listStatuses } from "./views/list.ts";

// The ports of nodes.
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
