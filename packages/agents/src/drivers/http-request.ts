import { TerminalError } from "@ergon/core";

import type { Attempt } from "../attempt.ts";
import { parseStatusList } from "./status-list.ts";
import type { StatusList } from "./status-list.ts";

/** A request to one URL; a redirect turns it into another request. */
export interface HttpRequest {
  readonly url: URL;
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);
/** Headers that frame the message: the connection sets them, not the task. */
const RESERVED: ReadonlySet<string> = new Set([
  ...[
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
  ],
]);
/** Headers for the origin in the task's URL, and for no other origin. */
const OF_ORIGIN = ["authorization", "cookie", "host", "proxy-authorization"] as const;
const OF_BODY = ["content-encoding", "content-language", "content-location", "content-type"] as const;

/** The request that a task asks for. Throws `TerminalError` (`INVALID_OPTION`). */
export function readRequest(attempt: Attempt): HttpRequest {
  const method = (attempt.arguments["agent.method"] ?? "GET").toUpperCase();
  if (!METHODS.has(method)) throw invalid(`argument agent.method cannot be "${method.slice(0, 20)}"`);
  const headers = readHeaders(attempt.arguments);
  const body = WITH_BODY.has(method) ? attempt.payload : undefined;
  if (body !== undefined && attempt.contentType !== undefined) headers["content-type"] ??= attempt.contentType;
  const url = readUrl(attempt.resource ?? "", undefined);
  if (url.username !== "" || url.password !== "") headers["authorization"] ??= basicAuthorization(url);
  return { url, method, headers, body };
}

/** The failing statuses: those of the task, or else those of the agent. */
export function readFailing(attempt: Attempt, otherwise: StatusList): StatusList {
  const text = attempt.arguments["agent.fail"];
  if (text === undefined) return otherwise;
  const list = parseStatusList(text);
  if (list === undefined)
    throw invalid(`argument agent.fail is not a list of statuses such as 400-599: "${text.slice(0, 40)}"`);
  return list;
}

/** The request after a redirect, as in `fetch`. To another origin it goes without the task's credentials and `Host`. */
export function redirected(request: HttpRequest, status: number, location: string): HttpRequest {
  const url = readUrl(location, request.url);
  const headers = { ...request.headers };
  if (url.origin !== request.url.origin) for (const name of OF_ORIGIN) delete headers[name];
  const becomesGet = (status === 303 && request.method !== "HEAD") || (status < 303 && request.method === "POST");
  if (!becomesGet) return { ...request, url, headers };
  for (const name of OF_BODY) delete headers[name];
  return { url, method: "GET", headers, body: undefined };
}

/** A URL for messages: without user, password and query, which may be secret. */
export function describeUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

function readHeaders(args: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(args)) {
    if (name.startsWith("agent.")) continue;
    const header = (name.startsWith("headers.") ? name.slice("headers.".length) : name).toLowerCase();
    if (RESERVED.has(header)) throw invalid(`argument ${name} sets a header that is the agent's own`);
    headers[header] = value;
  }
  return headers;
}

function readUrl(text: string, base: URL | undefined): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw invalid(
    base === undefined
      ? "the task's resource must be an http or https URL"
      : `${describeUrl(base)} redirects to what is not an http or https URL`,
  );
}

function basicAuthorization(url: URL): string {
  try {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    return `Basic ${Buffer.from(pair).toString("base64")}`;
  } catch (cause) {
    throw invalid("user and password in the task's resource are not percent-encoded UTF-8", cause);
  }
}

export function invalid(message: string, cause?: unknown): TerminalError {
  return new TerminalError("INVALID_OPTION", message, { cause });
}
