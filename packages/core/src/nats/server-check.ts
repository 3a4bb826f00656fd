import { ErgonError } from "../base/errors.ts";
import type { NatsLink } from "./connection.ts";
import { apiFailure } from "./errors.ts";

/** Atomic batches, per-key time to live and schedules with time zones: all of them are there from here on. */
const REQUIRED = [2, 14] as const;

/** Throws `SERVER_UNSUITABLE` or `NOT_PERMITTED`, saying what to do. */
export async function checkServer(link: Pick<NatsLink, "connection" | "api">): Promise<void> {
  const version = link.connection.info?.version ?? "unknown";
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
    throw new ErgonError("terminal", "SERVER_UNSUITABLE", `nats-server is ${version}; Ergon needs ${REQUIRED.join(".")} or later: upgrade the server`);
  }
  const answer = await link.api.ask("INFO");
  if (!answer.ok) throw apiFailure("INFO", answer.error);
}
