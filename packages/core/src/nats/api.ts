import { delay } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { UnavailableError, isErgonError } from "../base/errors.ts";
import type { ErgonError } from "../base/errors.ts";
import { apiFailure, isPassing, noJetStream, notPermitted, unreachable } from "./errors.ts";
import type { ApiError } from "./errors.ts";
import type { NatsMessage } from "./message.ts";
import { asBuffer } from "./message.ts";
import type { Replies, Silence } from "./replies.ts";

/** An answer of JetStream, which is the result or the reason for its absence. */
type ApiAnswer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ApiError };

/** Sends requests to JetStream's API, `$JS.API.…`. The adapters use it for setup and reads, and never on the hot path. */
export interface Api {
  /** Repeats a request until the server answers, even with an error. A stream without a leader gives no answer. Throws when the server stays silent. */
  ask<T>(what: string, body?: object, timeoutMs?: number): Promise<ApiAnswer<T>>;
  /** Sends a request, and throws the error of its answer. It retries a few times while a leader is missing. */
  demand<T>(what: string, body?: object): Promise<T>;
}

/** The time after which a request without an answer is repeated. All requests can be repeated. */
const TRY_MS = 2_000;
const TIMEOUT_MS = 10_000;
const TRIES = 20;
const PAUSE_MS = 250;
const NOTHING = new Uint8Array(0);

export function createApi(replies: Replies, clock: Clock): Api {
  const once = <T>(what: string, body: object | undefined, timeoutMs: number): Promise<ApiAnswer<T>> =>
    new Promise((resolve, reject) => {
      const data = body === undefined ? NOTHING : Buffer.from(JSON.stringify(body));
      const waiter = {
        answer: (message: NatsMessage): boolean => {
          if (message.noResponders) reject(noJetStream());
          else resolve(readAnswer<T>(message));
          return true;
        },
        fail: (why: Silence) => reject(silenceOf(what, why)),
      };
      try {
        replies.ask(`$JS.API.${what}`, data, undefined, timeoutMs, waiter);
      } catch {
        reject(unreachable());
      }
    });

  const ask = async <T>(what: string, body?: object, timeoutMs = TIMEOUT_MS): Promise<ApiAnswer<T>> => {
    const until = clock.monotonic() + timeoutMs;
    for (;;) {
      const left = until - clock.monotonic();
      try {
        return await once<T>(what, body, Math.min(TRY_MS, Math.max(1, left)));
      } catch (error) {
        const silent = isErgonError(error) && error.code === "STORE_UNAVAILABLE";
        if (!silent || clock.monotonic() >= until) throw error;
      }
    }
  };

  const demand = async <T>(what: string, body?: object): Promise<T> => {
    for (let tries = 1; ; tries++) {
      const answer = await ask<T>(what, body);
      if (answer.ok) return answer.value;
      if (!isPassing(answer.error) || tries === TRIES) throw apiFailure(what, answer.error);
      await delay(clock, PAUSE_MS);
    }
  };

  return { ask, demand };
}

function readAnswer<T>(message: NatsMessage): ApiAnswer<T> {
  const value = JSON.parse(asBuffer(message.data).toString("utf8")) as T & { readonly error?: ApiError };
  return value.error === undefined ? { ok: true, value } : { ok: false, error: value.error };
}

/** Returns the error for a missing answer of JetStream. */
export function silenceOf(what: string, why: Silence): ErgonError {
  if (why === "not-permitted") return notPermitted(`publish to $JS.API.${what}`);
  if (why === "timeout") return new UnavailableError("STORE_UNAVAILABLE", `JetStream did not answer ${what} in time`);
  return unreachable();
}
