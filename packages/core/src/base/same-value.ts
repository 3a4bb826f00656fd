import { msgpack } from "./msgpack.ts";

/** A plain value with the keys of its maps in one order, and without absent fields: every order in which it is written gives the same. */
export function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isPlainMap(value)) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, canonical(field)]),
  );
}

/** Returns true if two plain values are equal in any order of their keys. */
export function sameValue(a: unknown, b: unknown): boolean {
  return Buffer.compare(msgpack.pack(canonical(a)), msgpack.pack(canonical(b))) === 0;
}

function isPlainMap(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
