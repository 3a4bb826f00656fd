// The ECMAScript data model: expressions see the context's variables, which stay plain data.
import { createContext, runInContext } from "node:vm";

import type { Chart } from "./chart.ts";
import { eventVariable, SCXML_PROCESSOR, type ScxmlEvent } from "./events.ts";

/** An error that the document hears of as an event: `error.execution` or `error.communication`. */
export class ScxmlError extends Error {
  readonly kind: "error.execution" | "error.communication";
  readonly sendid: string | undefined;
  /** The element that failed, which the tests of the framework's own look for. */
  place:
    | { readonly tagname: string; readonly line: number | undefined; readonly column: number | undefined }
    | undefined;

  constructor(kind: ScxmlError["kind"], message: string, sendid?: string) {
    super(message);
    this.kind = kind;
    this.sendid = sendid;
  }
}

export type Variables = Record<string, unknown>;

const systemVariables = ["_event", "_sessionid", "_name", "_ioprocessors", "In"];

/** The variables for as long as one block or one condition takes. */
export interface Realm {
  /** The value of an expression. Throws `ScxmlError`. */
  evaluate(expression: string): unknown;
  /** Throws `ScxmlError` where the location is none, is not declared, or is a system variable. */
  assign(location: string, value: unknown): void;
  /** As `assign`, for a variable that need not have been declared. */
  declare(name: string, value: unknown): void;
  run(script: string): void;
  /** What is to be kept. */
  variables(): Variables;
}

export function createRealm(
  chart: Chart,
  variables: Variables,
  event: ScxmlEvent,
  isIn: (id: string) => boolean,
): Realm {
  const processor = { location: `#_scxml_${chart.sessionId}` };
  const system: Variables = {
    _sessionid: chart.sessionId,
    _name: chart.name,
    _ioprocessors: { [SCXML_PROCESSOR]: processor, scxml: processor },
  };
  const scope: Variables = Object.fromEntries(chart.declared.map((id) => [id, undefined]));
  const world = createContext(scope);
  // Objects of another world would be no instances of this one's Array.
  const parse = runInContext("JSON.parse", world) as typeof JSON.parse;
  const inWorld = (value: Variables): Variables =>
    parse(JSON.stringify(value), (_, part: unknown) =>
      isFunction(part) ? (runInContext(`(${part.$function})`, world) as unknown) : part,
    ) as Variables;
  Object.assign(scope, inWorld({ ...variables, ...system }), { In: isIn });
  const current = eventVariable(event);
  // Its fields are there even where they are undefined.
  if (current !== undefined) scope["_event"] = { ...current, ...inWorld(current) };

  const run = (source: string): unknown => {
    try {
      return runInContext(source, world);
    } catch (cause) {
      throw new ScxmlError("error.execution", String(cause));
    }
  };
  const set = (mode: string, location: string, value: unknown): void => {
    if (/^\s*_/.test(location)) throw new ScxmlError("error.execution", `${location} is a system variable`);
    scope["$value"] = value;
    try {
      run(`${mode}${location} = $value`);
    } finally {
      delete scope["$value"];
    }
  };

  return {
    evaluate: (expression) => run(`(${expression.replace(/;\s*$/, "")}\n)`),
    assign: (location, value) => set('"use strict";', location, value),
    declare: (name, value) => set("", name, value),
    run: (script) => void run(script),
    variables: () =>
      plain(Object.fromEntries(Object.entries(scope).filter(([name]) => !systemVariables.includes(name)))) as Variables,
  };
}

/** A value as plain data: functions as their source; what else JSON has no word for is left out. */
export function plain(value: unknown): unknown {
  const json = JSON.stringify(value, (_, part: unknown) =>
    typeof part === "function" ? { $function: String(part) } : part,
  ) as string | undefined;
  return json === undefined ? undefined : JSON.parse(json);
}

function isFunction(part: unknown): part is { readonly $function: string } {
  return typeof part === "object" && part !== null && Object.hasOwn(part, "$function");
}

/** An event as plain data. */
export function plainEvent(event: Record<string, unknown> & { readonly type: string }): ScxmlEvent {
  return plain(event) as ScxmlEvent;
}
