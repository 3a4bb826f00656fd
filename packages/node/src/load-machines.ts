import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { InvalidError, defineMachine, messageOf, type Issue, type Machine, type MachineLogic } from "@ergon/core";

/** A user's machine as a node receives it: the result of `defineMachine`, a machine of XState, or a module that exports either. */
export type MachineSource = Machine | MachineLogic | string;

/** A machine and its source. */
interface Found {
  readonly machine: Machine;
  readonly where: string;
}

/**
 * Makes a node's machines from its sources. It loads files as modules, relative to the working folder (TypeScript too, as far as Node strips its types),
 * and takes every export that is a machine or a list of machines. Throws `InvalidError` (`INVALID_CONFIGURATION`) that names every fault: a missing
 * file, a file that cannot be loaded or has no machine, an invalid name or version, and two machines with one name and version.
 */
export async function loadMachines(sources: readonly MachineSource[]): Promise<readonly Machine[]> {
  const issues: Issue[] = [];
  const fault = (field: string, text: string): void => {
    issues.push({ field, code: "INVALID_CONFIGURATION", message: text });
  };
  const found: Found[] = [];
  for (const [index, source] of sources.entries()) {
    const before = found.length;
    if (typeof source !== "string") {
      collect(source, `machines[${index}]`, found, fault);
      continue;
    }
    for (const [name, value] of Object.entries(await load(source, fault)))
      collect(value, `${source} (${name})`, found, fault);
    const silent = !issues.some(({ field }) => field === source || field.startsWith(`${source} (`));
    if (found.length === before && silent)
      fault(source, "exports no machine; export a result of createMachine() or defineMachine()");
  }
  const machines = unique(found, fault);
  if (issues.length === 0) return machines;
  throw new InvalidError(
    "INVALID_CONFIGURATION",
    issues.map(({ field, message }) => `${field}: ${message}`).join("\n"),
    { issues },
  );
}

type Fault = (field: string, text: string) => void;

async function load(file: string, fault: Fault): Promise<object> {
  const full = path.resolve(file);
  if (!existsSync(full)) {
    fault(file, `there is no such file (${full})`);
    return {};
  }
  const { stackTraceLimit } = Error;
  // XState refuses a machine deep inside its code, so the user's line is further away than the ten lines that a stack shows.
  Error.stackTraceLimit = STACK_LINES;
  try {
    return (await import(pathToFileURL(full).href)) as object;
  } catch (cause) {
    fault(file, `cannot be loaded: ${reasonOf(cause)}`);
    return {};
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * Returns all lines of the error, and the place in the user's files that threw it. The first line of an XState error often says only that something is
 * wrong.
 */
function reasonOf(cause: unknown): string {
  const lines = messageOf(cause).split("\n");
  const text = lines
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join(" ");
  const place = placeOf(cause instanceof Error ? (cause.stack ?? "") : "");
  return place === undefined ? text : `${text} (${place})`;
}

const ME = import.meta.filename;
const STACK_LINES = 100;

/** Finds the first place of a stack that is in a user's file. A frame names it, or the line above the text of a syntax error does. */
function placeOf(stack: string): string | undefined {
  for (const [, url = "", position = ""] of stack.matchAll(/((?:file:\/\/)?\/[^\s()]+?):(\d+(?::\d+)?)(?=[\s)]|$)/g)) {
    const file = url.startsWith("file:") ? fileURLToPath(url) : url;
    if (file === ME || file.includes("/node_modules/")) continue;
    return `${path.relative(process.cwd(), file)}:${position}`;
  }
  return undefined;
}

function collect(value: unknown, where: string, found: Found[], fault: Fault): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item, where, found, fault);
    return;
  }
  if (isMachine(value)) {
    found.push({ machine: value, where });
    return;
  }
  if (!isLogic(value)) return;
  try {
    found.push({ machine: defineMachine(value), where });
  } catch (error) {
    fault(where, messageOf(error));
  }
}

/** A module may export one machine under several names. Two machines must not share a name and a version. */
function unique(found: readonly Found[], fault: Fault): readonly Machine[] {
  const byKey = new Map<string, Found>();
  for (const one of found) {
    const { name, version, logic } = one.machine;
    const key = `${name}@${version}`;
    const other = byKey.get(key);
    if (other === undefined) byKey.set(key, one);
    else if (other.machine.logic !== logic)
      fault(one.where, `another machine ${key} is in ${other.where}; give one of them another version`);
  }
  return [...byKey.values()].map(({ machine }) => machine);
}

/** Recognizes a machine by its properties instead of its class, because two copies of its package may be loaded. */
function isMachine(value: unknown): value is Machine {
  const { name, version, logic, engine } = fieldsOf(value);
  return typeof name === "string" && typeof version === "string" && isLogic(logic) && typeof engine === "object";
}

function isLogic(value: unknown): value is MachineLogic {
  const { __xstatenode: mark, transition, root } = fieldsOf(value);
  return mark === true && typeof transition === "function" && typeof root === "object";
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
