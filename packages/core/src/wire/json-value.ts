/** The deepest nesting of lists and maps, as in a body. */
const MOST_LEVELS = 500;

/**
 * Finds the part of a value that a JSON text would lose or change, and returns its path, or `undefined` if there is none. JSON always omits fields
 * that are `undefined`, so they are no fault.
 */
export function faultOfJson(
  value: unknown,
  path: string,
): { readonly path: string; readonly text: string } | undefined {
  return fault(value, path, []);
}

function fault(value: unknown, path: string, above: readonly object[]): ReturnType<typeof faultOfJson> {
  if (value === null || value === undefined || typeof value === "boolean" || typeof value === "string")
    return undefined;
  if (typeof value === "number")
    return Number.isFinite(value) ? undefined : { path, text: `${value} is no number in JSON, and would become null` };
  if (typeof value !== "object") return { path, text: `a ${typeof value} is no JSON value` };
  if (above.includes(value)) return { path, text: "refers to something that contains it" };
  if (above.length >= MOST_LEVELS) return { path: path.slice(0, 120), text: `is more than ${MOST_LEVELS} levels deep` };
  if (ArrayBuffer.isView(value)) return { path, text: "bytes are no JSON value; give them alone, or as base64" };
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return undefined;
  const within = [...above, value];
  if (Array.isArray(value)) return first(value.entries(), (index) => `${path}[${index}]`, within);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype && !isMapOfAnotherRealm(prototype))
    return { path, text: `a ${value.constructor.name} is no JSON value; give what it means` };
  return first(Object.entries(value), (key) => `${path}.${key}`, within);
}

function first(
  fields: Iterable<readonly [number | string, unknown]>,
  pathOf: (key: number | string) => string,
  within: readonly object[],
): ReturnType<typeof faultOfJson> {
  for (const [key, field] of fields) {
    const found = fault(field, pathOf(key), within);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isMapOfAnotherRealm(prototype: unknown): boolean {
  return Object.getPrototypeOf(prototype) === null;
}
