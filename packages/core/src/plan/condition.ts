import { LogicEngine } from "json-logic-engine";

import { messageOf } from "../base/errors.ts";
import { isMap } from "../base/msgpack.ts";

const engine = new LogicEngine();

/** What is wrong with a rule, if anything. */
export function faultOfRule(rule: unknown): string | undefined {
  try {
    engine.build(rule);
    return undefined;
  } catch (error) {
    return `must be a JSON-logic rule: ${textOf(error)}`;
  }
}

/** Whether a rule holds for the data, as JSON logic takes truth. Throws when it cannot be told. */
export function holds(rule: unknown, data: unknown): boolean {
  try {
    return engine.truthy(engine.run(rule, data)) as boolean;
  } catch (error) {
    throw new Error(`the condition cannot be told: ${textOf(error)}`, { cause: error });
  }
}

/** The steps whose status or output a rule may ask for: those that it names; `*`: it may be any. */
export function stepsInRule(rule: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  collect(rule, found);
  return found;
}

function collect(rule: unknown, found: Set<string>): void {
  if (typeof rule === "string") collectText(rule, found);
  else if (Array.isArray(rule)) {
    // `val` takes a path as a list.
    if (rule[0] === "steps") found.add(typeof rule[1] === "string" ? rule[1] : "*");
    for (const item of rule) collect(item, found);
  } else if (isMap(rule)) {
    for (const [operator, argument] of Object.entries(rule)) {
      const path: unknown = Array.isArray(argument) ? argument[0] : argument;
      if ((operator === "var" || operator === "val" || operator === "get") && (path === "" || isMap(path)))
        found.add("*");
      collect(argument, found);
    }
  }
}

function collectText(text: string, found: Set<string>): void {
  if (text === "steps" || text === "steps.") found.add("*");
  else if (text.startsWith("steps.")) found.add(text.split(".")[1] ?? "*");
}

/** The library throws plain objects. */
function textOf(error: unknown): string {
  if (error instanceof Error || !isMap(error)) return Number.isNaN(error) ? "not a number" : messageOf(error);
  const { type, key } = error;
  return [type, key].filter((part) => typeof part === "string").join(": ") || JSON.stringify(error);
}
