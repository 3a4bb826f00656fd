import { LAST_TIME } from "./clock.ts";
import { isActorId, isName, isTaskId } from "./id.ts";
import { isMap } from "./msgpack.ts";

/** A fault of a value: its place in the value, and the required content. */
interface Misshape {
  readonly path: string;
  readonly must: string;
}

/**
 * Checks a stored value. Returns its fault, or `undefined` if there is none. Shapes are plain functions that allocate nothing for a correct value,
 * because a node that takes over shards checks a hundred thousand records a second.
 */
export interface Shape {
  (value: unknown): Misshape | undefined;
  /** True if the shape passes `undefined`, so that a field of this shape may be absent. */
  readonly mayLack?: true;
}

/** Returns the fault of a value as one text, such as `context.history[2][0]: must be a time`, or `undefined` if there is none. */
export function misshapen(shape: Shape, value: unknown, path: string): string | undefined {
  const wrong = shape(value);
  return wrong === undefined ? undefined : `${path}${wrong.path}: must be ${wrong.must}`;
}

/** A value that passes a test; `must` completes "must be". */
export function such(must: string, test: (value: unknown) => boolean): Shape {
  const wrong: Misshape = { path: "", must };
  return (value) => (test(value) ? undefined : wrong);
}

const isText = (value: unknown): value is string => typeof value === "string";

export const anything: Shape = optional(() => undefined);
export const text: Shape = such("a text", isText);
/** A text that goes into a header of a message. */
export const line: Shape = such("a text without line breaks", (value) => isText(value) && !/[\r\n]/.test(value));
export const name: Shape = such("a name", (value) => isText(value) && isName(value));
export const id: Shape = such("an id", (value) => isText(value) && isActorId(value));
export const taskId: Shape = such("a task's id", (value) => isText(value) && isTaskId(value));
export const flag: Shape = such("true or false", (value) => typeof value === "boolean");
export const bytes: Shape = such("bytes", (value) => value instanceof Uint8Array);
export const map: Shape = such("a map", isMap);
/** Epoch milliseconds, as far as a date can tell them. */
export const time: Shape = such("a time", (value) => typeof value === "number" && Math.abs(value) <= LAST_TIME);
export const count: Shape = such(
  "a whole number from 0",
  (value) => Number.isSafeInteger(value) && (value as number) >= 0,
);

export function numberFrom(min: number, max: number, whole = false): Shape {
  return such(
    `a ${whole ? "whole " : ""}number from ${min} to ${max}`,
    (value) => typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value)),
  );
}

export function oneOf(...values: readonly unknown[]): Shape {
  return such(`one of ${values.join(", ")}`, (value) => values.includes(value));
}

export function optional(shape: Shape): Shape {
  return Object.assign((value: unknown) => (value === undefined ? undefined : shape(value)), {
    mayLack: true,
  } as const);
}

export function list(shape: Shape): Shape {
  const wrong: Misshape = { path: "", must: "a list" };
  return (value) => {
    if (!Array.isArray(value)) return wrong;
    for (let index = 0; index < value.length; index++) {
      const inner = shape(value[index]);
      if (inner !== undefined) return { path: `[${index}]${inner.path}`, must: inner.must };
    }
    return undefined;
  };
}

/** A list whose items each have a shape of their own. More items are let be. */
export function tuple(...shapes: readonly Shape[]): Shape {
  const wrong: Misshape = { path: "", must: "a list" };
  return (value) => {
    if (!Array.isArray(value)) return wrong;
    for (let index = 0; index < shapes.length; index++) {
      const inner = shapes[index]?.(value[index]);
      if (inner !== undefined) return { path: `[${index}]${inner.path}`, must: inner.must };
    }
    return undefined;
  };
}

/** A map with a value of one shape under every key, and keys of one shape. */
export function byKey(shape: Shape, key: Shape = anything): Shape {
  return (value) => {
    if (!isMap(value)) return map(value);
    for (const name of Object.keys(value)) {
      const inner = key(name) ?? shape(value[name]);
      if (inner !== undefined) return { path: `.${name.slice(0, 80)}${inner.path}`, must: inner.must };
    }
    return undefined;
  };
}

/** A number as the key of a map. */
export const numeral: Shape = such("a number", (value) => isText(value) && /^\d{1,15}$/.test(value));

/** A map with a shape for each field of `T`: a field that is added to the type has to be added here. Fields of a newer version are let be. */
export function fields<T extends object>(shapes: { readonly [K in keyof Required<T>]: Shape }): Shape {
  const known = new Map(Object.entries<Shape>(shapes));
  const required = [...known].filter(([, shape]) => shape.mayLack !== true);
  return (value) => {
    if (!isMap(value)) return map(value);
    // By the fields that are there, which are half of those that may be.
    let found = 0;
    for (const name in value) {
      const shape = known.get(name);
      if (shape === undefined) continue;
      const inner = shape(value[name]);
      if (inner !== undefined) return { path: `.${name}${inner.path}`, must: inner.must };
      if (shape.mayLack !== true) found++;
    }
    if (found === required.length) return undefined;
    for (const [name, shape] of required) {
      const inner = shape(value[name]);
      if (inner !== undefined) return { path: `.${name}`, must: inner.must };
    }
    return undefined;
  };
}

/** A map whose field `tag` says which of the shapes it has. */
export function byTag(tag: string, shapes: Readonly<Record<string, Shape>>): Shape {
  const known = oneOf(...Object.keys(shapes));
  return (value) => {
    if (!isMap(value)) return map(value);
    const given = value[tag];
    const shape = typeof given === "string" && Object.hasOwn(shapes, given) ? shapes[given] : undefined;
    if (shape !== undefined) return shape(value);
    return { path: `.${tag}`, must: known(given)?.must ?? "known" };
  };
}

/** A value that has all of the shapes. */
export function all(...shapes: readonly Shape[]): Shape {
  return (value) => {
    for (const shape of shapes) {
      const wrong = shape(value);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}
