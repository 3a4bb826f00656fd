import { InvalidError } from "../base/errors.ts";

/** How an `Error` stands in a record, so that it comes back as one. */
const ERROR_MARK = "ergon$error";

/**
 * Checks that a value survives its way through a record, and puts errors into a form that does. What it takes: `null`, booleans, numbers, texts,
 * dates, bytes, errors, and arrays and plain objects of these; fields that are `undefined` are left out. Throws `InvalidError`
 * (`NOT_SERIALISABLE`) with the path of the first value that would be lost.
 */
export function toPlain(value: unknown, path: string): unknown {
  return plain(value, path, []);
}

/** The reverse of {@link toPlain}: errors are errors again. Changes `value` in place. */
export function fromPlain(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || value instanceof Date) return value;
  if (ERROR_MARK in value) return reviveError((value as { [ERROR_MARK]: StoredError })[ERROR_MARK]);
  const fields = value as Record<string, unknown>;
  for (const key of Object.keys(fields)) {
    const field = fields[key];
    if (typeof field === "object" && field !== null) fields[key] = fromPlain(field);
  }
  return value;
}

interface StoredError {
  readonly name: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

function plain(value: unknown, path: string, above: readonly object[]): unknown {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "undefined":
      return value;
    case "object":
      return value === null ? null : plainObject(value, path, above);
    default:
      throw notSerialisable(path, `a ${typeof value}`);
  }
}

function plainObject(value: object, path: string, above: readonly object[]): unknown {
  if (value instanceof Uint8Array || value instanceof Date) return value;
  if (above.includes(value)) throw notSerialisable(path, "a reference to something that contains it");
  const within = [...above, value];
  if (Array.isArray(value)) return plainItems(value, path, within);
  if (value instanceof Error) return { [ERROR_MARK]: storedError(value, path, within) };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw notSerialisable(path, `an instance of ${value.constructor?.name ?? "a class"}`);
  return plainFields(value as Record<string, unknown>, path, within);
}

/** Copies only where something had to be changed. */
function plainItems(items: readonly unknown[], path: string, within: readonly object[]): unknown {
  let copy: unknown[] | undefined;
  for (const [index, item] of items.entries()) {
    const stored = plain(item, `${path}[${index}]`, within);
    if (stored !== item) (copy ??= [...items])[index] = stored;
  }
  return copy ?? items;
}

function plainFields(fields: Record<string, unknown>, path: string, within: readonly object[]): unknown {
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(fields)) {
    const field = fields[key];
    if (typeof field === "string" || typeof field === "number") continue;
    const stored = plain(field, path === "" ? key : `${path}.${key}`, within);
    if (stored !== field) (copy ??= { ...fields })[key] = stored;
  }
  return copy ?? fields;
}

function storedError(error: Error, path: string, within: readonly object[]): unknown {
  const { name, message } = error;
  const own = Object.fromEntries(Object.entries(error).filter(([, field]) => typeof field !== "function"));
  return plainFields({ ...own, name, message }, path, within);
}

function reviveError({ name, message, ...own }: StoredError): Error {
  const error = Object.assign(new Error(message), fromPlain(own));
  if (name !== "Error") Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  return error;
}

function notSerialisable(path: string, what: string): InvalidError {
  const message = `${path}: ${what} cannot be stored; keep plain data there, and make the rest from it where it is used`;
  return new InvalidError("NOT_SERIALISABLE", message, {
    issues: [{ field: path, code: "NOT_SERIALISABLE", message }],
  });
}
