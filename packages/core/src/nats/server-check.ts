import { delay } from "../base/clock.ts";
import { ErgonError, isErgonError } from "../base/errors.ts";
import type { NatsLink } from "./connection.ts";
import { apiFailure } from "./errors.ts";

/** Atomic batches, per-key time to live and schedules with time zones: all of them are there from here on. */
const REQUIRED = [2, 14] as const;

const TRY_MS = 1_000;
const PAUSE_MS = 50;

/**
 * Throws `SERVER_UNSUITABLE` or `NOT_PERMITTED`, saying what to do. Servers of a cluster say nothing before they have elected a leader, which
 * takes them a second or more after their start: that is waited for.
 */
export async function checkServer(
  link: Pick<NatsLink, "connection" | "api" | "clock">,
  patienceMs: number,
): Promise<void> {
  const version = link.connection.info?.version ?? "unknown";
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
    throw new ErgonError(
      "terminal",
      "SERVER_UNSUITABLE",
      `nats-server is ${version}; Ergon needs ${REQUIRED.join(".")} or later: upgrade the server`,
    );
  }
  const end = link.clock.monotonic() + patienceMs;
  for (;;) {
    try {
      const answer = await link.api.ask("INFO", undefined, TRY_MS);
      if (answer.ok) return;
      throw apiFailure("INFO", answer.error);
    } catch (error) {
      const mayPass = isErgonError(error) && error.code === "STORE_UNAVAILABLE";
      if (!mayPass || link.clock.monotonic() >= end) throw error;
      await delay(link.clock, PAUSE_MS);
    }
  }
}
