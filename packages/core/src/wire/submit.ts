import { InvalidError } from "../base/errors.ts";
import { isId } from "../base/id.ts";
import { isMap } from "../base/msgpack.ts";
import { taskLimits, type SparseTaskOptions, type TaskSpec } from "../task/spec.ts";
import { checkAsking } from "./asking.ts";
import { checkName } from "./header-checks.ts";
import { BYTES_TYPE, H, JSON_TYPE, TEXT_TYPE } from "./headers.ts";
import { faultOfJson } from "./json-value.ts";
import type { Message } from "./message.ts";
import { numberFields, takeNumber, type NumberField } from "./number-fields.ts";
import { Faults, duration, argumentsMap, words, text, time, unknownName, whole } from "./option-checks.ts";
import { isName } from "./subjects.ts";

/** A submit as it arrived. Its spec has no id if the client gave none. The clock of the node that takes the task converts `delayMs` to `notBefore`. */
export interface Submission {
  readonly spec: Omit<TaskSpec, "id"> & { readonly id?: string | undefined };
  readonly delayMs: number;
}

/** A client's request for a task in code, in JSON or in MessagePack. Durations are milliseconds, or text like `30s`. */
export interface TaskRequest {
  readonly driver: string;
  readonly id?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly resource?: string | undefined;
  readonly arguments?: Readonly<Record<string, string>> | undefined;
  /** The payload. Bytes are stored unchanged, and any other value is stored as JSON. */
  readonly payload?: unknown;
  /** The payload as a text, for forms that have no bytes. It takes the place of `payload`. */
  readonly text?: string | undefined;
  readonly base64?: string | undefined;
  readonly contentType?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly priority?: number | undefined;
  readonly delay?: number | string | undefined;
  /** The time before which no attempt begins, in epoch milliseconds or as an ISO 8601 text. */
  readonly notBefore?: number | string | undefined;
  readonly queueTimeout?: number | string | undefined;
  readonly attemptTimeout?: number | string | undefined;
  readonly heartbeatTimeout?: number | string | undefined;
  readonly totalTimeout?: number | string | undefined;
  readonly cancelGrace?: number | string | undefined;
  readonly retention?: number | string | undefined;
  readonly maxLost?: number | undefined;
  readonly retry?:
    | {
        readonly maxAttempts?: number | undefined;
        readonly initial?: number | string | undefined;
        readonly factor?: number | undefined;
        readonly max?: number | string | undefined;
        readonly jitter?: number | undefined;
        readonly never?: readonly string[] | undefined;
      }
    | undefined;
}

/** The fields of a task in a batch, in the SDK or in a plan. */
export const requestFields: ReadonlySet<string> = new Set([
  "driver",
  "id",
  "correlationId",
  "resource",
  "arguments",
  "payload",
  "text",
  "base64",
  "contentType",
  "tags",
  "delay",
  "notBefore",
  "retry",
  ...numberFields.filter((field) => !field.retry).map((field) => field.path),
]);
const retryFields: ReadonlySet<string> = new Set([
  "never",
  ...numberFields.filter((field) => field.retry).map((field) => field.path.slice("retry.".length)),
]);
const numberHeaders: ReadonlyMap<string, NumberField> = new Map(numberFields.map((field) => [field.header, field]));
/** The headers of a submit that are options of the request, and not of the task. */
const askingHeaders: ReadonlySet<string> = new Set([H.wait, H.answer, H.driver, H.protocol, H.by, H.reason]);

interface Parts {
  /** Returns the sender's name of an option, which is a path in a body, or a header. */
  readonly spelled: (option: string) => string;
  readonly driver: unknown;
  readonly id: unknown;
  readonly correlationId: unknown;
  readonly resource: unknown;
  readonly arguments: unknown;
  readonly contentType: unknown;
  readonly tags: unknown;
  readonly delay: unknown;
  readonly notBefore: unknown;
  readonly never: unknown;
}

/** Reads a submit message. The body is the payload, and the headers are the options. Throws `InvalidError` with an issue for each fault. */
export function parseSubmitMessage(message: Message, driver: string): Submission {
  const faults = new Faults();
  const headers = message.headers();
  const options: Record<string, number> = {};
  const policy: Record<string, number> = {};
  const named: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name] ?? "";
    const field = numberHeaders.get(name);
    if (field !== undefined) {
      takeNumber(field, name, value, field.retry ? policy : options, faults);
    } else if (headerParts[name] === undefined) checkName(name, submitHeaders, "submit", faults);
    else named[headerParts[name]] = value;
  }
  checkAsking(headers, faults);
  const parts: Parts = {
    spelled: (option) => headerNames.get(option) ?? option,
    driver,
    id: named["id"],
    correlationId: named["correlationId"],
    resource: named["resource"],
    arguments: named["arguments"] === undefined ? undefined : parseJsonHeader(H.arguments, named["arguments"], faults),
    contentType: headers[H.contentType],
    tags: listOf(named["tags"]),
    delay: named["delay"],
    notBefore: named["notBefore"],
    never: listOf(named["never"]),
  };
  return complete(parts, message.data, options, policy, faults);
}

/** The options of a submit by header. */
const headerParts: Readonly<Record<string, string>> = {
  [H.id]: "id",
  [H.correlationId]: "correlationId",
  [H.resource]: "resource",
  [H.arguments]: "arguments",
  [H.tags]: "tags",
  [H.delay]: "delay",
  [H.notBefore]: "notBefore",
  [H.retryNever]: "never",
};
const headerNames: ReadonlyMap<string, string> = new Map([
  ...Object.entries(headerParts).map(
    ([header, option]) => [option === "never" ? "retry.never" : option, header] as const,
  ),
  ["contentType", H.contentType],
]);
const submitHeaders: ReadonlySet<string> = new Set([
  ...askingHeaders,
  ...numberHeaders.keys(),
  ...Object.keys(headerParts),
]);

/** Reads a task of a batch, of the command line or of the SDK. Throws `InvalidError` with an issue for each fault. */
export function parseTaskRequest(input: unknown): Submission {
  const faults = new Faults();
  if (!isMap(input)) throw new InvalidError("INVALID_BODY", "a task must be an object with at least a driver");
  const options: Record<string, number> = {};
  const policy: Record<string, number> = {};
  const retryInput = input["retry"];
  if (retryInput !== undefined && !isMap(retryInput)) faults.add("retry", "INVALID_OPTION", "must be an object");
  const retryMap = isMap(retryInput) ? retryInput : {};
  for (const name of Object.keys(input))
    if (!requestFields.has(name))
      unknownName(name, name, { kind: "option", names: requestFields, page: "protocol" }, faults);
  for (const name of Object.keys(retryMap))
    if (!retryFields.has(name))
      unknownName(`retry.${name}`, name, { kind: "option", names: retryFields, page: "protocol" }, faults);
  for (const field of numberFields) {
    const value = field.retry ? retryMap[field.path.slice("retry.".length)] : input[field.path];
    if (value !== undefined) takeNumber(field, field.path, value, field.retry ? policy : options, faults);
  }
  const { data, contentType } = payloadOf(input, faults);
  const parts: Parts = {
    spelled: (option) => option,
    driver: input["driver"],
    id: input["id"],
    correlationId: input["correlationId"],
    resource: input["resource"],
    arguments: input["arguments"],
    contentType: input["contentType"] ?? contentType,
    tags: input["tags"],
    delay: input["delay"],
    notBefore: input["notBefore"],
    never: retryMap["never"],
  };
  return complete(parts, data, options, policy, faults);
}

function payloadOf(
  input: Readonly<Record<string, unknown>>,
  faults: Faults,
): { data: Uint8Array; contentType?: string } {
  const { payload, text, base64 } = input;
  if ([payload, text, base64].filter((value) => value !== undefined).length > 1) {
    faults.add("payload", "INVALID_OPTION", "give one of payload, text and base64");
  }
  if (payload instanceof Uint8Array) return { data: payload };
  if (text !== undefined) {
    if (typeof text !== "string") faults.add("text", "INVALID_OPTION", "must be a string");
    else whole("text", text, faults);
    return { data: Buffer.from(typeof text === "string" ? text : ""), contentType: TEXT_TYPE };
  }
  if (base64 !== undefined) {
    const valid = typeof base64 === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(base64) && base64.length % 4 === 0;
    if (!valid) faults.add("base64", "INVALID_OPTION", "must be base64");
    return { data: valid ? Buffer.from(base64, "base64") : new Uint8Array(), contentType: BYTES_TYPE };
  }
  if (payload === undefined) return { data: new Uint8Array() };
  const fault = faultOfJson(payload, "payload");
  if (fault !== undefined) {
    faults.add(fault.path, "INVALID_OPTION", fault.text);
    return { data: new Uint8Array() };
  }
  return { data: Buffer.from(JSON.stringify(payload)), contentType: JSON_TYPE };
}

function complete(
  parts: Parts,
  payload: Uint8Array,
  options: Record<string, number>,
  policy: Record<string, number>,
  faults: Faults,
): Submission {
  const { driver, id, spelled } = parts;
  if (typeof driver !== "string" || !isName(driver))
    faults.add("driver", "INVALID_DRIVER", `must be 1 to 64 letters, digits, "_" or "-"`);
  if (id !== undefined && (typeof id !== "string" || !isId(id)))
    faults.add(spelled("id"), "INVALID_ID", `must be 1 to 128 letters, digits, "_" or "-"`);
  const never = words(spelled("retry.never"), parts.never, taskLimits.neverCodes, taskLimits.tagLength, faults);
  const tags = words(spelled("tags"), parts.tags, taskLimits.tags, taskLimits.tagLength, faults);
  const correlationId = text(spelled("correlationId"), parts.correlationId, 128, faults);
  const resource = text(spelled("resource"), parts.resource, taskLimits.resourceLength, faults);
  const contentType = text(spelled("contentType"), parts.contentType, taskLimits.contentTypeLength, faults);
  const agentArguments = argumentsMap(spelled("arguments"), parts.arguments, faults);
  const delayMs =
    parts.delay === undefined ? 0 : (duration(spelled("delay"), parts.delay, 0, taskLimits.maxDurationMs, faults) ?? 0);
  const notBefore = parts.notBefore === undefined ? undefined : time(spelled("notBefore"), parts.notBefore, faults);
  if (parts.delay !== undefined && parts.notBefore !== undefined)
    faults.add(spelled("delay"), "INVALID_OPTION", `cannot be given beside ${spelled("notBefore")}: give one of them`);
  faults.throwIfAny();

  const spec: { -readonly [K in keyof Submission["spec"]]: Submission["spec"][K] } = {
    driver: driver as string,
    payload,
  };
  if (id !== undefined) spec.id = id as string;
  if (contentType !== undefined) spec.contentType = contentType;
  if (correlationId !== undefined) spec.correlationId = correlationId;
  if (resource !== undefined) spec.resource = resource;
  if (agentArguments !== undefined) spec.arguments = agentArguments;
  if (tags !== undefined) spec.tags = tags;
  if (notBefore !== undefined) spec.notBefore = notBefore;
  const sparse = sparseOptions(options, policy, never);
  if (sparse !== undefined) spec.options = sparse;
  return { spec, delayMs };
}

function sparseOptions(
  options: Record<string, number>,
  policy: Record<string, number>,
  never: readonly string[] | undefined,
): SparseTaskOptions | undefined {
  const hasPolicy = never !== undefined || Object.keys(policy).length > 0;
  if (!hasPolicy && Object.keys(options).length === 0) return undefined;
  return hasPolicy ? { ...options, retry: never === undefined ? policy : { ...policy, never } } : options;
}

function parseJsonHeader(name: string, value: string, faults: Faults): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return faults.add(name, "INVALID_OPTION", "must be a JSON object of texts");
  }
}

function listOf(value: string | undefined): string[] | undefined {
  return value === undefined || value === ""
    ? undefined
    : value.split(",").map((item) => item.replaceAll(/^[ \t]+|[ \t]+$/g, ""));
}
