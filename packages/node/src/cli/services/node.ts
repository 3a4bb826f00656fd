import { createNode } from "../../node.ts";
import { serviceNats } from "../service-nats.ts";
import type { OnStop } from "../service.ts";
import type { Session } from "../session.ts";

export async function startNode({ settings, output }: Session, onStop: OnStop): Promise<void> {
  const { namespace, drainMs } = settings;
  const running = await createNode({ ...settings, nats: serviceNats(settings) });
  onStop(() => running.stop({ drainMs }));
  await running.ready;
  if (output.json) output.value({ ready: true, node: running.id, namespace });
  else output.line(`ready node=${running.id} namespace=${namespace}`);
}
