import { isMap } from "../base/msgpack.ts";
import type { Faults } from "../wire/option-checks.ts";
import { stepStatuses } from "./definition.ts";

/** Checks the known results of a continuation against its definition. Returns true if the continuation can be used. */
export function checkContinuation(
  raw: { readonly known?: unknown; readonly done?: unknown; readonly part?: unknown },
  field: (name: string) => string,
  faults: Faults,
): boolean {
  const before = faults.issues.length;
  const { known, done, part } = raw;
  if (!isMap(known)) faults.add(field("known"), "INVALID_BODY", "must be an object");
  else
    for (const [id, fact] of Object.entries(known))
      if (!isKnown(fact))
        faults.add(
          field(`known.${id}`),
          "INVALID_BODY",
          `must be an object whose status is one of ${stepStatuses.join(", ")}`,
        );
  if (done !== undefined && !(Number.isSafeInteger(done) && (done as number) >= 0))
    faults.add(field("done"), "INVALID_OPTION", "must be a whole number");
  if (part !== undefined && !isPart(part))
    faults.add(field("part"), "INVALID_BODY", "must be an object with the actor that it is, and lists of steps");
  return faults.issues.length === before;
}

function isKnown(fact: unknown): boolean {
  if (!isMap(fact)) return false;
  const { status, blocked } = fact;
  return stepStatuses.some((one) => one === status) && (blocked === undefined || typeof blocked === "boolean");
}

function isPart(part: unknown): boolean {
  if (!isMap(part) || typeof part["actor"] !== "string") return false;
  return [part["exports"], part["outputs"]].every((list) => list === undefined || isTexts(list));
}

function isTexts(list: unknown): boolean {
  return Array.isArray(list) && list.every((one) => typeof one === "string");
}
