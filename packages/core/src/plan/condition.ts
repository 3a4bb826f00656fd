import { LogicEngine } from "json-logic-engine";

import { messageOf } from "../base/errors.ts";
import { isMap } from "../base/msgpack.ts";
import { planLimits } from "./definition.ts";

/** Runs rules and counts their operations. Nested loops over an input, or lists that double, would otherwise block the node and exhaust its memory. */
class BoundedEngine extends LogicEngine {
  #left = 0;

  constructor() {
    // The optimisation is off, because a prepared rule would run without counting.
    super(undefined, { disableInterpretedOptimization: true } as ConstructorParameters<typeof LogicEngine>[1]);
    // The names `constructor`, `valueOf` and their like are no operators.
    Object.setPrototypeOf(this.methods, null);
  }

  override run(logic: unknown, data?: unknown, options?: { readonly above?: unknown }): unknown {
    this.#spend(1);
    const result: unknown = super.run(logic, data, options);
    this.#weigh(result);
    return result;
  }

  /** Runs a rule. Throws when the rule takes too many operations, even if the rule itself catches the error. */
  runBounded(rule: unknown, data: unknown): unknown {
    this.#left = planLimits.conditionOperations;
    const result = this.run(rule, data);
    this.#spend(0);
    return result;
  }

  /** Counts a value as if it were written out, because a list may contain the same list many times. */
  #weigh(value: unknown): void {
    if (typeof value === "string") this.#spend(value.length / 16);
    else if (Array.isArray(value)) {
      this.#spend(value.length);
      for (const item of value) if (typeof item === "string" || Array.isArray(item)) this.#weigh(item);
    }
  }

  #spend(operations: number): void {
    this.#left -= operations;
    if (this.#left < 0) throw new Error(`it takes more than ${planLimits.conditionOperations} operations`);
  }
}

const engine = new BoundedEngine();

/** Returns the fault of a rule, if any. The check runs no part of the rule. */
export function faultOfRule(rule: unknown): string | undefined {
  const operator = unknownOperator(rule);
  return operator === undefined ? undefined : `must be a JSON-logic rule: Unknown Operator: ${operator.slice(0, 64)}`;
}

function unknownOperator(rule: unknown): string | undefined {
  if (Array.isArray(rule)) {
    for (const item of rule) {
      const found = unknownOperator(item);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isMap(rule)) return undefined;
  const [first, second] = Object.entries(rule);
  if (first === undefined) return undefined;
  const [operator, argument] = first;
  if (second !== undefined || !(operator in engine.methods)) return operator;
  // The argument of `preserve` is data and no rule. Each field of the object of `eachKey` is a rule.
  if (operator === "preserve") return undefined;
  return unknownOperator(operator === "eachKey" && isMap(argument) ? Object.values(argument) : argument);
}

/** Returns true if a rule holds for the data, by the truth rules of JSON logic. Throws when the rule fails, or when it takes too many operations. */
export function holds(rule: unknown, data: unknown): boolean {
  try {
    return engine.truthy(engine.runBounded(rule, data)) as boolean;
  } catch (error) {
    throw new Error(`the condition cannot be told: ${textOf(error)}`, { cause: error });
  }
}

/** Returns the steps whose status or output a rule may read. The id `*` stands for any step. */
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

/** Formats an error of the library, which throws plain objects. */
function textOf(error: unknown): string {
  if (error instanceof Error || !isMap(error)) return Number.isNaN(error) ? "not a number" : messageOf(error);
  const { type, key } = error;
  return [type, key].filter((part) => typeof part === "string").join(": ") || JSON.stringify(error);
}
