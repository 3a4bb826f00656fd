import { UnavailableError } from "@ergon/core";
import { delay } from "@ergon/core/engine";

import type { AgentsTable } from "../dispatch/agents-table.ts";
import type { NodeContext } from "../node-context.ts";

const LOOK_MS = 50;
/** The longest wait for agents. A node hears every agent within 1.5 s, unless it has lost NATS. */
const LONGEST_MS = 5_000;

/**
 * Lists the drivers among these that no agent announces. A node that has not listened long enough to have heard every agent first waits. Throws
 * `UnavailableError` if it cannot hear agents for longer than that.
 */
export async function unannounced(
  { clock }: NodeContext,
  agents: AgentsTable,
  drivers: Iterable<string>,
): Promise<ReadonlySet<string>> {
  const wanted = [...new Set(drivers)];
  const end = clock.monotonic() + LONGEST_MS;
  for (;;) {
    const missing = wanted.filter((driver) => agents.credits(driver).length === 0);
    if (missing.length === 0 || agents.isSettled(clock.monotonic())) return new Set(missing);
    if (clock.monotonic() >= end)
      throw new UnavailableError(
        "NATS_UNREACHABLE",
        "this node receives no beats of agents at present; send the request again",
      );
    await delay(clock, LOOK_MS);
  }
}
