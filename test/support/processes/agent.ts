import { createAgent } from "@ergon/agents";
import { connect } from "nats";

import { ledgerSubject, rightAnswer, type AgentSettings, type LedgerEntry } from "../ledger.ts";

// An agent as a process of its own, which keeps a ledger over a connection of its own: what it writes there does not pass the proxy.
process.once("disconnect", () => process.exit(1));
const { ledgerUrl, ...options } = JSON.parse(process.argv[2] ?? "{}") as AgentSettings;
const ledger = await connect({ servers: ledgerUrl });
const subject = ledgerSubject(options.namespace ?? "");

const agent = createAgent({
  driver: "work",
  concurrency: 4,
  ...options,
  signals: [],
  handler: async (attempt) => {
    const write = async (event: LedgerEntry["event"]): Promise<void> => {
      const { taskId: task, number, arguments: args } = attempt;
      const entry: LedgerEntry = {
        event,
        task,
        attempt: number,
        agent: agent.id,
        payload: attempt.text(),
        arguments: args,
      };
      ledger.publish(subject, JSON.stringify(entry));
      await ledger.flush();
    };
    await write("ran");
    const ms = Number(attempt.arguments["ms"] ?? 0);
    try {
      if (ms > 0) await attempt.sleep(ms);
    } catch (error) {
      await write("stopped");
      throw error;
    }
    return rightAnswer(attempt.text());
  },
});
await agent.start();
process.once("SIGTERM", () => {
  void agent.stop().then(() => process.exit(0));
});
process.send?.({ id: agent.id });
