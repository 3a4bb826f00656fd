import type { AnyStateMachine, EventObject } from "xstate";

import type { Action } from "./chart.ts";

/** The data of one macrostep. It reads and replaces `context`, and collects the machine's requests. */
export interface Step {
  context: object;
  act(type: string, params: unknown): void;
  /** Sets a timer. It replaces an earlier one with the same id. */
  setTimer(id: string, delayMs: number, event: EventObject): void;
  clearTimer(id: string): void;
}

export type Guard = (context: object, event: EventObject) => boolean;

/** One action of a machine. `queue` receives the events that the action raises without a delay. */
export type Operation = (event: EventObject, step: Step, queue: EventObject[]) => void;

type Call = (args: object, params: unknown) => unknown;
type Params = (args: object) => unknown;

/** The fields of XState's own actions, which are functions. */
interface BuiltIn {
  readonly type: string;
  readonly assignment?: Call | Readonly<Record<string, unknown>>;
  readonly event?: EventObject | Call;
  readonly id?: string;
  readonly delay?: string | number | Call;
  readonly sendId?: string | Call;
}

/** Binds a guard to its implementation. Throws when the guard has none, or when it reads more than the context and the event. */
export function bindGuard(logic: AnyStateMachine, guard: unknown, params: Params = () => undefined): Guard {
  if (typeof guard === "function") {
    if ("check" in guard) throw new Error("a guard of XState's own (and, or, not, stateIn) cannot be compiled");
    const call = guard as Call;
    return (context, event) => Boolean(call({ context, event }, params({ context, event })));
  }
  const name = typeof guard === "string" ? guard : (guard as { readonly type: string }).type;
  const implementation = (logic.implementations.guards as Readonly<Record<string, unknown>>)[name];
  if (implementation === undefined) throw new Error(`guard ${name} is not implemented`);
  return bindGuard(logic, implementation, typeof guard === "string" ? undefined : paramsOf(guard));
}

/**
 * Binds an action to its implementation. The host performs an action without one, as in XState. Throws for XState's own actions except assign, raise
 * and cancel.
 */
export function bindAction(logic: AnyStateMachine, action: Action): Operation {
  const name = nameOf(action);
  const implementation =
    typeof action === "function" ? action : (logic.implementations.actions as Readonly<Record<string, unknown>>)[name];
  const params = paramsOf(action);
  if (typeof implementation === "function" && "resolve" in implementation) {
    return builtIn(logic, implementation as unknown as BuiltIn, params);
  }
  return (event, step) => step.act(name, params({ context: step.context, event }));
}

function builtIn(logic: AnyStateMachine, action: BuiltIn, params: Params): Operation {
  switch (action.type) {
    case "xstate.assign":
      return assigning(action.assignment ?? {}, params);
    case "xstate.raise":
      return raising(logic, action, params);
    case "xstate.cancel": {
      const id = valueOrCall(action.sendId, params);
      return (event, step) => step.clearTimer(String(id({ context: step.context, event })));
    }
    default:
      throw new Error(`an action ${action.type} cannot be compiled`);
  }
}

function assigning(assignment: Call | Readonly<Record<string, unknown>>, params: Params): Operation {
  if (typeof assignment === "function") {
    return (event, step) => {
      const args = { context: step.context, event };
      step.context = Object.assign({}, step.context, assignment(args, params(args)));
    };
  }
  const fields = Object.entries(assignment).map(([key, value]) => [key, valueOrCall(value, params)] as const);
  return (event, step) => {
    const args = { context: step.context, event };
    const change: Record<string, unknown> = {};
    for (const [key, value] of fields) change[key] = value(args);
    step.context = Object.assign({}, step.context, change);
  };
}

function raising(logic: AnyStateMachine, action: BuiltIn, params: Params): Operation {
  const named = typeof action.delay === "string" ? logic.implementations.delays[action.delay] : action.delay;
  const delay = valueOrCall(named, params);
  const raised = valueOrCall(action.event, params);
  return (event, step, queue) => {
    const args = { context: step.context, event };
    const [wait, what] = [delay(args), raised(args) as EventObject];
    if (typeof wait === "number") step.setTimer(action.id ?? what.type, wait, what);
    else queue.push(what);
  };
}

function valueOrCall(value: unknown, params: Params): (args: object) => unknown {
  if (typeof value !== "function") return () => value;
  const call = value as Call;
  return (args) => call(args, params(args));
}

function nameOf(action: Action): string {
  if (typeof action === "string") return action;
  return typeof action === "function" ? action.name || "(anonymous)" : action.type;
}

function paramsOf(of: unknown): Params {
  const params = typeof of === "object" && of !== null && "params" in of ? of.params : undefined;
  return typeof params === "function" ? (params as Params) : () => params;
}
