import { createAgent } from "@ergon/agents";

import { createLogger } from "../../logger.ts";
import { runningText } from "../format.ts";
import { serviceNats } from "../service-nats.ts";
import type { OnStop } from "../service.ts";
import type { Session } from "../session.ts";
import { driversOf, type DriverFlags } from "./shipped.ts";

export async function startAgent(
  { settings, output }: Session,
  program: readonly string[],
  flags: DriverFlags,
  onStop: OnStop,
): Promise<void> {
  const { namespace, prefix, id, drainMs } = settings;
  const drivers = driversOf(flags, program);
  const logger = createLogger(settings.log);
  const replaced = Promise.withResolvers<never>();
  const running = createAgent({
    drivers,
    nats: serviceNats(settings),
    namespace,
    prefix,
    id,
    drainMs,
    logger,
    signals: [],
    onReplaced: (error) => replaced.reject(error),
  });
  onStop(
    () => running.stop(),
    () => runningText(running.running, drainMs),
  );
  await running.start();
  const names = drivers.map(({ driver }) => driver);
  if (output.json) output.value({ ready: true, agent: running.id, namespace, drivers: names });
  else output.line(`ready agent=${running.id} namespace=${namespace} drivers=${names.join(",")}`);
  await replaced.promise;
}
