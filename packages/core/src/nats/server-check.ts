import { delay } from "../base/clock.ts";
import { ErgonError, isErgonError } from "../base/errors.ts";
import { apiFailure } from "./errors.ts";
import type { NatsLink } from "./link.ts";

/** The first version with atomic batches, per-key time to live, and schedules with time zones. */
const REQUIRED = [2, 14] as const;

const TRY_MS = 1_000;
const PAUSE_MS = 50;
/** The time in which a cluster that has just started elects its leader. */
const LEADER_MS = 5_000;

/** Throws `SERVER_UNSUITABLE` for a server that is too old. */
export function requireVersion(version = "unknown"): void {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
    throw new ErgonError(
      "terminal",
      "SERVER_UNSUITABLE",
      `nats-server is ${version}; Ergon needs ${REQUIRED.join(".")} or later: upgrade the server`,
    );
  }
}

/**
 * Throws `SERVER_UNSUITABLE` or `NOT_PERMITTED`, with advice, when JetStream is not available to the user. The servers of a cluster do not answer
 * before they have elected a leader, which takes a second or more after their start. This function waits for that.
 */
export async function requireJetStream({ api, clock }: Pick<NatsLink, "api" | "clock">): Promise<void> {
  const end = clock.monotonic() + LEADER_MS;
  for (;;) {
    try {
      const answer = await api.ask("INFO", undefined, TRY_MS);
      if (answer.ok) return;
      throw apiFailure("INFO", answer.error);
    } catch (error) {
      const mayPass = isErgonError(error) && error.code === "STORE_UNAVAILABLE";
      if (!mayPass || clock.monotonic() >= end) throw error;
      await delay(clock, PAUSE_MS);
    }
  }
}
