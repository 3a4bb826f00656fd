import { isMap } from "../base/msgpack.ts";
import type { Known } from "./definition.ts";

/** What texts of a plan can refer to. */
export interface Values {
  readonly input: unknown;
  /** What is known of a step; `undefined` when nothing is. */
  readonly step: (id: string) => Known | undefined;
  readonly otherwise?: null;
}

const REFERENCE = /\$\{([^${}]*)\}/g;
const WHOLE = /^\$\{([^${}]*)\}$/;
const PATH = /^(?:input|steps\.[\w-]+\.(?:status|output))(?:\.[^.\s]+)*$/;

/** The paths that a value refers to, in their order; `$${` is no reference, but the text `${`. */
export function referencesIn(value: unknown): string[] {
  const found: string[] = [];
  collect(value, found);
  return found;
}

/** Whether a path is one that can lead somewhere: `input…`, `steps.<id>.output…`, `steps.<id>.status`. */
export function isPath(path: string): boolean {
  return PATH.test(path);
}

/** The step that a path is about. */
export function stepOf(path: string): string | undefined {
  return path.startsWith("steps.") ? path.split(".")[1] : undefined;
}

/** A path that leads to nothing. */
class MissingReference extends Error {}

/**
 * Puts what is referred to in place of the references: a text that is one reference becomes the value itself, others get it as a text. A reference that
 * leads to nothing becomes `values.otherwise`; without one {@link MissingReference} is thrown.
 */
export function resolveReferences(value: unknown, values: Values): unknown {
  if (typeof value === "string") return resolveText(value, values);
  if (Array.isArray(value)) return value.map((item) => resolveReferences(item, values));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, resolveReferences(field, values)]));
}

function collect(value: unknown, found: string[]): void {
  if (typeof value === "string") {
    for (const [, path = ""] of value.replaceAll("$${", "").matchAll(REFERENCE)) found.push(path.trim());
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, found);
  } else if (isMap(value)) {
    for (const field of Object.values(value)) collect(field, found);
  }
}

/** Stands for an escaped `${` while references are resolved. */
const ESCAPED = "\u0000";

function resolveText(text: string, values: Values): unknown {
  if (!text.includes("${")) return text;
  const [, whole] = WHOLE.exec(text) ?? [];
  if (whole !== undefined) return lookUp(whole.trim(), values);
  return text
    .replaceAll("$${", ESCAPED)
    .replaceAll(REFERENCE, (_, path: string) => textOf(lookUp(path.trim(), values)))
    .replaceAll(ESCAPED, "${");
}

function lookUp(path: string, { input, step, otherwise }: Values): unknown {
  const [root, ...rest] = path.split(".");
  const found = root === "input" ? follow(input, rest) : follow(step(rest[0] ?? ""), rest.slice(1));
  if (found !== undefined) return found;
  if (otherwise === undefined) throw new MissingReference(`\${${path}} leads to nothing`);
  return otherwise;
}

function follow(value: unknown, names: readonly string[]): unknown {
  let found = value;
  for (const name of names) {
    const holder = found as Record<string, unknown> | null | undefined;
    if (typeof holder !== "object" || holder === null || !Object.hasOwn(holder, name)) return undefined;
    found = holder[name];
  }
  return found;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
