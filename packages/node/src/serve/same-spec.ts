import type { TaskSpec } from "@ergon/core/engine";

/** Tells whether two submits under one id ask for the same work: driver, payload, content type, resource and arguments. */
export function sameSpec(a: TaskSpec, b: TaskSpec): boolean {
  return (
    a.driver === b.driver &&
    a.parent?.id === b.parent?.id &&
    a.parent?.key === b.parent?.key &&
    (a.contentType ?? "") === (b.contentType ?? "") &&
    (a.resource ?? "") === (b.resource ?? "") &&
    Buffer.compare(a.payload, b.payload) === 0 &&
    sameArguments(a.arguments ?? {}, b.arguments ?? {})
  );
}

function sameArguments(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
