import { crc32 } from "node:zlib";

import type { ParentLink } from "../actor/parent-link.ts";
import { InvalidError, isErgonError, type ErrorCode } from "../base/errors.ts";
import { isId } from "../base/id.ts";
import { isMap, msgpack } from "../base/msgpack.ts";
import { fromPlain, toPlain } from "../base/plain.ts";
import { canonical } from "../base/same-value.ts";
import { taskDefaults, taskLimits } from "../task/spec.ts";
import { checkAsking } from "./asking.ts";
import { decodeBody, encodeBody } from "./codec.ts";
import { checkName } from "./header-checks.ts";
import { H, MSGPACK_TYPE, PLAIN_TYPE } from "./headers.ts";
import type { Message } from "./message.ts";
import { Faults, duration, text, words } from "./option-checks.ts";
import { isName } from "./subjects.ts";

/** A client's options for an instance, beside its machine and its input. */
export interface StartOptions {
  /** The idempotency key. A repeated start with it finds the same instance. @defaultValue an id that the node makes */
  readonly id?: string | undefined;
  /** The version of the machine. @defaultValue the newest that the node knows */
  readonly version?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** The time for which the record stays readable after the end, in milliseconds or as a text like `30s`. @defaultValue 72 h */
  readonly retention?: number | string | undefined;
}

/** A checked start. */
export interface StartSpec {
  readonly machine: string;
  readonly version?: string | undefined;
  readonly input: unknown;
  readonly correlationId?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly retentionMs: number;
  readonly parent?: ParentLink | undefined;
  readonly origin?: string | undefined;
}

const options: ReadonlyMap<string, keyof StartOptions> = new Map([
  [H.id, "id"],
  [H.machineVersion, "version"],
  [H.correlationId, "correlationId"],
  [H.tags, "tags"],
  [H.retention, "retention"],
] as const);
const headerNames: ReadonlyMap<string, string> = new Map([...options].map(([header, option]) => [option, header]));
const startHeaders: ReadonlySet<string> = new Set([
  ...options.keys(),
  ...[H.wait, H.until, H.answer, H.protocol, H.by, H.reason],
]);

/** Reads a start message. The body is the input, and the headers are the options. Throws `InvalidError` with an issue for each fault. */
export function parseStartMessage(message: Message, machine: string): { spec: StartSpec; id: string | undefined } {
  const faults = new Faults();
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message.headers())) {
    const option = options.get(name);
    if (option === undefined) checkName(name, startHeaders, "start", faults);
    else given[option] = option === "tags" ? value.split(/[ \t]*,[ \t]*/) : value;
  }
  checkAsking(message.headers(), faults);
  return complete(machine, readInput(message, faults), given, faults, (option) => headerNames.get(option) ?? option);
}

/** One error reports the faults of the body and of the headers together. */
function readInput(message: Message, faults: Faults): unknown {
  if (message.data.length === 0) return undefined;
  try {
    return decodeValue(message);
  } catch (error) {
    if (!isErgonError(error)) throw error;
    return faults.add("input", error.code as ErrorCode, error.message);
  }
}

/** Reads a start of the SDK, of a plan or of a schedule. Throws `InvalidError` with an issue for each fault. */
export function parseStart(
  machine: string,
  input: unknown,
  given: StartOptions,
): { spec: StartSpec; id: string | undefined } {
  const faults = new Faults();
  const known: ReadonlySet<string> = new Set(options.values());
  for (const name of Object.keys(given))
    if (!known.has(name)) faults.add(name, "UNKNOWN_OPTION", "no such option of a start; docs/protocol.md lists them");
  return complete(machine, input, { ...given }, faults, (option) => option);
}

function complete(
  machine: string,
  input: unknown,
  given: Readonly<Record<string, unknown>>,
  faults: Faults,
  spelled: (option: string) => string,
): { spec: StartSpec; id: string | undefined } {
  const { id } = given;
  if (!isName(machine)) faults.add("machine", "INVALID_OPTION", `must be 1 to 64 letters, digits, "_" or "-"`);
  if (id !== undefined && (typeof id !== "string" || !isId(id)))
    faults.add(spelled("id"), "INVALID_ID", `must be 1 to 128 letters, digits, "_" or "-"`);
  const version = text(spelled("version"), given["version"], 64, faults);
  const correlationId = text(spelled("correlationId"), given["correlationId"], 128, faults);
  const tags = words(spelled("tags"), given["tags"], taskLimits.tags, taskLimits.tagLength, faults);
  const retentionMs =
    given["retention"] === undefined
      ? taskDefaults.retentionMs
      : (duration(spelled("retention"), given["retention"], 1_000, taskLimits.maxDurationMs, faults) ??
        taskDefaults.retentionMs);
  faults.throwIfAny();
  return {
    id: id as string | undefined,
    spec: { machine, version, input: toPlain(input, "input"), correlationId, tags, retentionMs },
  };
}

/** Decodes a value for a machine. */
function decodeValue(message: Message): unknown {
  const contentType = message.header(H.contentType);
  const value = decodeBody(message.data, contentType);
  return contentType === PLAIN_TYPE ? fromPlain(value) : value;
}

/** Encodes a value for a machine. An error arrives as an error, and a value that only looks like one arrives as data. */
export function encodeValue(
  value: unknown,
  field: string,
): { readonly data: Uint8Array; readonly contentType: string } {
  const plain = toPlain(value, field);
  return { data: encodeBody(plain, MSGPACK_TYPE), contentType: plain === value ? MSGPACK_TYPE : PLAIN_TYPE };
}

/** Returns a checksum of a machine and the meaning of its input, which distinguishes a repeated start from another one. */
export function fingerprintOf(machine: string, meaning: unknown): number {
  return crc32(msgpack.pack([machine, canonical(meaning)]));
}

/** Reads an event for an instance. Throws `InvalidError`. */
export function parseEvent(message: Message): { readonly type: string; readonly [field: string]: unknown } {
  const event = decodeValue(message);
  if (!isMap(event) || typeof event["type"] !== "string" || event["type"] === "")
    throw noEvent("must be an object with a type");
  if (/^(?:xstate|ergon)\./.test(event["type"])) throw noEvent("its type is one of XState's or Ergon's own");
  return event as { readonly type: string };
}

function noEvent(fault: string): InvalidError {
  const message = `event: ${fault}`;
  return new InvalidError("INVALID_BODY", message, { issues: [{ field: "event", code: "INVALID_BODY", message }] });
}
