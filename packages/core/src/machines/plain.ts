import { InvalidError } from "../base/errors.ts";

/** How an `Error` stands in a record, so that it comes back as one. */
const ERROR_MARK = "ergon$error";

/** Lists and objects in each other: half of what a message may have, so that all that is stored can be told. */
const MOST_LEVELS = 250;

/**
 * Checks that a value survives its way through a record, and puts errors into a form that does. What it takes: `null`, booleans, numbers, texts,
 * dates, bytes, errors, and arrays and plain objects of these; fields that are `undefined` are left out; up to 250 levels. Throws `InvalidError`
 * (`NOT_SERIALISABLE`) with the path of the first value that would be lost.
 */
export function toPlain(value: unknown, path: string, replace: Replace = keep): unknown {
  return plain(value, path, [], replace);
}

/** What stands in a record for an object that is no data of its own; `undefined`: the object itself. */
type Replace = (value: object) => unknown;

const keep: Replace = () => undefined;

/** The reverse of {@link toPlain}: errors are errors again. Copies only where there is one. */
export function fromPlain<T>(value: T): T {
  return replaceErrors(value, reviveError) as T;
}

/** The same for readers, to whom an error is its name, its message and its fields. */
export function readable<T>(value: T): T {
  return replaceErrors(value, (error) => error) as T;
}

function replaceErrors(value: unknown, replace: (error: StoredError) => unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || value instanceof Date) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => replaceErrors(item, replace));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  const entries = Object.entries(value);
  const [first] = entries;
  if (first !== undefined && entries.length === 1 && first[0] === ERROR_MARK && isStoredError(first[1]))
    return replace(replaceErrors(first[1], replace) as StoredError);
  const replaced = entries.map(([key, field]) => [key, replaceErrors(field, replace)] as const);
  return replaced.some(([, field], index) => field !== entries[index]?.[1]) ? Object.fromEntries(replaced) : value;
}

interface StoredError {
  readonly name: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Whoever sends data may call something so; only what looks like one is an error. */
function isStoredError(value: unknown): value is StoredError {
  const { name, message } = (value ?? {}) as Partial<StoredError>;
  return typeof name === "string" && typeof message === "string";
}

function plain(value: unknown, path: string, above: readonly object[], replace: Replace): unknown {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "undefined":
      return value;
    case "object":
      return value === null ? null : plainObject(value, path, above, replace);
    default:
      throw notSerialisable(path, `a ${typeof value}`);
  }
}

function plainObject(value: object, path: string, above: readonly object[], replace: Replace): unknown {
  if (value instanceof Uint8Array || value instanceof Date) return value;
  if (above.length >= MOST_LEVELS) throw notSerialisable(path.slice(0, 120), `what is ${MOST_LEVELS} levels deep`);
  if (above.includes(value)) throw notSerialisable(path, "a reference to something that contains it");
  const within = [...above, value];
  if (Array.isArray(value)) return plainItems(value, path, within, replace);
  if (value instanceof Error) return { [ERROR_MARK]: storedError(value, path, within, replace) };
  const replaced = replace(value);
  if (replaced !== undefined) return replaced;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw notSerialisable(path, `an instance of ${value.constructor?.name ?? "a class"}`);
  return plainFields(value as Record<string, unknown>, path, within, replace);
}

/** Copies only where something had to be changed. */
function plainItems(items: readonly unknown[], path: string, within: readonly object[], replace: Replace): unknown {
  let copy: unknown[] | undefined;
  for (const [index, item] of items.entries()) {
    const stored = plain(item, `${path}[${index}]`, within, replace);
    if (stored !== item) (copy ??= [...items])[index] = stored;
  }
  return copy ?? items;
}

function plainFields(
  fields: Record<string, unknown>,
  path: string,
  within: readonly object[],
  replace: Replace,
): unknown {
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(fields)) {
    // MessagePack gives it another name, lest it become a prototype.
    if (key === "__proto__") throw notSerialisable(path === "" ? key : `${path}.${key}`, "a field of this name");
    const field = fields[key];
    if (typeof field === "string" || typeof field === "number") continue;
    const stored = plain(field, path === "" ? key : `${path}.${key}`, within, replace);
    if (stored !== field) (copy ??= { ...fields })[key] = stored;
  }
  return copy ?? fields;
}

function storedError(error: Error, path: string, within: readonly object[], replace: Replace): unknown {
  const { name, message } = error;
  const own = Object.fromEntries(Object.entries(error).filter(([, field]) => typeof field !== "function"));
  return plainFields({ ...own, name, message }, path, within, replace);
}

function reviveError({ name, message, ...own }: StoredError): Error {
  const error = Object.assign(new Error(message), own);
  if (name !== "Error") Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  return error;
}

export function notSerialisable(path: string, what: string): InvalidError {
  const message = `${path}: ${what} cannot be stored; keep plain data there, and make the rest from it where it is used`;
  return new InvalidError("NOT_SERIALISABLE", message, {
    issues: [{ field: path, code: "NOT_SERIALISABLE", message }],
  });
}
