import type { ActorLogic, EventObject, NonReducibleUnknown, Snapshot } from "xstate";

import { readable, toPlain } from "../base/plain.ts";
import type { TaskRequest } from "../wire/submit.ts";
import type { Ending, StoredEvent } from "./command.ts";
import { DURABLE } from "./inner-actor.ts";
import { startMachine, startTask } from "./start.ts";
import { ActorTree } from "./tree.ts";

/** A machine's knowledge about its task or its durable child. */
export interface DurableSnapshot<TOutput> {
  readonly status: "active" | "done" | "error" | "stopped";
  readonly output: TOutput | undefined;
  readonly error: unknown;
  readonly input: unknown;
  /** The engine's number for it. */
  readonly key?: number;
  /** For a followed durable child (`onSnapshot`): the state value and context of its last message. */
  readonly value?: unknown;
  readonly context?: unknown;
}

/** The options of a task that a machine invokes: those of a submit, but its id. */
export type DriverRequest = Omit<TaskRequest, "id" | "driver">;

export interface DriverLogicOptions<TInput> {
  /**
   * The task's options, or what makes them of the input. Without a `payload` in them the input is the payload: bytes as they are, texts as text,
   * everything else as JSON.
   */
  readonly task?: DriverRequest | ((input: TInput) => DriverRequest);
  /**
   * Run the task as an actor with an id of its own, listed by itself and kept for its own retention, instead of embedded in the record of its
   * machine (which costs no write of its own). Default: false.
   */
  readonly standalone?: boolean;
}

export type DriverLogic<TInput, TOutput> = ActorLogic<
  Snapshot<TOutput> & { readonly input?: unknown },
  EventObject,
  TInput & NonReducibleUnknown
>;

/**
 * A durable task as an invoked actor: `invoke: { src: driver("payments"), input, onDone, onError }`. Its output is the task's response: JSON and
 * MessagePack as values, text as a text, everything else as bytes. Its failure is the error, with `code`, `message` and `retryable`, once the
 * task's retries are used up. Leaving the state cancels it.
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
  /** The child's id; derived from its parent's when absent. */
  readonly id?: string | ((input: TInput) => string);
  /** The version to start; the newest that is registered when absent. */
  readonly version?: string;
  /** How long the child's record stays readable after its end. Default 72 h. */
  readonly retentionMs?: number;
}

/**
 * A durable child: an instance of another registered machine, with an id and a record of its own, on whichever node hosts its shard. `sendTo` it,
 * `sendParent` from it; each event arrives once. Leaving the state cancels it.
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

/** Leaving its state stops it; it gets what it is sent. */
export const passOn: Answers = {
  stopped: (tree, key) => tree.ask({ type: "stop", key, reason: "its state was left" }),
  sent: (tree, key, event) => tree.ask({ type: "send", key, event }),
};

interface Scope {
  readonly self: { readonly _syncSnapshot?: boolean };
  readonly system: unknown;
}

/** Logic whose actors only stand for something durable: `ask` asks for it at their start, and answers the number under which it is known. */
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
      // It is in the task or in the child now.
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
