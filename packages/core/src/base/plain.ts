import { InvalidError } from "./errors.ts";

/** How an `Error` stands in a record, so that it comes back as one. */
const ERROR_MARK = "ergon$error";
/** Around an object of the user's own that has a field called like a mark, so that it comes back as it is. */
const DATA_MARK = "ergon$data";
/** XState's mark, with this value, of a reference to an actor in the context of a stored snapshot. */
export const ACTOR_MARK = "xstate$$type";
export const ACTOR_TYPE = 1;

/** Lists and objects in each other: half of what a message may have, so that all that is stored can be told. */
const MOST_LEVELS = 250;

/**
 * Checks that a value survives its way through a record, and puts errors into a form that does. It takes `null`, booleans, numbers, texts,
 * dates, bytes, errors, and arrays and plain objects of these; fields that are `undefined` are left out; up to 250 levels. Throws `InvalidError`
 * (`NOT_SERIALISABLE`) with the path of the first value that would be lost.
 */
export function toPlain(value: unknown, path: string, replace: Replace = keep): unknown {
  return plain(value, path, [], replace);
}

/** Returns the replacement in a record for an object that is not plain data, or `undefined` to keep the object. */
export type Replace = (value: object, path: string) => unknown;

const keep: Replace = () => undefined;

/** A reference to an actor, as records hold it. */
export interface StoredReference {
  readonly id: string;
  /** The path of the actor, as ids from below the root. It is absent for a child of the machine that refers to it. */
  readonly path?: readonly string[];
}

interface Revival {
  error(stored: StoredError): unknown;
  reference(mark: StoredReference): unknown;
}

/** The reverse of {@link toPlain}: errors are errors again, and references what `reference` makes of them. Copies only where there is one. */
export function fromPlain<T>(value: T, reference: Revival["reference"] = itself): T {
  return revive(value, { error: reviveError, reference }) as T;
}

/** The same for readers, to whom an error is its name, its message and its fields. */
export function readable<T>(value: T): T {
  return revive(value, { error: itself, reference: itself }) as T;
}

function itself(value: unknown): unknown {
  return value;
}

function revive(value: unknown, revival: Revival): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || value instanceof Date) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => revive(item, revival));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  const [first, ...more] = Object.keys(value);
  if (first !== undefined && more.length === 0) {
    const field = (value as Record<string, unknown>)[first];
    if (first === ERROR_MARK && isStoredError(field))
      return revival.error(reviveFields(field, revival) as unknown as StoredError);
    if (first === DATA_MARK && isObject(field)) return reviveFields(field, revival);
  }
  if (isReference(value)) return revival.reference(value);
  return reviveFields(value, revival);
}

function reviveFields(fields: object, revival: Revival): object {
  const entries = Object.entries(fields);
  const revived = entries.map(([key, field]) => [key, revive(field, revival)] as const);
  return revived.some(([, field], index) => field !== entries[index]?.[1]) ? Object.fromEntries(revived) : fields;
}

function isReference(value: object): value is StoredReference {
  const { [ACTOR_MARK]: type, id } = value as { readonly [ACTOR_MARK]?: unknown; readonly id?: unknown };
  return type === ACTOR_TYPE && typeof id === "string";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface StoredError {
  readonly name: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Any sender may use this name for its data, so only a map with the form of an error is one. */
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
  const replaced = replace(value, path);
  if (replaced !== undefined) return replaced;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw notSerialisable(path, `an instance of ${value.constructor?.name ?? "a class"}`);
  const fields = plainFields(value as Record<string, unknown>, path, within, replace);
  return ERROR_MARK in value || DATA_MARK in value || ACTOR_MARK in value ? { [DATA_MARK]: fields } : fields;
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
