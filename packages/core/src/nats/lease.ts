import { InvalidError } from "../base/errors.ts";
import type { LeaseStore } from "../ports/lease.ts";
import type { Keys } from "./keys.ts";
import type { NatsLink } from "./link.ts";
import { watchKeys } from "./watch.ts";

/** The time for which the end of a session is kept, for watchers that were disconnected. */
const GOODBYE_MS = 60_000;
const NOTHING = new Uint8Array(0);
const TOKEN = /^[A-Za-z0-9_=-]{1,200}$/;

/** The leases of a namespace in one bucket. The server counts each key's time to live, and leaves a marker when it is over. */
export function createNatsLeases(link: NatsLink, keys: Keys): LeaseStore {
  return {
    renew: async (id, data, ttlMs) => {
      await keys.put(sessionKey(id), data, { ttlMs });
    },
    end: async (id) => {
      await keys.put(sessionKey(id), NOTHING, { ttlMs: GOODBYE_MS, deleted: true });
    },
    watch: (handler) => {
      const source = { stream: keys.stream, filter: keys.subject("session.*"), prefix: keys.subject("session.") };
      return watchKeys(link, source, ({ key, data, gone, revision }) => {
        handler({ id: key, data: gone ? undefined : data, revision });
      });
    },
    writeMark: async (shard, data) => {
      await keys.put(`mark.${shard}`, data);
    },
    readMark: async (shard) => {
      const entry = await keys.read(`mark.${shard}`);
      return entry === undefined || entry.gone ? undefined : entry.data;
    },
    decide: async (key, value, ttlMs) => {
      const standing = await keys.create(`decision.${requireToken("key", key)}`, Buffer.from(value), ttlMs);
      return Buffer.from(standing.data).toString("utf8");
    },
  };
}

const sessionKey = (id: string): string => `session.${requireToken("session", id)}`;

function requireToken(what: string, text: string): string {
  if (TOKEN.test(text)) return text;
  throw new InvalidError(
    "INVALID_OPTION",
    `${what} ${JSON.stringify(text)} is not 1 to 200 letters, digits, "_", "=" or "-"`,
  );
}
