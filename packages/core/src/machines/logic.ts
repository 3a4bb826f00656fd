import type { ActorLogic, EventObject, NonReducibleUnknown, Snapshot } from "xstate";

import { readable, toPlain } from "../base/plain.ts";
import type { TaskRequest } from "../wire/submit.ts";
import type { Ending, StoredEvent } from "./command.ts";
import { DURABLE } from "./inner-actor.ts";
import { startMachine, startTask } from "./start.ts";
import { ActorTree } from "./tree.ts";

/** The knowledge of a machine about its task or its durable child. */
export interface DurableSnapshot<TOutput> {
  readonly status: "active" | "done" | "error" | "stopped";
  readonly output: TOutput | undefined;
  readonly error: unknown;
  readonly input: unknown;
  /** The engine's number for the task or the child. */
  readonly key?: number;
  /** The state value and the context of the last message of a durable child that the machine follows (`onSnapshot`). */
  readonly value?: unknown;
  readonly context?: unknown;
}

/** The options of a task that a machine invokes. They are those of a submit without its id. */
export type DriverRequest = Omit<TaskRequest, "id" | "driver">;

export interface DriverLogicOptions<TInput> {
  /**
   * The task's options, or a function that makes them from the input. Without a `payload` the input is the payload; bytes are sent unchanged, a text
   * as text, and any other value as JSON.
   */
  readonly task?: DriverRequest | ((input: TInput) => DriverRequest);
  /**
   * True runs the task as an actor that has its own id, is listed by itself, and is kept for its own retention. False embeds the task in the record
   * of its machine, which costs no separate write. @defaultValue false
   */
  readonly standalone?: boolean;
}

export type DriverLogic<TInput, TOutput> = ActorLogic<
  Snapshot<TOutput> & { readonly input?: unknown },
  EventObject,
  TInput & NonReducibleUnknown
>;

/**
 * A durable task as an invoked actor: `invoke: { src: driver("payments"), input, onDone, onError }`. Its output is the task's response; JSON and
 * MessagePack arrive as values, a text as text, and everything else as bytes. Its failure is the error with `code`, `message` and `retryable`, after
 * the task has used up its retries. Leaving the state cancels the task.
 */
export function driver<TInput = unknown, TOutput = unknown>(
  name: string,
  options: DriverLogicOptions<TInput> = {},
): DriverLogic<TInput, TOutput> {
  const what = `driver("${name}")`;
  return durable<TInput, TOutput>(what, (tree, self, input, sync) => {
    const request = typeof options.task === "function" ? options.task(input as TInput) : (options.task ?? {});
    const whole = { ...payloadOf(input, request), ...request, driver: name };
    return startTask(tree, self, whole, { standalone: options.standalone === true, sync });
  });
}

export interface MachineLogicOptions<TInput> {
  /** The child's id. @defaultValue derived from its parent's id */
  readonly id?: string | ((input: TInput) => string);
  /** The version to start. @defaultValue the newest that is registered */
  readonly version?: string;
  /** The time for which the child's record stays readable after its end, in milliseconds. @defaultValue 72 h */
  readonly retentionMs?: number;
}

/**
 * A durable child is an instance of another registered machine. It has its own id and record, and it runs on the node that hosts its shard. The
 * machine sends to it with `sendTo`, and it answers with `sendParent`; each event arrives once. Leaving the state cancels the child.
 */
export function machine<TInput = unknown, TOutput = unknown>(
  name: string,
  options: MachineLogicOptions<TInput> = {},
): DriverLogic<TInput, TOutput> {
  return durable<TInput, TOutput>(`machine("${name}")`, (tree, self, input, sync) => {
    const id = typeof options.id === "function" ? options.id(input as TInput) : options.id;
    const { version, retentionMs } = options;
    return startMachine(tree, self, { id, machine: name, version, input, retentionMs, sync });
  });
}

type Ask = (tree: ActorTree, self: unknown, input: unknown, sync: boolean) => number;

/** The reactions of a durable actor to events, and to its stop. */
export interface Answers {
  stopped(tree: ActorTree, key: number): void;
  sent(tree: ActorTree, key: number, event: StoredEvent): void;
}

/** Passes on each event, and stops the work when its actor stops. */
export const passOn: Answers = {
  stopped: (tree, key) => tree.ask({ type: "stop", key, reason: "its state was left" }),
  sent: (tree, key, event) => tree.ask({ type: "send", key, event }),
};

interface Scope {
  readonly self: { readonly _syncSnapshot?: boolean };
  readonly system: unknown;
}

/**
 * Makes logic whose actors only stand for a task or a durable child. `ask` makes the request at the start of an actor, and returns the number under
 * which the engine knows it.
 */
export function durable<TInput, TOutput>(
  what: string,
  ask: Ask,
  answers: Answers = passOn,
): DriverLogic<TInput, TOutput> {
  type State = { -readonly [K in keyof DurableSnapshot<TOutput>]: DurableSnapshot<TOutput>[K] };
  const logic = {
    [DURABLE]: true,
    getInitialSnapshot: (_: unknown, input: unknown): State => ({
      status: "active",
      output: undefined,
      error: undefined,
      input,
    }),
    start: (state: State, scope: Scope): void => {
      const tree = ActorTree.of(scope, what);
      if (state.key !== undefined) return tree.adopt(scope.self, state.key);
      state.key = ask(tree, scope.self, state.input, scope.self._syncSnapshot === true);
      // The task or the child holds the input now.
      state.input = undefined;
    },
    transition: (state: State, event: EventObject, scope: Scope): State => {
      if (state.status !== "active") return state;
      const tree = ActorTree.of(scope, what);
      switch (event.type) {
        case "ergon.ended":
          return { ...state, ...endOf<TOutput>((event as unknown as { ending: Ending }).ending) };
        case "ergon.news":
          return { ...state, ...(event as unknown as { fields: object }).fields };
        case "xstate.stop":
          if (state.key !== undefined) answers.stopped(tree, state.key);
          return { ...state, status: "stopped" };
        default:
          if (state.key !== undefined) answers.sent(tree, state.key, toPlain(event, "event") as StoredEvent);
          return state;
      }
    },
    getPersistedSnapshot: (state: State): State => state,
    restoreSnapshot: (state: State): State => ({ ...state }),
  };
  return logic as unknown as DriverLogic<TInput, TOutput>;
}

function endOf<TOutput>(ending: Ending): Partial<DurableSnapshot<TOutput>> {
  return ending.kind === "done"
    ? { status: "done", output: ending.output as TOutput }
    : { status: "error", error: ending.error };
}

function payloadOf(input: unknown, request: DriverRequest): object {
  if (input === undefined || "payload" in request || "text" in request || "base64" in request) return {};
  if (typeof input === "string") return { text: input };
  return { payload: input instanceof Uint8Array ? input : readable(toPlain(input, "input")) };
}
