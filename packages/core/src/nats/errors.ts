import { errors as natsErrors } from "@nats-io/nats-core";

import { ErgonError, UnavailableError, messageOf } from "../base/errors.ts";
import type { CommitResult } from "../ports/store.ts";

// Only this file knows the errors of NATS by number, class or text.

/** The server's answer when it has no result. */
export interface ApiError {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

const FENCED = 10071;
/** Another check of the same subject is in progress (replicated streams only). The server stored nothing, and a repetition may succeed. */
const UNDECIDED: ReadonlySet<number> = new Set([10163, 10164]);
/** The limits of accounts, memory, storage and streams. */
const FULL: ReadonlySet<number> = new Set([10002, 10023, 10028, 10047, 10122]);
const TOO_LARGE: ReadonlySet<number> = new Set([10054, 10097]);
/** The store refused a write for a reason that only its text gives. */
const STORE_FAILED = 10077;
const FULL_TEXT = /maximum (bytes|messages)|no space|insufficient|limit/i;
const STREAM_NOT_FOUND = 10059;
const NO_MESSAGE = 10037;
const NAME_IN_USE = 10058;
/** The cluster has too few servers for the replicas, or there is no cluster. */
const NO_PEERS: ReadonlySet<number> = new Set([10005, 10074]);
const NOT_ENABLED: ReadonlySet<number> = new Set([10039, 10076]);
/** The meta leader is missing, or another server is the leader. Both pass in a moment. */
const PASSING: ReadonlySet<number> = new Set([10008, 10009, 10118, 10194]);

export const isFenced = (error: ApiError): boolean => error.err_code === FENCED;
export const isUndecided = (error: ApiError): boolean => UNDECIDED.has(error.err_code ?? 0);
export const isStreamMissing = (error: ApiError): boolean => error.err_code === STREAM_NOT_FOUND;
export const isMessageMissing = (error: ApiError): boolean => error.err_code === NO_MESSAGE;
export const isNameInUse = (error: ApiError): boolean => error.err_code === NAME_IN_USE;
export const isPassing = (error: ApiError): boolean => PASSING.has(error.err_code ?? 0);

/** Any refusal of a write except `fenced` and undecided. */
export function refusalOf(error: ApiError): CommitResult & { readonly kind: "refused" } {
  const number = error.err_code ?? 0;
  const text = error.description ?? `error ${number}`;
  const message = `the server refused the write: ${text} (${number})`;
  if (TOO_LARGE.has(number)) return { kind: "refused", code: "PAYLOAD_TOO_LARGE", message };
  const isFull = FULL.has(number) || (number === STORE_FAILED && FULL_TEXT.test(text));
  return { kind: "refused", code: isFull ? "STORE_FULL" : "STORE_UNAVAILABLE", message };
}

/** Converts an error of the JetStream API for a caller that cannot go on. */
export function apiFailure(what: string, error: ApiError): ErgonError {
  const number = error.err_code ?? 0;
  const text = error.description ?? `error ${error.code}`;
  if (NOT_ENABLED.has(number)) return noJetStream();
  if (NO_PEERS.has(number)) {
    return new ErgonError(
      "terminal",
      "SERVER_UNSUITABLE",
      `${what}: ${text}. Ask for fewer replicas, or start as many servers with JetStream`,
    );
  }
  if (FULL.has(number)) return new UnavailableError("STORE_FULL", `${what}: ${text} (${number})`);
  return new UnavailableError("STORE_UNAVAILABLE", `${what}: ${text} (${number})`);
}

export function noJetStream(): ErgonError {
  return new ErgonError(
    "terminal",
    "SERVER_UNSUITABLE",
    "JetStream is off on this server or account: start nats-server with `-js` or `jetstream {}`, or enable it for the account",
  );
}

export function notPermitted(what: string): ErgonError {
  return new ErgonError(
    "invalid",
    "NOT_PERMITTED",
    `the NATS user may not ${what}: grant it in the server's or the account's permissions`,
  );
}

export function unreachable(): UnavailableError {
  return new UnavailableError("NATS_UNREACHABLE", "the connection to NATS is lost; the client reconnects by itself");
}

/** Returns the subject that the user may not publish or subscribe to, if the error names one. */
export function deniedSubject(
  error: Error,
): { readonly operation: "publish" | "subscription"; readonly subject: string } | undefined {
  if (!(error instanceof natsErrors.PermissionViolationError)) return undefined;
  return { operation: error.operation, subject: error.subject };
}

/** Returns the error for a failed connection. `where` names the servers without a user's name or password. */
export function connectFailure(error: unknown, where: string): ErgonError {
  if (error instanceof natsErrors.AuthorizationError || error instanceof natsErrors.UserAuthenticationExpiredError) {
    return new ErgonError(
      "invalid",
      "NOT_PERMITTED",
      `NATS at ${where} refuses the credentials: check user and password, token, nkey or creds file`,
    );
  }
  const reason = whyNot(error);
  return new UnavailableError("NATS_UNREACHABLE", `no connection to NATS at ${where}: ${reason}`);
}

/** Returns true if another try to connect may succeed. */
export function isWorthRetrying(error: ErgonError): boolean {
  return error.code === "NATS_UNREACHABLE";
}

/** Returns the reason in words that hold no secret. Known classes and system codes have a text; all other errors give only their class. */
function whyNot(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "ECONNREFUSED") return "connection refused; is nats-server running there?";
  if (/^[A-Z][A-Z0-9_]+$/.test(code)) return code;
  if (error instanceof natsErrors.TimeoutError) return "no answer in time";
  if (error instanceof natsErrors.ConnectionError) return messageOf(error);
  return error instanceof Error ? error.name : "unknown reason";
}
