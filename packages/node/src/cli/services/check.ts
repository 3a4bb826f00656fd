import { InvalidError } from "@ergon/core";
import { createMachineRegistry, createNames } from "@ergon/core/engine";
import { connectNats, inspectNats, openNats } from "@ergon/core/nats";

import { checkInstances, type CheckedGroup } from "../../check-instances.ts";
import { loadMachines } from "../../load-machines.ts";
import { loggerOf, type Session } from "../session.ts";

/** Checks every live instance against nodes that know only the machines of the settings. */
export async function examine({ settings, debug }: Session): Promise<readonly CheckedGroup[]> {
  const { nats, namespace, prefix } = settings;
  if (settings.machines.length === 0)
    throw new InvalidError(
      "INVALID_OPTION",
      "--machines is missing: add a module that exports the machines to check against",
    );
  const machines = createMachineRegistry(await loadMachines(settings.machines));
  const logger = await loggerOf(debug);
  const link = await connectNats({ name: "ergon check", ...nats }, { logger });
  try {
    const { shape } = await inspectNats(link, createNames(namespace, prefix));
    if (shape === undefined) return [];
    return await checkInstances(
      await openNats(link, { ...shape, namespace, prefix, commitMode: "pipelined" }),
      machines,
    );
  } finally {
    await link.drain();
  }
}
