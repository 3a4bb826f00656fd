import { InvalidError } from "../base/errors.ts";
import { isMap, sizeOf } from "../base/msgpack.ts";
import type { Known } from "./definition.ts";

/** The values to which texts of a plan can refer. */
export interface Values {
  readonly input: unknown;
  /** The known result of a step; `undefined`: none. */
  readonly step: (id: string) => Known | undefined;
  readonly otherwise?: null;
  /** How many bytes references may still bring. */
  readonly room: { left: number };
}

/** Stands for the text `${`. */
const ESCAPED = "$${";
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
 * leads to nothing becomes `values.otherwise`; without one {@link MissingReference} is thrown. Throws `InvalidError` (`PAYLOAD_TOO_LARGE`) when
 * they bring more than there is room for.
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
