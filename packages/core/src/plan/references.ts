import { InvalidError } from "../base/errors.ts";
import { isMap, sizeOf } from "../base/msgpack.ts";
import type { Known } from "./definition.ts";

/** The values to which the texts of a plan can refer. */
export interface Values {
  readonly input: unknown;
  /** Returns the known result of a step, or `undefined` if there is none. */
  readonly step: (id: string) => Known | undefined;
  readonly otherwise?: null;
  /** The number of bytes that references may still add. */
  readonly room: { left: number };
}

/** Stands for the text `${`. */
const ESCAPED = "$${";
const REFERENCE = /\$\{([^${}]*)\}/g;
const WHOLE = /^\$\{([^${}]*)\}$/;
const PATH = /^(?:input|steps\.[\w-]+\.(?:status|output))(?:\.[^.\s]+)*$/;

/** Returns the paths that a value refers to, in their order. The text `$${` stands for `${` and is no reference. */
export function referencesIn(value: unknown): string[] {
  const found: string[] = [];
  collect(value, found);
  return found;
}

/** Returns true if a path can lead to a value: `input…`, `steps.<id>.output…` or `steps.<id>.status`. */
export function isPath(path: string): boolean {
  return PATH.test(path);
}

/** Returns the step that a path names. */
export function stepOf(path: string): string | undefined {
  return path.startsWith("steps.") ? path.split(".")[1] : undefined;
}

/** The error of a path that leads to no value. */
class MissingReference extends Error {}

/**
 * Replaces the references in a value. A text that is one reference becomes the referenced value itself; a longer text receives the value as text. A
 * reference without a value becomes `values.otherwise`, and without that the function throws {@link MissingReference}. Throws `InvalidError`
 * (`PAYLOAD_TOO_LARGE`) when the values need more than the room that is left.
 */
export function resolveReferences(value: unknown, values: Values): unknown {
  if (typeof value === "string") return resolveText(value, values);
  if (Array.isArray(value)) return value.map((item) => resolveReferences(item, values));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, resolveReferences(field, values)]));
}

function collect(value: unknown, found: string[]): void {
  if (typeof value === "string") {
    for (const part of value.split(ESCAPED))
      for (const [, path = ""] of part.matchAll(REFERENCE)) found.push(path.trim());
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, found);
  } else if (isMap(value)) {
    for (const field of Object.values(value)) collect(field, found);
  }
}

function resolveText(text: string, values: Values): unknown {
  if (!text.includes("${")) return text;
  const [, whole] = WHOLE.exec(text) ?? [];
  if (whole !== undefined) return lookUp(whole.trim(), values);
  return text
    .split(ESCAPED)
    .map((part) => part.replaceAll(REFERENCE, (_, path: string) => textOf(lookUp(path.trim(), values))))
    .join("${");
}

function lookUp(path: string, { input, step, otherwise, room }: Values): unknown {
  const [root, ...rest] = path.split(".");
  const found = root === "input" ? follow(input, rest) : follow(step(rest[0] ?? ""), rest.slice(1));
  room.left -= sizeOf(found);
  if (room.left < 0)
    throw new InvalidError(
      "PAYLOAD_TOO_LARGE",
      "the values of the references are too large together: refer to less of each output",
    );
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
