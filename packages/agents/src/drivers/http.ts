import { InvalidError, RetryableError, TerminalError, isErgonError } from "@ergon/core";
import { Agent, request as send } from "undici";
import type { Dispatcher } from "undici";

import type { Attempt } from "../attempt.ts";
import type { DriverDefinition } from "../driver.ts";
import type { AttemptResponse } from "../response.ts";
import { createAddressGuard, createGuardedConnector } from "./address-guard.ts";
import { describeUrl, invalid, readFailing, readRequest, redirected } from "./http-request.ts";
import type { HttpRequest } from "./http-request.ts";
import { parseStatusList } from "./status-list.ts";

export interface HttpDriverOptions {
  /** The driver's name. @defaultValue "http" */
  readonly driver?: string | undefined;
  /** The most requests that run at once. @defaultValue 100 */
  readonly concurrency?: number | undefined;
  /**
   * The addresses, in addition to public ones, to which requests may go: ranges (`127.0.0.0/8`), or `"all"`. Everyone who may submit a task can
   * reach these through this agent. The addresses where clouds give secrets to machines do not count as public. @defaultValue none
   */
  readonly allow?: readonly string[] | "all" | undefined;
  /** The statuses that fail the attempt, unless the task's argument `agent.fail` says otherwise: `500-599,404`, `none`. @defaultValue "400-599" */
  readonly fail?: string | undefined;
  /** Largest response body, in bytes. @defaultValue 1 MiB */
  readonly responseLimit?: number | undefined;
  /** The effect of a larger body: it fails the task (`RESPONSE_TOO_LARGE`), or it is cut at the limit. @defaultValue "fail" */
  readonly overLimit?: "fail" | "cut" | undefined;
}

interface Settings {
  readonly dispatcher: Dispatcher;
  readonly fails: (status: number) => boolean;
  readonly responseLimit: number;
  readonly cuts: boolean;
}

const MAX_REDIRECTS = 5;
const MIB = 1_048_576;
const EXCERPT = 256;
const AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * Sends a request to the task's resource, an http or https URL, and returns the response's body with its content type.
 * Arguments: `agent.method` (default GET), `agent.fail` (see `fail`); every other argument that does not begin with `agent.` is a
 * header, by its name or as `headers.NAME`. The payload is the body of POST, PUT and PATCH. The agent follows up to 5 redirects, and sends no
 * `Authorization`, `Proxy-Authorization`, `Cookie` and `Host` to another origin.
 *
 * Fails with `HTTP_<status>`: 408, 425, 429 and 5xx allow a retry, not before their `Retry-After`; the others are final. An
 * unreachable target is `HTTP_UNREACHABLE` (allows a retry), a forbidden address `ADDRESS_REFUSED` (final), too many
 * redirects `HTTP_REDIRECTS` (final), an invalid request `INVALID_OPTION` (final). Messages contain neither credentials
 * nor the query of a URL. The agent sends the heartbeats.
 */
export function http(options: HttpDriverOptions = {}): DriverDefinition {
  const fails = parseStatusList(options.fail ?? "400-599");
  if (fails === undefined)
    throw new InvalidError("INVALID_OPTION", `fail is not a list of statuses such as 400-599: "${options.fail ?? ""}"`);
  const connect = createGuardedConnector(createAddressGuard(options.allow ?? []));
  // The attempt's deadline bounds the whole request; undici's own limits would only break long requests.
  const dispatcher = new Agent({ connect, headersTimeout: 0, bodyTimeout: 0 });
  const settings = {
    dispatcher,
    fails,
    responseLimit: options.responseLimit ?? MIB,
    cuts: options.overLimit === "cut",
  };
  return {
    driver: options.driver ?? "http",
    concurrency: options.concurrency ?? 100,
    heartbeats: "agent",
    handler: (attempt) => run(attempt, settings),
    close: () => dispatcher.destroy(),
  };
}

async function run(attempt: Attempt, settings: Settings): Promise<AttemptResponse> {
  const fails = readFailing(attempt, settings.fails);
  let request = readRequest(attempt);
  try {
    for (let hops = 0; ; hops++) {
      const response = await ask(request, attempt, settings);
      const location = headerOf(response, "location");
      if (location !== undefined && [301, 302, 303, 307, 308].includes(response.statusCode)) {
        await response.body.dump();
        if (hops === MAX_REDIRECTS)
          throw new TerminalError(
            "HTTP_REDIRECTS",
            `more than ${MAX_REDIRECTS} redirects, the last from ${describeUrl(request.url)}`,
          );
        request = redirected(request, response.statusCode, location);
        continue;
      }
      const data = await readBody(response, request, settings);
      if (fails(response.statusCode)) throw statusFailure(request, response, data);
      return { data, contentType: headerOf(response, "content-type") };
    }
  } catch (error) {
    if (attempt.signal.aborted) throw attempt.signal.reason;
    throw translate(error, request);
  }
}

function ask(request: HttpRequest, attempt: Attempt, { dispatcher }: Settings): Promise<Dispatcher.ResponseData> {
  const { method, headers, body } = request;
  return send(request.url, {
    dispatcher,
    method: method as Dispatcher.HttpMethod,
    headers,
    body: body ?? null,
    signal: attempt.signal,
  });
}

async function readBody(
  response: Dispatcher.ResponseData,
  request: HttpRequest,
  settings: Settings,
): Promise<Uint8Array> {
  const { responseLimit, cuts } = settings;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    chunks.push(chunk);
    // Leaving the loop destroys the body, and with it the connection.
    if (size > responseLimit) break;
  }
  if (size > responseLimit && !cuts && !settings.fails(response.statusCode)) {
    throw new TerminalError(
      "RESPONSE_TOO_LARGE",
      `the response of ${describeUrl(request.url)} has more than ${responseLimit} bytes`,
    );
  }
  return Buffer.concat(chunks, Math.min(size, responseLimit));
}

function statusFailure(request: HttpRequest, response: Dispatcher.ResponseData, data: Uint8Array): Error {
  const { statusCode } = response;
  const excerpt = Buffer.from(data).toString("utf8", 0, EXCERPT).trim();
  const message = `${request.method} ${describeUrl(request.url)} was answered ${statusCode}${excerpt === "" ? "" : `: ${excerpt}`}`;
  if (statusCode < 500 && !AGAIN.has(statusCode)) return new TerminalError(`HTTP_${statusCode}`, message);
  const retryAfterMs = readRetryAfter(headerOf(response, "retry-after"));
  return new RetryableError(`HTTP_${statusCode}`, message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

/** Seconds, or a date. */
function readRetryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function translate(error: unknown, request: HttpRequest): unknown {
  if (isErgonError(error)) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const text = code === "" ? "it failed" : code;
  if (code === "UND_ERR_INVALID_ARG") return invalid("a header of the request cannot be sent", error);
  return new RetryableError("HTTP_UNREACHABLE", `${describeUrl(request.url)} is unreachable: ${text}`, {
    cause: error,
  });
}

function headerOf(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
