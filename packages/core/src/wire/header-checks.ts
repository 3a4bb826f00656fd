import { checkAsking } from "./asking.ts";
import { H } from "./headers.ts";
import type { Headers } from "./message.ts";
import { Faults, unknownName } from "./option-checks.ts";

const known: ReadonlyMap<string, string> = new Map(Object.values(H).map((name) => [name.toLowerCase(), name]));
const anyVerb: readonly string[] = [H.protocol];
const waiting: readonly string[] = [H.wait, H.until, H.answer];

/** The headers that each verb takes in addition to `Content-Type`, `Accept` and `Ergon-Protocol`. `docs/protocol.md` explains them. */
const verbs: Readonly<Record<string, readonly string[]>> = {
  get: [H.answer],
  wait: waiting,
  watch: [H.answer],
  cancel: [H.by, H.reason],
  end: [H.by, H.reason],
  retry: [H.id, H.wait, H.answer, H.by, H.reason],
  send: [H.eventId, ...waiting],
  can: [],
  migrate: [H.machineVersion, ...waiting],
};
const headersOf: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(verbs).map(([verb, names]) => [verb, new Set([...anyVerb, ...names])]),
);
const plain: ReadonlySet<string> = new Set(anyVerb);

/** Throws `InvalidError` with an issue for each header of a request that its verb does not take, and for each whose value is wrong. */
export function requireHeaders(headers: Headers, verb: string): void {
  const faults = new Faults();
  const allowed = headersOf.get(verb) ?? plain;
  for (const name in headers) checkName(name, allowed, verb, faults);
  checkAsking(headers, faults);
  faults.throwIfAny();
}

/**
 * Reports a header that `what` does not take. The check covers each header that begins with `Ergon-` in any case, and each whose name differs from
 * one of Ergon's only in case, because NATS distinguishes case and nobody would read it. The check ignores all other headers.
 */
export function checkName(name: string, allowed: ReadonlySet<string>, what: string, faults: Faults): void {
  const spelled = known.get(name.toLowerCase());
  if (spelled !== undefined && spelled !== name)
    faults.add(name, "UNKNOWN_OPTION", `the case of header names counts; write ${spelled}`);
  else if (!/^ergon-/i.test(name) || allowed.has(name)) return;
  else if (spelled === undefined) unknownName(name, name, { kind: "option", names: allowed, page: "protocol" }, faults);
  else faults.add(name, "UNKNOWN_OPTION", `${what} does not take it; docs/protocol.md says which headers it takes`);
}
