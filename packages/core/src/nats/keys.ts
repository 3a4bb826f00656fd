import { UnavailableError } from "../base/errors.ts";
import { silenceOf } from "./api.ts";
import { apiFailure, isFenced, isMessageMissing, isUndecided, unreachable } from "./errors.ts";
import type { ApiError } from "./errors.ts";
import { encodeHeaders, findHeader } from "./headers.ts";
import type { NatsLink } from "./link.ts";
import { asBuffer } from "./message.ts";
import type { NatsMessage } from "./message.ts";
import type { Silence } from "./replies.ts";

/** A key's last message. */
interface Entry {
  readonly data: Uint8Array;
  /** True if the message only marks that the key was deleted or has expired. */
  readonly gone: boolean;
  readonly revision: number;
}

export type PutResult =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly error: ApiError };

/** Reads and writes single keys of one bucket, off the hot path. */
export interface Keys {
  readonly stream: string;
  readonly replicas: number;
  subject(key: string): string;
  /** Returns the present value, as the stream's leader knows it. */
  read(key: string): Promise<Entry | undefined>;
  /** Writes over any present value. Throws when the write fails. */
  put(
    key: string,
    data: Uint8Array,
    options?: { readonly ttlMs?: number; readonly deleted?: boolean },
  ): Promise<number>;
  /** Writes if the key's last revision is `expected` (0 for a key that was never written). */
  swap(key: string, data: Uint8Array, expected: number, ttlMs?: number): Promise<PutResult>;
  /** Writes unless the key has a value, and returns the value that the key then has. */
  create(key: string, data: Uint8Array, ttlMs?: number): Promise<Entry>;
}

const TIMEOUT_MS = 5_000;
/** The headers of a deletion and of an expiry. */
const GONE = ["KV-Operation", "Nats-Marker-Reason"] as const;

/** Returns true if a message says that its key is deleted or has expired. */
export const isGoneHeader = (message: NatsMessage): boolean => GONE.some((name) => message.header(name) !== undefined);

/** Formats a time to live for its header, in whole seconds, rounded up, and at least one. */
export const ttlHeader = (ttlMs: number): string => String(Math.max(1, Math.ceil(ttlMs / 1_000)));

export function createKeys(link: NatsLink, bucket: string, replicas: number): Keys {
  const stream = `KV_${bucket}`;
  const prefix = `$KV.${bucket}.`;

  const publish = (key: string, data: Uint8Array, headers: Readonly<Record<string, string>>): Promise<PutResult> =>
    publishStored(link, `write of ${bucket}/${key}`, prefix + key, data, headers);

  const swap: Keys["swap"] = async (key, data, expected, ttlMs) => {
    const headers: Record<string, string> = { "Nats-Expected-Last-Subject-Sequence": String(expected) };
    if (ttlMs !== undefined) headers["Nats-TTL"] = ttlHeader(ttlMs);
    const end = link.clock.monotonic() + TIMEOUT_MS;
    for (;;) {
      const result = await publish(key, data, headers);
      // Another check of this key is in progress. The next answer takes a round trip, so this loop does not spin.
      if (result.ok || !isUndecided(result.error) || link.clock.monotonic() > end) return result;
    }
  };

  const read: Keys["read"] = async (key) => {
    const body = { last_by_subj: prefix + key };
    const answer = await link.api.ask<{
      readonly message: { readonly seq: number; readonly data?: string; readonly hdrs?: string };
    }>(`STREAM.MSG.GET.${stream}`, body);
    if (answer.ok) {
      const { seq, data = "", hdrs = "" } = answer.value.message;
      const block = Buffer.from(hdrs, "base64").toString("utf8");
      return {
        revision: seq,
        data: Buffer.from(data, "base64"),
        gone: GONE.some((name) => findHeader(block, name) !== undefined),
      };
    }
    if (isMessageMissing(answer.error)) return undefined;
    throw apiFailure(`read of ${bucket}/${key}`, answer.error);
  };

  return {
    stream,
    replicas,
    subject: (key) => prefix + key,
    read,
    swap,
    put: async (key, data, { ttlMs, deleted } = {}) => {
      const headers: Record<string, string> = {};
      if (ttlMs !== undefined) headers["Nats-TTL"] = ttlHeader(ttlMs);
      if (deleted === true) headers["KV-Operation"] = "DEL";
      const result = await publish(key, data, headers);
      if (result.ok) return result.revision;
      throw apiFailure(`write of ${bucket}/${key}`, result.error);
    },
    create: async (key, data, ttlMs) => {
      for (;;) {
        const standing = await read(key);
        if (standing !== undefined && !standing.gone) return standing;
        // A deleted or expired key may have left a marker. The write must then replace the marker's revision.
        const result = await swap(key, data, standing?.revision ?? 0, ttlMs);
        if (result.ok) return { data, revision: result.revision, gone: false };
        if (!isFenced(result.error)) throw apiFailure(`write of ${bucket}/${key}`, result.error);
      }
    },
  };
}

/** Publishes to a stream and returns its answer. Errors name `what`. Throws when no answer comes. */
export function publishStored(
  link: NatsLink,
  what: string,
  subject: string,
  data: Uint8Array,
  headers: Readonly<Record<string, string>>,
): Promise<PutResult> {
  return new Promise((resolve, reject) => {
    const waiter = {
      answer: (message: NatsMessage): boolean => {
        if (message.noResponders)
          reject(new UnavailableError("STORE_UNAVAILABLE", `${what}: the bucket has no leader`));
        else resolve(readAcknowledgement(message));
        return true;
      },
      fail: (why: Silence) => reject(silenceOf(what, why)),
    };
    if (link.status !== "connected") return reject(unreachable());
    link.replies.ask(subject, data, encodeHeaders(headers), TIMEOUT_MS, waiter);
  });
}

/** A stream's answer to a message that it stored or refused. */
export function readAcknowledgement(message: NatsMessage): PutResult {
  const answer = JSON.parse(asBuffer(message.data).toString("utf8")) as {
    readonly seq: number;
    readonly error?: ApiError;
  };
  return answer.error === undefined ? { ok: true, revision: answer.seq } : { ok: false, error: answer.error };
}
