/**
 * Every code that a user can meet, with its kind, which says how to react, and a status in the style of HTTP, which
 * goes into `Nats-Service-Error-Code`. Codes are API and never change their meaning; texts may change (NATS ADR-7).
 * `docs/errors.md` explains each code; a test compares the two.
 */
export const errorCodes = {
  INVALID_ID: { kind: "invalid", status: 400 },
  INVALID_DRIVER: { kind: "invalid", status: 400 },
  INVALID_OPTION: { kind: "invalid", status: 400 },
  UNKNOWN_OPTION: { kind: "invalid", status: 400 },
  INVALID_BODY: { kind: "invalid", status: 400 },
  INVALID_SUBJECT: { kind: "invalid", status: 400 },
  INVALID_CONFIGURATION: { kind: "invalid", status: 400 },
  UNSUPPORTED_CONTENT_TYPE: { kind: "invalid", status: 415 },
  PAYLOAD_TOO_LARGE: { kind: "invalid", status: 413 },
  BATCH_REJECTED: { kind: "invalid", status: 400 },
  NOT_PERMITTED: { kind: "invalid", status: 403 },
  NOT_SERIALISABLE: { kind: "invalid", status: 422 },

  TASK_NOT_FOUND: { kind: "not-found", status: 404 },
  MACHINE_NOT_FOUND: { kind: "not-found", status: 404 },

  ID_CONFLICT: { kind: "conflict", status: 409 },
  TASK_ENDED: { kind: "conflict", status: 409 },
  TASK_NOT_FAILED: { kind: "conflict", status: 409 },
  TASK_UNREADABLE: { kind: "conflict", status: 409 },
  EVENT_NOT_ACCEPTED: { kind: "conflict", status: 409 },
  MIGRATION_FAILED: { kind: "conflict", status: 409 },
  AGENT_REPLACED: { kind: "conflict", status: 409 },

  ATTEMPT_STALE: { kind: "stale", status: 410 },

  NO_NODE: { kind: "unavailable", status: 503 },
  NODE_STOPPING: { kind: "unavailable", status: 503 },
  SHARD_MOVED: { kind: "unavailable", status: 503 },
  BATCH_GAVE_WAY: { kind: "unavailable", status: 503 },
  OVERLOADED: { kind: "unavailable", status: 429 },
  STORE_UNAVAILABLE: { kind: "unavailable", status: 503 },
  STORE_FULL: { kind: "unavailable", status: 507 },
  REQUEST_TIMEOUT: { kind: "unavailable", status: 504 },
  NATS_UNREACHABLE: { kind: "unavailable", status: 503 },
  SERVER_UNSUITABLE: { kind: "terminal", status: 500 },

  AGENT_FAILED: { kind: "retryable", status: 500 },
  ATTEMPT_TIMEOUT: { kind: "retryable", status: 504 },
  HEARTBEAT_TIMEOUT: { kind: "retryable", status: 504 },
  AGENT_BUSY: { kind: "retryable", status: 429 },
  QUEUE_TIMEOUT: { kind: "terminal", status: 504 },
  TOTAL_TIMEOUT: { kind: "terminal", status: 504 },
  AGENTS_LOST: { kind: "terminal", status: 500 },
  RESPONSE_TOO_LARGE: { kind: "terminal", status: 413 },
  TASK_CANCELLED: { kind: "terminal", status: 499 },
  MACHINE_FAILED: { kind: "terminal", status: 500 },
  RECORD_TOO_LARGE: { kind: "terminal", status: 413 },
  ENDED_BY_FORCE: { kind: "terminal", status: 499 },
  INTERNAL: { kind: "terminal", status: 500 },
} as const;

/**
 * The reaction to an error:
 * `invalid`: fix the input. `not-found`, `conflict`: the request does not fit the stored state. `stale`: the attempt is
 * no longer the current one; stop it. `unavailable`: retry. `retryable`: this attempt failed, another one may succeed.
 * `terminal`: there is no retry.
 */
export type ErrorKind = "invalid" | "not-found" | "conflict" | "stale" | "unavailable" | "retryable" | "terminal";

export type ErrorCode = keyof typeof errorCodes;

/** One fault of an input, by the name of its field. */
export interface Issue {
  readonly field: string;
  readonly code: string;
  readonly message: string;
}

export interface ErgonErrorOptions {
  readonly cause?: unknown;
  /** The input's faults, when there are several or when they have field names. */
  readonly issues?: readonly Issue[];
  /** The earliest time at which a retry makes sense. */
  readonly retryAfterMs?: number;
}

/**
 * The base of every error that Ergon throws. The class says how the runtime reacts, `code` gives the reason, and the text says what to do
 * next. The same class and code arrive in-process and over the wire. Test with {@link isErgonError}, not
 * `instanceof`: two copies of the package may be loaded.
 */
export class ErgonError extends Error {
  override readonly name: string = "ErgonError";
  /** The stable reason: one of {@link errorCodes}, or an agent's own. */
  readonly code: string;
  readonly kind: ErrorKind;
  readonly issues: readonly Issue[];
  readonly retryAfterMs: number | undefined;

  constructor(kind: ErrorKind, code: string, message: string, options: ErgonErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.issues = options.issues ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The number for `Nats-Service-Error-Code`. */
  get status(): number {
    return isErrorCode(this.code) ? errorCodes[this.code].status : this.kind === "invalid" ? 400 : 500;
  }
}

/** The input must be fixed; nothing was stored. */
export class InvalidError extends ErgonError {
  override readonly name = "InvalidError";
  constructor(code: ErrorCode, message: string, options?: ErgonErrorOptions) {
    super("invalid", code, message, options);
  }
}

/** No such actor, live or retained. */
export class NotFoundError extends ErgonError {
  override readonly name = "NotFoundError";
  constructor(code: ErrorCode, message: string, options?: ErgonErrorOptions) {
    super("not-found", code, message, options);
  }
}

/** The request does not fit the stored state; repeating it will not help. */
export class ConflictError extends ErgonError {
  override readonly name = "ConflictError";
  constructor(code: ErrorCode, message: string, options?: ErgonErrorOptions) {
    super("conflict", code, message, options);
  }
}

/** The attempt is no longer the current one: its outcome is ignored, so stop it. */
export class StaleError extends ErgonError {
  override readonly name = "StaleError";
  constructor(message: string, options?: ErgonErrorOptions) {
    super("stale", "ATTEMPT_STALE", message, options);
  }
}

/** Something is out of reach or full; the same request may succeed later. */
export class UnavailableError extends ErgonError {
  override readonly name = "UnavailableError";
  constructor(code: ErrorCode, message: string, options?: ErgonErrorOptions) {
    super("unavailable", code, message, options);
  }
}

/** The work failed and must not be tried again. Handlers throw it for final failures. */
export class TerminalError extends ErgonError {
  override readonly name = "TerminalError";
  constructor(code: string, message: string, options?: ErgonErrorOptions) {
    super("terminal", code, message, options);
  }
}

/** The work failed; the retry policy decides whether it is tried again, not before `retryAfterMs`. */
export class RetryableError extends ErgonError {
  override readonly name = "RetryableError";
  constructor(code: string, message: string, options?: ErgonErrorOptions) {
    super("retryable", code, message, options);
  }
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}

/** Returns true if `error` is an Ergon error, from any copy of the package. */
export function isErgonError(error: unknown): error is ErgonError {
  return error instanceof Error && "code" in error && "kind" in error && "issues" in error;
}

/** Rebuilds the class from what the wire carries. A kind this version does not know counts as terminal (M-21). */
export function errorFrom(kind: string, code: string, message: string, options?: ErgonErrorOptions): ErgonError {
  const known = code as ErrorCode;
  switch (kind) {
    case "invalid":
      return new InvalidError(known, message, options);
    case "not-found":
      return new NotFoundError(known, message, options);
    case "conflict":
      return new ConflictError(known, message, options);
    case "stale":
      return new StaleError(message, options);
    case "unavailable":
      return new UnavailableError(known, message, options);
    case "retryable":
      return new RetryableError(code, message, options);
    default:
      return new TerminalError(code, message, options);
  }
}

/** The text of anything thrown, without its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns true if an error says that there is no connection to NATS. */
export function isUnreachable(error: unknown): boolean {
  return isErgonError(error) && error.code === "NATS_UNREACHABLE";
}
